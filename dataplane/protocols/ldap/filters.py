"""Filters as they are evaluated: attribute types and keys instead of names and values (RFC 4511 section 4.5.1.7).

`filters_resolve.resolve` makes these from the filter a client sent; the tree's indexes and `filters_match.matches`
read them. Whatever can't be evaluated is `Undefined`, for every entry alike; of the rest a node is true or false of an
entry, and false where the entry has no such attribute.
"""

from dataclasses import dataclass

from dataplane.protocols.ldap.messages import ResultCode
from dataplane.protocols.ldap.schema import AttributeType, Key, Rule


@dataclass(frozen=True, slots=True)
class Every:
    """True where all are; without any, always (RFC 4526)."""

    nodes: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Some:
    """True where one is; without any, never (RFC 4526)."""

    nodes: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Inverse:
    """True where false and false where true."""

    node: "Node"


@dataclass(frozen=True, slots=True)
class Has:
    """The entry has the attribute."""

    type: AttributeType


@dataclass(frozen=True, slots=True)
class Equal:
    """A value's key by the rule is this key. `rule` is the type's own equality unless the client named another."""

    type: AttributeType
    rule: Rule
    key: Key


@dataclass(frozen=True, slots=True)
class AtLeast:
    """A value's key by the rule is this one or greater."""

    type: AttributeType
    rule: Rule
    key: Key


@dataclass(frozen=True, slots=True)
class AtMost:
    """A value's key by the rule is this one or smaller."""

    type: AttributeType
    rule: Rule
    key: Key


@dataclass(frozen=True, slots=True)
class Below:
    """A value's key by the rule is smaller: what an ordering rule in an extensible match says (RFC 4517 4.1)."""

    type: AttributeType
    rule: Rule
    key: Key


@dataclass(frozen=True, slots=True)
class Holds:
    """A value's key, spread by the rule, begins with `initial`, holds `any` in this order and ends with `final`.

    Pieces are as the rule prepares them, don't overlap, and None or no pieces where the client gave none.
    """

    type: AttributeType
    rule: Rule
    initial: bytes | None
    any: tuple[bytes, ...]
    final: bytes | None


@dataclass(frozen=True, slots=True)
class AllBits:
    """An integer value has every bit of the mask (1.2.840.113556.1.4.803)."""

    type: AttributeType
    mask: int


@dataclass(frozen=True, slots=True)
class AnyBit:
    """An integer value has a bit of the mask (1.2.840.113556.1.4.804)."""

    type: AttributeType
    mask: int


@dataclass(frozen=True, slots=True)
class InChain:
    """The DN of the key is reached by following the attribute from entry to entry (1.2.840.113556.1.4.1941)."""

    type: AttributeType
    key: bytes


@dataclass(frozen=True, slots=True)
class InName:
    """The test is true of what the entry's own DN says: `:dn` of an extensible match."""

    test: Equal | Below | Holds | AllBits | AnyBit


@dataclass(frozen=True, slots=True)
class Undefined:
    """Can't be evaluated: neither true nor false of any entry. `code` is what a compare answers for it."""

    code: ResultCode


Node = (
    Every
    | Some
    | Inverse
    | Has
    | Equal
    | AtLeast
    | AtMost
    | Below
    | Holds
    | AllBits
    | AnyBit
    | InChain
    | InName
    | Undefined
)

# What no entry can be.
NOTHING = Some(())


def is_held(text: bytes, node: Holds) -> bool:
    """Whether a value's spread key begins with, holds and ends with the pieces of a substring filter."""
    position, end = 0, len(text)
    if node.initial is not None:
        if not text.startswith(node.initial):
            return False
        position = len(node.initial)
    if node.final is not None:
        end -= len(node.final)
        if end < position or not text.endswith(node.final):
            return False
    for piece in node.any:
        found = text.find(piece, position, end)
        if found < 0:
            return False
        position = found + len(piece)
    return True
