"""Filters from their bytes (RFC 4511 section 4.5.1.7).

How deep they nest and how many they are is bounded here, so that whoever walks through a filter needn't care.
"""

from typing import Final

from dataplane.protocols.ldap.ber import OCTET_STRING, SEQUENCE, Reader, broken
from dataplane.protocols.ldap.faults import Unfit
from dataplane.protocols.ldap.messages import (
    And,
    Approximate,
    Equality,
    Extensible,
    Filter,
    GreaterOrEqual,
    LessOrEqual,
    Not,
    Or,
    Present,
    ResultCode,
    Substrings,
    Unknown,
)

MAX_DEPTH: Final = 256
"""Levels of and, or and not."""
MAX_FILTERS: Final = 10_000
"""All of a search's filters, nested ones and the pieces of substrings included."""
WEIGHT_OF_ANY_ATTRIBUTE: Final = 1_000
"""As so many filters counts one that names a rule and no attribute: it asks every attribute that the rule is for."""

_AND: Final = 0xA0
_OR: Final = 0xA1
_NOT: Final = 0xA2
_EQUALITY: Final = 0xA3
_SUBSTRINGS: Final = 0xA4
_GREATER_OR_EQUAL: Final = 0xA5
_LESS_OR_EQUAL: Final = 0xA6
_PRESENT: Final = 0x87
_APPROXIMATE: Final = 0xA8
_EXTENSIBLE: Final = 0xA9
_CONTEXT_CLASS: Final = 0x80
_CLASS: Final = 0xC0
_NUMBER: Final = 0x1F
_LAST_CHOICE: Final = 9

_INITIAL: Final = 0x80
_ANY: Final = 0x81
_FINAL: Final = 0x82
_RULE: Final = 0x81
_TYPE: Final = 0x82
_VALUE: Final = 0x83
_DN_ATTRIBUTES: Final = 0x84


def decode_filter(reader: Reader) -> Filter:
    """Read the filter at hand. Raises PeerError where its encoding is broken, Unfit where it is wrong or too large."""
    return _Filters(reader).decode(MAX_DEPTH)


class _Filters:
    """Counts while it reads."""

    __slots__ = ("_left", "_reader")

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._left = MAX_FILTERS

    def decode(self, levels: int) -> Filter:
        """The filter at hand, which may have so many levels below it."""
        self._count()
        reader = self._reader
        choice = reader.peek()
        if choice == _EQUALITY:
            assertion = self._assertion(choice)
            return Equality(assertion[0], assertion[1])
        if choice == _PRESENT:
            return Present(reader.text(_PRESENT))
        if choice in (_AND, _OR, _NOT):
            if levels == 0:
                raise _too_large(f"a filter of more than {MAX_DEPTH} levels")
            outer = reader.open(choice)
            if choice == _NOT:
                found: Filter = Not(self.decode(levels - 1))
                if reader.more():
                    raise broken("two filters in one not")
            else:
                filters: list[Filter] = []
                while reader.more():
                    filters.append(self.decode(levels - 1))
                found = And(tuple(filters)) if choice == _AND else Or(tuple(filters))
            reader.end = outer
            return found
        return self._item(choice)

    def _item(self, choice: int) -> Filter:
        if choice == _SUBSTRINGS:
            return self._substrings()
        if choice == _EXTENSIBLE:
            return self._extensible()
        if choice in (_GREATER_OR_EQUAL, _LESS_OR_EQUAL, _APPROXIMATE):
            assertion = self._assertion(choice)
            if choice == _APPROXIMATE:
                return Approximate(assertion[0], assertion[1])
            made = GreaterOrEqual if choice == _GREATER_OR_EQUAL else LessOrEqual
            return made(assertion[0], assertion[1])
        if choice < 0 or choice & _CLASS != _CONTEXT_CLASS or choice & _NUMBER <= _LAST_CHOICE:
            raise broken("no filter" if choice < 0 else f"tag {choice:#04x} is no filter")
        self._reader.skip()
        return Unknown(choice)

    def _assertion(self, choice: int) -> tuple[str, bytes]:
        reader = self._reader
        outer = reader.open(choice)
        attribute = reader.text(OCTET_STRING)
        value = reader.octets(OCTET_STRING)
        reader.close(outer, b"\x04")
        return attribute, value

    def _substrings(self) -> Substrings:
        reader = self._reader
        outer = reader.open(_SUBSTRINGS)
        attribute = reader.text(OCTET_STRING)
        pieces = reader.open(SEQUENCE)
        if not reader.more():
            raise Unfit("substrings without any")
        initial = reader.octets(_INITIAL) if reader.peek() == _INITIAL else None
        middle: list[bytes] = []
        while reader.peek() == _ANY:
            self._count()
            middle.append(reader.octets(_ANY))
        final = reader.octets(_FINAL) if reader.peek() == _FINAL else None
        if reader.more():
            if reader.peek() in (_INITIAL, _ANY, _FINAL):
                raise Unfit("substrings out of order")
            raise broken(f"tag {reader.peek():#04x} among substrings")
        reader.close(pieces, b"")
        reader.close(outer, b"\x04\x30")
        return Substrings(attribute=attribute, initial=initial, any=tuple(middle), final=final)

    def _extensible(self) -> Extensible:
        reader = self._reader
        outer = reader.open(_EXTENSIBLE)
        rule = reader.text(_RULE) if reader.peek() == _RULE else None
        attribute = reader.text(_TYPE) if reader.peek() == _TYPE else None
        value = reader.octets(_VALUE)
        dn_attributes = reader.peek() == _DN_ATTRIBUTES and reader.boolean(_DN_ATTRIBUTES)
        reader.close(outer, b"\x81\x82\x83\x84")
        if rule is None and attribute is None:
            raise Unfit("a match by neither rule nor attribute")
        if attribute is None:
            self._count(WEIGHT_OF_ANY_ATTRIBUTE)
        return Extensible(rule=rule, attribute=attribute, value=value, dn_attributes=dn_attributes)

    def _count(self, weight: int = 1) -> None:
        self._left -= weight
        if self._left < 0:
            raise _too_large(f"more than {MAX_FILTERS} filters")


def _too_large(reason: str) -> Unfit:
    return Unfit(reason, code=ResultCode.ADMIN_LIMIT_EXCEEDED, limit="filter")
