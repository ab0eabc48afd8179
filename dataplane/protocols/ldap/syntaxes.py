"""Syntaxes of values (RFC 4517 section 3.3): which bytes are a value of one, and the keys of those that aren't text.

A syntax says yes or no and a key function returns None for what isn't of the syntax; neither ever raises. Structured
descriptions (of schema elements) are only written here, so of those any UTF-8 will do.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from dataplane.protocols.ldap import dn

_ARC = "1.3.6.1.4.1.1466.115.121.1."

# Longer integers and times are no one's; Python itself refuses to read integers of more than 4,300 digits.
_LONGEST_INTEGER = 1000
_LONGEST_TIME = 64

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# strftime writes years before 1000 shorter.
_DIGITS = len("YYYYMMDDhhmmss")

_PRINTABLE = re.compile(rb"[A-Za-z0-9'()+,\-./:=? ]+")
_NUMERIC = re.compile(rb"[0-9 ]+")
_INTEGER = re.compile(rb"0|-?[1-9][0-9]*")
_BITS = re.compile(rb"'[01]*'B")
_OID = re.compile(rb"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))+|[A-Za-z][A-Za-z0-9-]*")
_TIME = re.compile(
    rb"(\d{4})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])([01]\d|2[0-3])(?:([0-5]\d)([0-5]\d|60)?)?(?:[.,](\d+))?"
    rb"(?:Z|([+-])([01]\d|2[0-3])([0-5]\d)?)"
)
_UUID = re.compile(rb"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Syntax:
    """A syntax: its OID, what RFC 4517 calls it, and whether a value is of it."""

    oid: str
    description: str
    holds: Callable[[bytes], bool]


def integer_key(value: bytes) -> int | None:
    """Return the number of an INTEGER (section 3.3.16): no leading zeros, no plus sign."""
    if len(value) > _LONGEST_INTEGER or _INTEGER.fullmatch(value) is None:
        return None
    return int(value)


def boolean_key(value: bytes) -> bytes | None:
    """Return TRUE or FALSE (section 3.3.3; a string of ABNF is of any case)."""
    folded = value.upper()
    return folded if folded in (b"TRUE", b"FALSE") else None


def uuid_key(value: bytes) -> bytes | None:
    """Return the 16 octets of a UUID (RFC 4530)."""
    return None if _UUID.fullmatch(value) is None else bytes.fromhex(value.replace(b"-", b"").decode())


def time_key(value: bytes) -> bytes | None:
    """Return a Generalized Time (section 3.3.13) in UTC as digits that sort as the times do, however exact they are."""
    match = _TIME.fullmatch(value) if len(value) <= _LONGEST_TIME else None
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, sign, hours, minutes = match.groups()
    unit = 1 if second else 60 if minute else 3600
    whole, rest = _split_fraction(fraction or b"", unit)
    offset = 60 * int(hours or 0) + int(minutes or 0)
    try:
        moment = datetime(int(year), int(month), int(day), int(hour), int(minute or 0), tzinfo=UTC)
        moment += timedelta(seconds=int(second or 0) + whole, minutes=offset if sign == b"-" else -offset)
    except (ValueError, OverflowError):
        return None
    return _written(moment).encode() + rest


def _split_fraction(digits: bytes, unit: int) -> tuple[int, bytes]:
    """Return the seconds in a fraction of `unit` seconds: the whole ones, and the rest as digits after a point."""
    if not digits:
        return 0, b""
    whole, rest = divmod(int(digits) * unit, 10 ** len(digits))
    decimals = f"{rest:0{len(digits)}}".rstrip("0").encode()
    return whole, b"." + decimals if decimals else b""


@lru_cache(maxsize=1024)
def generalized_time(moment: int) -> bytes:
    """Return POSIX seconds as a Generalized Time in UTC; raises OverflowError outside of the years 1 to 9999."""
    return f"{_written(_EPOCH + timedelta(seconds=moment))}Z".encode()


def _written(moment: datetime) -> str:
    return moment.strftime("%Y%m%d%H%M%S").zfill(_DIGITS)


def _is_text(value: bytes) -> bool:
    return bool(value) and _is_utf8(value)


def _is_name(value: bytes) -> bool:
    try:
        dn.normalise(value.decode())
    except ValueError:
        return False
    return True


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_anything(_value: bytes) -> bool:
    return True


def _is_jpeg(value: bytes) -> bool:
    return value.startswith(b"\xff\xd8\xff")


def _matches(pattern: re.Pattern[bytes]) -> Callable[[bytes], bool]:
    return lambda value: pattern.fullmatch(value) is not None


def _has_key(key: Callable[[bytes], object]) -> Callable[[bytes], bool]:
    return lambda value: key(value) is not None


def _syntax(number: str, description: str, holds: Callable[[bytes], bool]) -> Syntax:
    return Syntax(oid=number if number.count(".") else _ARC + number, description=description, holds=holds)


ATTRIBUTE_TYPE = _syntax("3", "Attribute Type Description", _is_text)
BIT_STRING = _syntax("6", "Bit String", _matches(_BITS))
BOOLEAN = _syntax("7", "Boolean", _has_key(boolean_key))
COUNTRY = _syntax("11", "Country String", _matches(re.compile(rb"[A-Za-z0-9'()+,\-./:=? ]{2}")))
DN = _syntax("12", "DN", _is_name)
DIRECTORY_STRING = _syntax("15", "Directory String", _is_text)
GENERALIZED_TIME = _syntax("24", "Generalized Time", _has_key(time_key))
IA5_STRING = _syntax("26", "IA5 String", bytes.isascii)
INTEGER = _syntax("27", "INTEGER", _has_key(integer_key))
JPEG = _syntax("28", "JPEG", _is_jpeg)
MATCHING_RULE = _syntax("30", "Matching Rule Description", _is_text)
MATCHING_RULE_USE = _syntax("31", "Matching Rule Use Description", _is_text)
NAME_AND_UID = _syntax("34", "Name And Optional UID", _is_utf8)
NUMERIC_STRING = _syntax("36", "Numeric String", _matches(_NUMERIC))
OBJECT_CLASS = _syntax("37", "Object Class Description", _is_text)
OID = _syntax("38", "OID", _matches(_OID))
OCTET_STRING = _syntax("40", "Octet String", _is_anything)
POSTAL_ADDRESS = _syntax("41", "Postal Address", _is_text)
PRINTABLE_STRING = _syntax("44", "Printable String", _matches(_PRINTABLE))
TELEPHONE_NUMBER = _syntax("50", "Telephone Number", _matches(_PRINTABLE))
LDAP_SYNTAX = _syntax("54", "LDAP Syntax Description", _is_text)
SUBSTRING_ASSERTION = _syntax("58", "Substring Assertion", _is_text)
UNIVERSAL_ID = _syntax("1.3.6.1.1.16.1", "UUID", _has_key(uuid_key))

SYNTAXES = (
    ATTRIBUTE_TYPE, BIT_STRING, BOOLEAN, COUNTRY, DN, DIRECTORY_STRING, GENERALIZED_TIME, IA5_STRING, INTEGER, JPEG,
    MATCHING_RULE, MATCHING_RULE_USE, NAME_AND_UID, NUMERIC_STRING, OBJECT_CLASS, OID, OCTET_STRING, POSTAL_ADDRESS,
    PRINTABLE_STRING, TELEPHONE_NUMBER, LDAP_SYNTAX, SUBSTRING_ASSERTION, UNIVERSAL_ID,
)  # fmt: skip
