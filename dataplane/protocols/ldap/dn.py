"""Distinguished names as text (RFC 4514, and what RFC 2253 section 4 had readers accept besides).

`normalise` makes the key by which names are compared: attribute types by their shortest name, values prepared as
caseIgnoreMatch has it, special characters as hex pairs. So a comma in a key always parts two RDNs, and whatever lies
below a name has a key that ends with a comma and the name's. Nothing here raises anything but ValueError.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

from dataplane.protocols.ldap.ber import Reader
from dataplane.protocols.ldap.prepare import ignore_case
from dataplane.sansio import PeerError

_CANONICAL: Final = {
    "commonname": "cn",
    "2.5.4.3": "cn",
    "surname": "sn",
    "2.5.4.4": "sn",
    "countryname": "c",
    "2.5.4.6": "c",
    "localityname": "l",
    "2.5.4.7": "l",
    "stateorprovincename": "st",
    "2.5.4.8": "st",
    "streetaddress": "street",
    "2.5.4.9": "street",
    "organizationname": "o",
    "2.5.4.10": "o",
    "organizationalunitname": "ou",
    "2.5.4.11": "ou",
    "userid": "uid",
    "0.9.2342.19200300.100.1.1": "uid",
    "rfc822mailbox": "mail",
    "0.9.2342.19200300.100.1.3": "mail",
    "domaincomponent": "dc",
    "0.9.2342.19200300.100.1.25": "dc",
}
"""Lower-case other names of attribute types to the one in keys (RFC 4514 section 3, RFC 4519)."""

_TYPE: Final = re.compile(r" *(?:[oO][iI][dD]\.)?([A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)+) *= *")
_ESCAPE: Final = r'\\(?:[ "#+,;<=>\\]|[0-9A-Fa-f]{2})'
_STRING: Final = re.compile(rf'(?:[^\\,+;"<>\0]|{_ESCAPE})*')
_QUOTED: Final = re.compile(rf'"((?:[^\\"\0]|{_ESCAPE})*)" *')
_HEX: Final = re.compile(r"#((?:[0-9A-Fa-f]{2})+) *")
_ESCAPED: Final = re.compile(rb"\\([0-9A-Fa-f]{2}|.)", re.DOTALL)
_SPECIAL: Final = re.compile(r'[\0"+,;<>\\]|^[ #]| \Z')
_SPECIAL_IN_KEY: Final = re.compile(r'[\0"+,;<=>\\#]|^ | \Z')
_SEPARATORS: Final = ",;+"

_PLAIN: Final = re.compile(
    r"(?:cn|ou|uid|dc|o)=[a-z0-9._@-]+(?: [a-z0-9._@-]+)*(?:,(?:cn|ou|uid|dc|o)=[a-z0-9._@-]+(?: [a-z0-9._@-]+)*)*"
)
"""Lower-case names that are their own key."""

_STRING_TAGS: Final = (0x04, 0x0C, 0x13, 0x16)
"""OCTET STRING, UTF8String, PrintableString, IA5String."""
_HEX_PAIR: Final = 2
LONGEST: Final = 8192
"""Characters of a name."""
MOST_RDNS: Final = 64
_LONGEST_REMEMBERED: Final = 512
"""Characters of a name whose key is kept: bases of searches come again, and strangers may not fill the memory."""


class Assertion(NamedTuple):
    """A type, by its lower-case canonical name, and a value: bytes where it was given as BER of no string."""

    type: str
    value: str | bytes


Rdn = tuple[Assertion, ...]


@dataclass(frozen=True, slots=True)
class Dn:
    """A name, the RDN of the entry itself first. The root's has none."""

    rdns: tuple[Rdn, ...]

    @property
    def parent(self) -> "Dn | None":
        """The name above; None for the root."""
        return Dn(self.rdns[1:]) if self.rdns else None

    @property
    def key(self) -> str:
        """What equal names have in common."""
        return ",".join([_rdn_key(rdn) for rdn in self.rdns])

    def __str__(self) -> str:
        return ",".join(["+".join([_written(each) for each in rdn]) for rdn in self.rdns])


def parse(text: str) -> Dn:
    """Read a name. Raises ValueError where it is none (RFC 4514 section 3), or is beyond the bounds above."""
    if not text:
        return Dn(())
    if len(text) > LONGEST:
        raise ValueError(f"a name of more than {LONGEST} characters")
    rdns: list[Rdn] = []
    rdn: list[Assertion] = []
    position = 0
    while True:
        assertion, position = _assertion(text, position)
        rdn.append(assertion)
        separator = text[position : position + 1]
        if separator != "+":
            rdns.append(tuple(rdn))
            rdn = []
            if len(rdns) > MOST_RDNS:
                raise ValueError(f"a name of more than {MOST_RDNS} RDNs")
        if not separator:
            return Dn(tuple(rdns))
        position += 1


def normalise(text: str) -> str:
    """The key of the name. Raises ValueError where it is none."""
    lower = text.lower()
    if len(text) <= _LONGEST_REMEMBERED and _PLAIN.fullmatch(lower):
        return lower
    return _remembered(text) if len(text) <= _LONGEST_REMEMBERED else parse(text).key


def is_within(key: str, base: str) -> bool:
    """Whether the key is the base's or that of something below it."""
    return not base or key == base or key.endswith("," + base)


def escape(value: str) -> str:
    """The value as it stands in a name (RFC 4514 section 2.4)."""
    return _SPECIAL.sub(lambda found: "\\00" if found[0] == "\0" else "\\" + found[0], value)


@lru_cache(maxsize=4096)
def _remembered(text: str) -> str:
    return parse(text).key


def _assertion(text: str, position: int) -> tuple[Assertion, int]:
    found = _TYPE.match(text, position)
    if found is None:
        raise ValueError(f"no attribute type and equals sign at character {position + 1}")
    spelled = found[1].lower()
    value, position = _value(text, found.end())
    if position < len(text) and text[position] not in _SEPARATORS:
        raise ValueError(f"{text[position]!r} must be escaped at character {position + 1}")
    return Assertion(_CANONICAL.get(spelled, spelled), value), position


def _value(text: str, position: int) -> tuple[str | bytes, int]:
    if hexadecimal := _HEX.match(text, position):
        return _ber_value(bytes.fromhex(hexadecimal[1])), hexadecimal.end()
    if quoted := _QUOTED.match(text, position):
        return _unescaped(quoted[1]), quoted.end()
    if text.startswith("#", position):
        raise ValueError(f"no hex pairs behind the number sign at character {position + 1}")
    string = _STRING.match(text, position)
    assert string is not None  # noqa: S101  it matches nothing too
    return _unescaped(_without_end_spaces(string[0])), string.end()


def _without_end_spaces(raw: str) -> str:
    """Spaces at the end don't count, unless escaped."""
    kept = raw.rstrip(" ")
    escaped = (len(kept) - len(kept.rstrip("\\"))) % 2
    return raw[: len(kept) + escaped]


def _unescaped(raw: str) -> str:
    if "\\" not in raw:
        return raw
    return _text(_ESCAPED.sub(_octet, raw.encode()))


def _text(octets: bytes) -> str:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise ValueError("a value that is not UTF-8") from None


def _octet(found: re.Match[bytes]) -> bytes:
    escaped = found[1]
    return bytes.fromhex(escaped.decode()) if len(escaped) == _HEX_PAIR else escaped


def _ber_value(data: bytes) -> str | bytes:
    try:
        reader = Reader(data)
        tag = reader.peek()
        contents = reader.octets(tag)
    except PeerError as error:
        raise ValueError(f"no value in BER: {error.reason}") from None
    if reader.more():
        raise ValueError("more than one value in BER")
    return _text(contents) if tag in _STRING_TAGS else data


def _written(assertion: Assertion) -> str:
    value = assertion.value
    return f"{assertion.type}={'#' + value.hex() if isinstance(value, bytes) else escape(value)}"


def _rdn_key(rdn: Rdn) -> str:
    if len(rdn) == 1:
        return _assertion_key(rdn[0])
    return "+".join(sorted([_assertion_key(each) for each in rdn]))


def _assertion_key(assertion: Assertion) -> str:
    value = assertion.value
    if isinstance(value, bytes):
        return f"{assertion.type}=#{value.hex()}"
    prepared = ignore_case(value.encode())
    # What can't be prepared is equal to itself alone.
    compared = value if prepared is None else prepared.decode()
    return f"{assertion.type}={_SPECIAL_IN_KEY.sub(_hex_pair, compared)}"


def _hex_pair(found: re.Match[str]) -> str:
    return f"\\{ord(found[0]):02x}"
