"""Server-side sorting (RFC 2891) of what a search has found.

Entries are in the order of their least value of the first key, then of the next; those without a value count as
greater than all others (section 2.2). An attribute that has no ordering rule is sorted by what it is equal by.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dataplane.protocols.ldap.candidates import Held
from dataplane.protocols.ldap.messages import ResultCode, SortKey
from dataplane.protocols.ldap.schema import AttributeType, Key, Rule, RuleKind, Schema
from dataplane.protocols.ldap.tree import CODES
from dataplane.protocols.ldap.views import View

MAX_SORTED: Final = 20_000
"""Entries that are sorted at most: what takes some tens of milliseconds."""

Place = tuple[int, tuple[tuple[bool, Key], ...]]
"""An entry, and of each key whether it has none, and the key."""


@dataclass(frozen=True, slots=True)
class Order:
    """One key, resolved."""

    type: AttributeType
    rule: Rule
    reverse: bool


@dataclass(frozen=True, slots=True)
class Unsortable:
    """Why a key can't be sorted by, and its attribute (RFC 2891 section 1.2)."""

    code: ResultCode
    attribute: str


def orders_of(keys: Sequence[SortKey], schema: Schema) -> tuple[Order, ...] | Unsortable:
    """Find attributes and rules of the keys."""
    orders = []
    for key in keys:
        order = _order(key, schema)
        if isinstance(order, Unsortable):
            return order
        orders.append(order)
    return tuple(orders)


def place_of(view: View, code: int, orders: Sequence[Order]) -> Place:
    """What an entry is sorted by."""
    return code, tuple([_least(view, code, order) for order in orders])


def in_order(places: list[Place], orders: Sequence[Order]) -> Sequence[int]:
    """The entries, sorted; where all keys are equal, as they were."""
    for each in reversed(range(len(orders))):
        places.sort(key=lambda place: place[1][each], reverse=orders[each].reverse)
    return array(CODES, [code for code, _ in places])


def _order(key: SortKey, schema: Schema) -> Order | Unsortable:
    kind = schema.find(key.attribute)
    if kind is None:
        return Unsortable(ResultCode.NO_SUCH_ATTRIBUTE, key.attribute)
    rule = kind.ordering or kind.equality if key.rule is None else schema.find_rule(key.rule)
    if rule is None or (key.rule is not None and (rule.kind is not RuleKind.ORDERING or not _fits(rule, kind))):
        return Unsortable(ResultCode.INAPPROPRIATE_MATCHING, key.attribute)
    return Order(kind, rule, key.reverse)


def _fits(rule: Rule, kind: AttributeType) -> bool:
    return kind.syntax.oid in rule.syntaxes


def _least(view: View, code: int, order: Order) -> tuple[bool, Key]:
    """What the entry is sorted by; first whether it has no such value."""
    values = Held(view.tree, code, view.among).values(order.type)
    keys = [key for value in values if (key := order.rule.normalise(value)) is not None]
    numbers = [key for key in keys if isinstance(key, int)]
    texts = [key for key in keys if isinstance(key, bytes)]
    if numbers:
        return False, min(numbers)
    return (False, min(texts)) if texts else (True, b"")
