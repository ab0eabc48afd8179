"""LDAP from the client's side as bytes (RFC 4511), for tests: what they send is not encoded by what they test.

Operations and filters are made by functions and go over the wire as they are; `read` takes what came back apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

UNIVERSAL_SEQUENCE, UNIVERSAL_SET = 0x30, 0x31
BASE, ONE_LEVEL, SUBTREE, SUBORDINATES = range(4)
ENTRY, REFERENCE, INTERMEDIATE = 0x64, 0x73, 0x79
NOT_BEFORE_NUL = 0x20


def tlv(tag: int, content: bytes) -> bytes:
    """One element with a definite length in as few bytes as there may be."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def integer(value: int, tag: int = 0x02) -> bytes:
    """An INTEGER or ENUMERATED."""
    return tlv(tag, value.to_bytes((8 + (value + (value < 0)).bit_length()) // 8, "big", signed=True))


def octets(value: str | bytes, tag: int = 0x04) -> bytes:
    """An OCTET STRING; text as UTF-8."""
    return tlv(tag, value.encode() if isinstance(value, str) else value)


def boolean(value: bool, tag: int = 0x01) -> bytes:
    """A BOOLEAN."""
    return tlv(tag, b"\xff" if value else b"\0")


def sequence(*elements: bytes, tag: int = UNIVERSAL_SEQUENCE) -> bytes:
    """A SEQUENCE, or what is made like one."""
    return tlv(tag, b"".join(elements))


# Filters.


@dataclass(frozen=True, slots=True)
class Filter:
    """As people write it (RFC 4515), and as it goes over the wire."""

    text: str
    ber: bytes


Value = str | bytes


def shown(value: Value) -> str:
    """A value as RFC 4515 has it in a filter's text."""
    data = value.encode() if isinstance(value, str) else value
    plain = "".join(chr(byte) if NOT_BEFORE_NUL <= byte < 0x7F and byte not in b"*()\\" else "\0" for byte in data)
    return "".join(char if char != "\0" else f"\\{byte:02x}" for char, byte in zip(plain, data, strict=True))


def present(attribute: str) -> Filter:
    """(attribute=*)."""
    return Filter(f"({attribute}=*)", octets(attribute, 0x87))


def equal(attribute: str, value: Value) -> Filter:
    """(attribute=value)."""
    return _assertion(0xA3, attribute, "=", value)


def at_least(attribute: str, value: Value) -> Filter:
    """(attribute>=value)."""
    return _assertion(0xA5, attribute, ">=", value)


def at_most(attribute: str, value: Value) -> Filter:
    """(attribute<=value)."""
    return _assertion(0xA6, attribute, "<=", value)


def about(attribute: str, value: Value) -> Filter:
    """(attribute~=value)."""
    return _assertion(0xA8, attribute, "~=", value)


def substrings(attribute: str, *parts: Value) -> Filter:
    """(attribute=a*b*c): the first and the last part may be empty."""
    initial, *middle, final = parts
    elements = [octets(initial, 0x80)] if initial else []
    elements += [octets(part, 0x81) for part in middle]
    elements += [octets(final, 0x82)] if final else []
    text = "*".join(shown(part) for part in parts)
    return Filter(f"({attribute}={text})", sequence(octets(attribute), sequence(*elements), tag=0xA4))


def extensible(attribute: str, rule: str, value: Value, of_dn: bool = False) -> Filter:
    """(attribute:dn:rule:=value); attribute or rule may be empty."""
    elements = [octets(rule, 0x81)] if rule else []
    elements += [octets(attribute, 0x82)] if attribute else []
    elements += [octets(value, 0x83)]
    elements += [boolean(True, 0x84)] if of_dn else []
    text = f"({attribute}{':dn' if of_dn else ''}{':' + rule if rule else ''}:={shown(value)})"
    return Filter(text, sequence(*elements, tag=0xA9))


def every(*filters: Filter) -> Filter:
    """(&...)."""
    return Filter(f"(&{''.join(each.text for each in filters)})", sequence(*(each.ber for each in filters), tag=0xA0))


def either(*filters: Filter) -> Filter:
    """(|...)."""
    return Filter(f"(|{''.join(each.text for each in filters)})", sequence(*(each.ber for each in filters), tag=0xA1))


def negated(of: Filter) -> Filter:
    """(!...)."""
    return Filter(f"(!{of.text})", tlv(0xA2, of.ber))


def _assertion(tag: int, attribute: str, sign: str, value: Value) -> Filter:
    return Filter(f"({attribute}{sign}{shown(value)})", sequence(octets(attribute), octets(value), tag=tag))


ANYTHING = present("objectClass")


# Operations.


def bind(name: str = "", password: Value = "", version: int = 3) -> bytes:
    """A simple bind."""
    return sequence(integer(version), octets(name), octets(password, 0x80), tag=0x60)


def unbind() -> bytes:
    """The end of the conversation."""
    return tlv(0x42, b"")


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """A search request."""

    base: str
    scope: int = SUBTREE
    filter: Filter = ANYTHING
    attributes: Sequence[str] = ()
    size: int = 0
    time: int = 0
    types_only: bool = False

    @property
    def ber(self) -> bytes:
        """As it goes over the wire; aliases are never dereferenced."""
        return sequence(
            octets(self.base),
            integer(self.scope, 0x0A),
            integer(0, 0x0A),
            integer(self.size),
            integer(self.time),
            boolean(self.types_only),
            self.filter.ber,
            sequence(*(octets(attribute) for attribute in self.attributes)),
            tag=0x63,
        )


def compare(entry: str, attribute: str, value: Value) -> bytes:
    """A compare request."""
    return sequence(octets(entry), sequence(octets(attribute), octets(value)), tag=0x6E)


def abandon(message: int) -> bytes:
    """An abandon request."""
    return integer(message, 0x50)


def extended(oid: str, value: bytes | None = None) -> bytes:
    """An extended request."""
    return sequence(octets(oid, 0x80), *([octets(value, 0x81)] if value is not None else []), tag=0x77)


def control(oid: str, value: bytes | None = None, *, critical: bool = False) -> bytes:
    """A control."""
    rest = [boolean(True)] if critical else []
    rest += [octets(value)] if value is not None else []
    return sequence(octets(oid), *rest)


PAGED, SORT, SORTED = "1.2.840.113556.1.4.319", "1.2.840.113556.1.4.473", "1.2.840.113556.1.4.474"


def paged(size: int, cookie: bytes = b"", *, critical: bool = False) -> bytes:
    """RFC 2696."""
    return control(PAGED, sequence(integer(size), octets(cookie)), critical=critical)


def sort(*attributes: str, critical: bool = False) -> bytes:
    """RFC 2891; `-cn` is backwards."""
    keys = [
        sequence(octets(name.removeprefix("-")), *([boolean(True, 0x81)] if name.startswith("-") else []))
        for name in attributes
    ]
    return control(SORT, sequence(*keys), critical=critical)


def message(number: int, operation: bytes, *controls: bytes) -> bytes:
    """The envelope."""
    rest = [sequence(*controls, tag=0xA0)] if controls else []
    return sequence(integer(number), operation, *rest)


# Answers.


@dataclass(frozen=True, slots=True)
class Entry:
    """What a search found: attributes as they are named, with their values in the order that they came."""

    dn: str
    attributes: dict[str, tuple[bytes, ...]]

    def texts(self, name: str) -> list[str]:
        """The values of an attribute, none if it is missing."""
        return [value.decode() for value in self.attributes.get(name, ())]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """All that an operation was answered, the entries of a search before its result."""

    code: int
    matched: str
    text: str
    entries: tuple[Entry, ...] = ()
    controls: dict[str, bytes] = field(default_factory=dict)
    oid: str = ""
    value: bytes | None = None

    @property
    def dns(self) -> list[str]:
        """The names of what was found."""
        return [entry.dn for entry in self.entries]

    @property
    def cookie(self) -> bytes:
        """That of RFC 2696; empty after the last page."""
        return elements(elements(self.controls[PAGED])[0][1])[1][1]


def header(data: bytes, at: int) -> tuple[int, int, int]:
    """Tag, start and end of the content of an element; the end lies beyond the data where not all of it is there."""
    if len(data) < at + 2:
        return 0, at, len(data) + 2
    size = data[at + 1]
    if size < 0x80:
        return data[at], at + 2, at + 2 + size
    start = at + 2 + (size & 0x7F)
    if len(data) < start:
        return 0, at, len(data) + 2
    return data[at], start, start + int.from_bytes(data[at + 2 : start], "big")


def elements(data: bytes) -> list[tuple[int, bytes]]:
    """The elements that follow one another."""
    found, at = [], 0
    while at < len(data):
        tag, start, end = header(data, at)
        assert end <= len(data), f"an element of {end - start} bytes in {len(data) - start}: {data[at : at + 40].hex()}"
        found.append((tag, data[start:end]))
        at = end
    return found


def entry(content: bytes) -> Entry:
    """A SearchResultEntry."""
    (_, dn), (_, listed) = elements(content)
    attributes: dict[str, tuple[bytes, ...]] = {}
    for _, each in elements(listed):
        (_, name), (tag, values) = elements(each)
        assert tag == UNIVERSAL_SET, f"values of {name!r} are no set: {tag:#x}"
        assert name.decode() not in attributes, f"{name!r} twice in {dn!r}"
        attributes[name.decode()] = tuple(value for _, value in elements(values))
    return Entry(dn.decode(), attributes)


def answer(operation: bytes, controls: bytes, entries: Sequence[Entry]) -> Answer:
    """What ends an operation, with what came before it."""
    (_, code), (_, matched), (_, text), *rest = elements(operation)
    others = dict(rest)
    return Answer(
        code=int.from_bytes(code, "big"),
        matched=matched.decode(),
        text=text.decode(),
        entries=tuple(entries),
        controls=dict(_control(each) for _, each in elements(controls)),
        oid=others.get(0x8A, b"").decode(),
        value=others.get(0x8B),
    )


def _control(content: bytes) -> tuple[str, bytes]:
    (_, oid), *rest = elements(content)
    return oid.decode(), next((value for tag, value in rest if tag == 0x04), b"")
