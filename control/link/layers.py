"""What an outpost is to hold, as a mapping in layers, some of which many outposts share; and how two of these differ.

A layer is never altered: one that is as before is the same object, which is how most differences are found to be none.
How it differs from an older one is worked out once, for all streams that ask.
"""

from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

Item = TypeVar("Item")


class Layer(Generic[Item]):
    """Items by key; equal only to itself."""

    __slots__ = ("__weakref__", "_since", "items")

    def __init__(self, items: Mapping[str, Item]) -> None:
        self.items = items
        self._since: WeakKeyDictionary[Layer[Item], frozenset[str]] = WeakKeyDictionary()

    def since(self, older: "Layer[Item]") -> frozenset[str]:
        """The keys of what is new, different or gone."""
        if older is self:
            return frozenset()
        known = self._since.get(older)
        if known is None:
            known = self._since[older] = frozenset(differing(older.items, self.items))
        return known


class Layers(Mapping[str, Item]):
    """Layers that have no key in common, as one mapping."""

    __slots__ = ("_layers",)

    def __init__(self, *layers: Layer[Item]) -> None:
        self._layers = layers

    def __getitem__(self, key: str) -> Item:
        for layer in self._layers:
            if key in layer.items:
                return layer.items[key]
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        for layer in self._layers:
            yield from layer.items

    def __len__(self) -> int:
        return sum(len(layer.items) for layer in self._layers)

    def since(self, older: "Layers[Item]") -> set[str]:
        """The keys of what is new, different or gone, where both have the same layers."""
        pairs = zip(older._layers, self._layers, strict=True)
        return {key for before, now in pairs for key in now.since(before)}


def differing(older: Mapping[str, Item], newer: Mapping[str, Item]) -> set[str]:
    """The keys whose items differ, or which only one of them has."""
    if isinstance(older, Layers) and isinstance(newer, Layers):
        return newer.since(older)
    new = {key for key, item in newer.items() if key not in older or not _is_same(older[key], item)}
    return new | (older.keys() - newer.keys())


def _is_same(one: Item, other: Item) -> bool:
    return one is other or one == other
