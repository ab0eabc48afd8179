"""Values of the controls and extended operations that are served: BER of their own inside an OCTET STRING.

Those read raise PeerError; the operation is answered with its code and reason, the session goes on.
"""

from typing import Final

from dataplane.protocols.ldap import ber
from dataplane.protocols.ldap.ber import ENUMERATED, INTEGER, OCTET_STRING, SEQUENCE, Reader, broken, element
from dataplane.protocols.ldap.faults import Unfit
from dataplane.protocols.ldap.messages import Paged, PasswordModify, ResultCode, SortKey

MAX_INT: Final = 2**31 - 1
MAX_SORT_KEYS: Final = 16

_RULE: Final = 0x80
_REVERSE: Final = 0x81
_ATTRIBUTE: Final = 0x80
_IDENTITY: Final = 0x80
_OLD: Final = 0x81
_NEW: Final = 0x82
_GENERATED: Final = 0x80


def decode_paged(value: bytes | None) -> Paged:
    """RFC 2696 section 2."""
    reader, outer = _opened(value)
    size = reader.integer(INTEGER)
    cookie = reader.octets(OCTET_STRING)
    reader.close(outer, b"\x02\x04")
    if size < 0 or size > MAX_INT:
        raise Unfit("a page size out of range")
    return Paged(size=size, cookie=cookie)


def encode_paged(paged: Paged) -> bytes:
    """The same in an answer."""
    return element(SEQUENCE, ber.integer(INTEGER, paged.size) + element(OCTET_STRING, paged.cookie))


def decode_sort(value: bytes | None) -> tuple[SortKey, ...]:
    """RFC 2891 section 1.1; at least one key."""
    reader, outer = _opened(value)
    keys: list[SortKey] = []
    while reader.more():
        if len(keys) == MAX_SORT_KEYS:
            raise Unfit(f"more than {MAX_SORT_KEYS} sort keys", code=ResultCode.ADMIN_LIMIT_EXCEEDED, limit="sort keys")
        keys.append(_decode_sort_key(reader))
    reader.close(outer, b"")
    if not keys:
        raise Unfit("no sort key")
    return tuple(keys)


def _decode_sort_key(reader: Reader) -> SortKey:
    outer = reader.open(SEQUENCE)
    attribute = reader.text(OCTET_STRING)
    rule = reader.text(_RULE) if reader.peek() == _RULE else None
    reverse = reader.peek() == _REVERSE and reader.boolean(_REVERSE)
    reader.close(outer, b"\x04\x80\x81")
    return SortKey(attribute=attribute, rule=rule, reverse=reverse)


def encode_sort_result(code: ResultCode, attribute: str | None = None) -> bytes:
    """RFC 2891 section 1.2."""
    contents = ber.integer(ENUMERATED, code)
    if attribute is not None:
        contents += element(_ATTRIBUTE, attribute.encode())
    return element(SEQUENCE, contents)


def decode_password_modify(value: bytes | None) -> PasswordModify:
    """RFC 3062 section 2; without a value, all is left to the server."""
    if value is None:
        return PasswordModify()
    reader, outer = _opened(value)
    identity = reader.text(_IDENTITY) if reader.peek() == _IDENTITY else None
    old = reader.octets(_OLD) if reader.peek() == _OLD else None
    new = reader.octets(_NEW) if reader.peek() == _NEW else None
    reader.close(outer, b"\x80\x81\x82")
    return PasswordModify(identity=identity, old=old, new=new)


def encode_generated_password(password: bytes) -> bytes:
    """RFC 3062 section 2, the answer."""
    return element(SEQUENCE, element(_GENERATED, password))


def _opened(value: bytes | None) -> tuple[Reader, int]:
    """Inside the one SEQUENCE that the value must be."""
    if value is None:
        raise Unfit("a value is missing")
    reader = Reader(value)
    outer = reader.open(SEQUENCE)
    if reader.end != outer:
        raise broken(f"{outer - reader.end} octets behind the value")
    return reader, outer
