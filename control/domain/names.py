"""Names of LDAP as control has to judge them: distinguished names (RFC 4514) and attribute names (RFC 4512). Pure.

Outposts read them by their own codec; what is let through here, theirs has to take.
"""

import re
import unicodedata
from functools import reduce

_KEYSTRING = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_NUMBERS = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+")
_HEX = re.compile(r"#([0-9A-Fa-f]{2})+")
_PAIR = re.compile(r"\\([0-9A-Fa-f]{2})|\\([ \"#+,;<=>\\])", re.DOTALL)
# What may not stand as itself anywhere in a value (RFC 4514 section 3).
_SPECIAL = frozenset('",+;<>\\\0')
# Those names of attribute types that have a short one (RFC 4514 section 3, RFC 4519).
_SHORT = {
    "commonname": "cn",
    "localityname": "l",
    "stateorprovincename": "st",
    "organizationname": "o",
    "organizationalunitname": "ou",
    "countryname": "c",
    "streetaddress": "street",
    "domaincomponent": "dc",
    "userid": "uid",
    "2.5.4.3": "cn",
    "2.5.4.7": "l",
    "2.5.4.8": "st",
    "2.5.4.10": "o",
    "2.5.4.11": "ou",
    "2.5.4.6": "c",
    "2.5.4.9": "street",
    "0.9.2342.19200300.100.1.25": "dc",
    "0.9.2342.19200300.100.1.1": "uid",
}

Dn = tuple[frozenset[tuple[str, str]], ...]
"""Relative distinguished names, the nearest first: sets of types and values, equal where LDAP calls them equal."""


class NotADn(ValueError):
    """No distinguished name; the text says what is wrong."""


def is_attribute_name(text: str) -> bool:
    """Whether an attribute can have that short name (keystring, RFC 4512 section 1.4)."""
    return _KEYSTRING.fullmatch(text) is not None


def parse_dn(text: str) -> Dn:
    """The name, for comparing: types in short form, values without regard to case and repeated space. Raises NotADn."""
    return tuple(frozenset(_pair(part) for part in _split(each, "+")) for each in (_split(text, ",") if text else ()))


def _split(text: str, separator: str) -> list[str]:
    """At each separator that is not escaped."""
    parts, start, at = [], 0, 0
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == separator:
            parts.append(text[start:at])
            start = at + 1
        at += 1
    return [*parts, text[start:]]


def _pair(text: str) -> tuple[str, str]:
    kind, equals, value = text.partition("=")
    if not equals:
        raise NotADn(f"{text!r} lacks its =")
    if not _KEYSTRING.fullmatch(kind) and not _NUMBERS.fullmatch(kind):
        raise NotADn(f"{kind!r} names no attribute")
    kind = kind.lower()
    return _SHORT.get(kind, kind), _value(kind, value)


def _value(kind: str, text: str) -> str:
    if not text:
        raise NotADn(f"{kind} has no value")
    if text.startswith("#"):
        if not _HEX.fullmatch(text):
            raise NotADn(f"{text!r} is not hexadecimal")
        return text.lower()
    return _prepared(_unescaped(text))


def _unescaped(text: str) -> str:
    """The value that the text stands for (RFC 4514 section 2.4): pairs of digits are bytes of UTF-8."""
    if text.startswith(" ") or (text.endswith(" ") and not text.endswith("\\ ")):
        raise NotADn(f"{text!r} begins or ends with a space that is not escaped")
    found, at = bytearray(), 0
    while at < len(text):
        pair = _PAIR.match(text, at)
        if pair is not None:
            found += bytes.fromhex(pair[1]) if pair[1] else pair[2].encode()
            at = pair.end()
        elif text[at] in _SPECIAL:
            raise NotADn(f"{text[at]!r} in {text!r} is not escaped")
        else:
            found += text[at].encode("utf-8", "replace")
            at += 1
    try:
        return found.decode()
    except UnicodeDecodeError:
        raise NotADn(f"{text!r} is not UTF-8") from None


def _prepared(value: str) -> str:
    """The value as it is compared (RFC 4518, as far as case, width and space go)."""
    steps = (str.casefold, lambda text: unicodedata.normalize("NFKC", text), str.casefold)
    return " ".join(reduce(lambda text, step: step(text), steps, value).split())
