"""Which attributes a search asks for (RFC 4511 section 4.5.1.8).

`*` and nothing at all mean those of users, `+` the operational ones (RFC 3673), `1.1` none, `@class` those of an object
class (RFC 4529). What nobody knows is ignored, and so is what has options, which no entry has.
"""

from dataclasses import dataclass
from typing import Final

from dataplane.protocols.ldap.schema import AttributeType, Schema

_ALL_OF_USERS: Final = "*"
_ALL_OPERATIONAL: Final = "+"
_OF_CLASS: Final = "@"
_REMEMBERED: Final = 256
_LONGEST: Final = 50
_LARGEST: Final = 1024
"""Of what is remembered: how many names, and characters in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """All attributes of users, all operational ones, and those named, by their lower-case names as sent.

    `named_types` are the latter once more; `every` names all there are.
    """

    of_users: bool
    operational: bool
    named: frozenset[bytes]
    named_types: frozenset[AttributeType]
    types_only: bool
    every: frozenset[bytes]

    def wants(self, kind: AttributeType) -> bool:
        """Whether an attribute is to be sent."""
        return (self.operational if kind.operational else self.of_users) or kind in self.named_types


def selection_of(attributes: tuple[str, ...], *, types_only: bool, schema: Schema) -> Selection:
    """Read the attributes of a search."""
    named: set[AttributeType] = set()
    for description in attributes:
        if description.startswith(_OF_CLASS):
            named.update(_of_class(description[1:], schema))
        elif (kind := schema.find(description)) is not None:
            named.add(kind)
    return Selection(
        of_users=not attributes or _ALL_OF_USERS in attributes,
        operational=_ALL_OPERATIONAL in attributes,
        named=frozenset(kind.wire_key for kind in named),
        named_types=frozenset(named),
        types_only=types_only,
        every=frozenset(kind.wire_key for kind in schema.types),
    )


class Selections:
    """Selections that were read before: clients ask for the same ones all day."""

    __slots__ = ("_read", "_schema")

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._read: dict[tuple[tuple[str, ...], bool], Selection] = {}

    def get(self, attributes: tuple[str, ...], types_only: bool) -> Selection:
        """The selection of these attributes."""
        found = self._read.get((attributes, types_only))
        if found is None:
            found = selection_of(attributes, types_only=types_only, schema=self._schema)
            if len(attributes) <= _LONGEST and sum(map(len, attributes)) <= _LARGEST:
                if len(self._read) >= _REMEMBERED:
                    self._read.clear()
                self._read[attributes, types_only] = found
        return found


def _of_class(name: str, schema: Schema) -> set[AttributeType]:
    """What an object class and those above it demand and allow."""
    found: set[AttributeType] = set()
    classes = {each.name.lower(): each for each in schema.classes} | {each.oid: each for each in schema.classes}
    at_hand = classes.get(name.lower())
    while at_hand is not None:
        found.update(kind for each in (*at_hand.must, *at_hand.may) if (kind := schema.find(each)) is not None)
        at_hand = classes.get(at_hand.superior.lower()) if at_hand.superior else None
    return found
