"""The Basic Encoding Rules as far as LDAP has them (RFC 4511 section 5.1, X.690).

Definite lengths and primitive strings only; a boolean is sent as FF and read as any octet but 00. Lengths may be longer
than they need to be, up to eight octets, as clients send them. Tags of several octets don't exist in LDAP.
Plain code on purpose: it runs compiled by mypyc where a compiler is at hand.
"""

from typing import Final

from dataplane.protocols.ldap.faults import Unfit
from dataplane.protocols.ldap.messages import ResultCode
from dataplane.sansio import PeerError

BOOLEAN: Final = 0x01
INTEGER: Final = 0x02
OCTET_STRING: Final = 0x04
ENUMERATED: Final = 0x0A
SEQUENCE: Final = 0x30
SET: Final = 0x31

MAX_LENGTH_OCTETS: Final = 8
MAX_INTEGER_OCTETS: Final = 8
_MULTIPLE_OCTETS: Final = 0x1F
_SIGN: Final = 0x80
LONG_FORM: Final = 0x80
"""The first octet of a length from which on it is a count of further ones."""


def broken(reason: str) -> PeerError:
    """The error for an encoding that can't be read on from."""
    return PeerError(ResultCode.PROTOCOL_ERROR, reason)


class Reader:
    """Reads element by element and never past `end`. Every method raises PeerError where the encoding is broken."""

    __slots__ = ("data", "end", "position")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0
        self.end = len(data)

    def more(self) -> bool:
        """Whether anything is left of what is open."""
        return self.position < self.end

    def peek(self) -> int:
        """The next element's tag; -1 at the end."""
        return self.data[self.position] if self.position < self.end else -1

    def header(self, tag: int) -> int:
        """Read the next element's tag, which must be this one, and its length; return where its contents end."""
        found = self.peek()
        if found != tag:
            raise broken(f"tag {tag:#04x} expected, {_named(found)} found")
        return self._contents()

    def open(self, tag: int) -> int:
        """Go into the next element; return what `close` wants."""
        outer = self.end
        self.end = self.header(tag)
        return outer

    def close(self, outer: int, known: bytes) -> None:
        """Leave the element behind its last component that is known.

        Components that a later version may have put there are ignored (RFC 4511 section 4); those with a `known` tag
        stand where they must not.
        """
        while self.position < self.end:
            tag = self.data[self.position]
            if tag in known:
                raise broken(f"tag {tag:#04x} out of place")
            self.skip()
        self.end = outer

    def skip(self) -> None:
        """Pass over the next element, whatever it is."""
        if self.peek() < 0:
            raise broken("an element is missing")
        self.position = self._contents()

    def octets(self, tag: int) -> bytes:
        """The contents of a primitive element."""
        end = self.header(tag)
        contents = self.data[self.position : end]
        self.position = end
        return contents

    def text(self, tag: int) -> str:
        """The contents as UTF-8; raises Unfit where they aren't."""
        contents = self.octets(tag)
        try:
            return contents.decode()
        except UnicodeDecodeError:
            raise Unfit("text that is not UTF-8") from None

    def integer(self, tag: int) -> int:
        """A signed integer of at most eight octets."""
        end = self.header(tag)
        size = end - self.position
        if size < 1 or size > MAX_INTEGER_OCTETS:
            raise broken(f"an integer of {size} octets")
        value = self.data[self.position]
        if value & _SIGN:
            value -= 2 * _SIGN
        self.position += 1
        while self.position < end:
            value = (value << 8) | self.data[self.position]
            self.position += 1
        return value

    def boolean(self, tag: int) -> bool:
        """A boolean; TRUE is any octet but 00."""
        end = self.header(tag)
        if end - self.position != 1:
            raise broken(f"a boolean of {end - self.position} octets")
        value = self.data[self.position] != 0
        self.position = end
        return value

    def _contents(self) -> int:
        """Pass the tag and length at hand; return where the contents end."""
        data, position = self.data, self.position + 1
        if data[position - 1] & _MULTIPLE_OCTETS == _MULTIPLE_OCTETS:
            raise broken("a tag of several octets")
        if position >= self.end:
            raise broken("a length is missing")
        length = data[position]
        position += 1
        if length >= LONG_FORM:
            after = position + length_octets(length)
            if after > self.end:
                raise broken("a length is cut off")
            length = 0
            while position < after:
                length = (length << 8) | data[position]
                position += 1
        if length > self.end - position:
            raise broken(f"{length} octets announced, {self.end - position} left")
        self.position = position
        return position + length


def length_octets(first: int) -> int:
    """How many octets of length follow the first one, which is 0x80 or more. Raises PeerError for those not in LDAP."""
    count = first & 0x7F
    if count == 0:
        raise broken("a length that is indefinite")
    if count > MAX_LENGTH_OCTETS:
        raise broken(f"a length of {count} octets")
    return count


def element(tag: int, contents: bytes) -> bytes:
    """One element, with as short a length as there is."""
    length = len(contents)
    if length < LONG_FORM:
        return bytes((tag, length)) + contents
    octets = (length.bit_length() + 7) // 8
    return bytes((tag, LONG_FORM | octets)) + length.to_bytes(octets, "big") + contents


def integer(tag: int, value: int) -> bytes:
    """An integer in as few octets as it takes."""
    size = 1
    while not -(1 << (8 * size - 1)) <= value < 1 << (8 * size - 1):
        size += 1
    return element(tag, value.to_bytes(size, "big", signed=True))


def boolean(tag: int, value: bool) -> bytes:
    """A boolean; TRUE is FF (section 5.1)."""
    return element(tag, b"\xff" if value else b"\x00")


def _named(tag: int) -> str:
    return "nothing" if tag < 0 else f"{tag:#04x}"
