"""Attributes of an entry as one string of bytes: PartialAttributes (RFC 4511 section 4.1.7), one behind the other.

This is how the directory keeps entries, and what searches send. Only what `pack` made is read here, so nothing is
checked. Plain code on purpose: it runs compiled by mypyc where a compiler is at hand.
"""

from collections.abc import Iterator

from dataplane.protocols.ldap.schema import Attributes
from dataplane.protocols.ldap.wire import encode_attribute

_LONG = 0x80


def pack(attributes: Attributes) -> bytes:
    """The attributes as one string."""
    return b"".join([encode_attribute(kind.wire, values) for kind, values in attributes])


def values_of(blob: bytes, name: bytes) -> list[bytes]:
    """The values of the attribute of this name, spelled as it was packed; none where there is no such attribute."""
    position, end, size = 0, len(blob), len(name)
    while position < end:
        start, stop = _contents(blob, position)
        position = stop
        # Names are shorter than 128 octets: their length takes one.
        if blob[start + 1] == size and blob.startswith(name, start + 2):
            return _values(blob, start + 2 + size)
    return []


def unpack(blob: bytes) -> Iterator[tuple[bytes, list[bytes]]]:
    """Names and values."""
    position, end = 0, len(blob)
    while position < end:
        start, stop = _contents(blob, position)
        position = stop
        after = start + 2 + blob[start + 1]
        yield blob[start + 2 : after], _values(blob, after)


def _values(blob: bytes, position: int) -> list[bytes]:
    """Those of the SET at this place."""
    position, end = _contents(blob, position)
    values = []
    while position < end:
        start, stop = _contents(blob, position)
        position = stop
        values.append(blob[start:stop])
    return values


def _contents(blob: bytes, position: int) -> tuple[int, int]:
    """Where the contents of the element at this place begin and end."""
    length = blob[position + 1]
    position += 2
    if length < _LONG:
        return position, position + length
    after = position + length - _LONG
    length = int.from_bytes(blob[position:after], "big")
    return after, after + length
