"""Sets of entries by slot, as indexes give them and filters combine them.

A posting names `candidates`, which hold every slot of the set and perhaps more, and decides for one slot whether it
is in. So an intersection asks its smallest part for candidates and the others about each; nothing is built that is
larger than that part. Candidates are a copy of the moment, decisions are of now: entries may come and go between.
"""

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

SLOTS: Final = "I"
"""The type code of an array of slots."""


def with_slot(slots: "array[int]", slot: int) -> None:
    """Put a slot in its place of a sorted array, once."""
    if not slots or slots[-1] < slot:
        slots.append(slot)
        return
    place = bisect_left(slots, slot)
    if slots[place] != slot:
        slots.insert(place, slot)


def without_slot(slots: "array[int]", slot: int) -> None:
    """Take a slot out of a sorted array, if it is there."""
    place = bisect_left(slots, slot)
    if place < len(slots) and slots[place] == slot:
        slots.pop(place)


class Posting:
    """A set of slots.

    `size` is how many candidates there are at most, `exact` that each of them is in the set, and `weight` how many
    tests of a microsecond or so it takes to decide for a slot.
    """

    __slots__ = ("exact", "size", "weight")

    def __init__(self, size: int, *, exact: bool, weight: int = 1) -> None:
        self.size = size
        self.exact = exact
        self.weight = weight

    def candidates(self) -> Iterable[int]:
        """Every slot of the set, and where it isn't exact others, each once; nobody changes it afterwards."""
        raise NotImplementedError  # each kind of set has its own

    def holds(self, slot: int) -> bool:
        """Whether the slot is in the set."""
        raise NotImplementedError  # each kind of set has its own

    def confirms(self, slot: int) -> bool:
        """The same, for a slot that is one of the candidates."""
        return self.exact or self.holds(slot)


class Nothing(Posting):
    """The empty set."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(0, exact=True)

    def candidates(self) -> Iterable[int]:
        """None."""
        return ()

    def holds(self, slot: int) -> bool:  # noqa: ARG002  the same for all
        """No."""
        return False


NOTHING: Final = Nothing()


class Everything(Posting):
    """All slots."""

    __slots__ = ("_population",)

    def __init__(self, population: int) -> None:
        super().__init__(population, exact=True)
        self._population = population

    def candidates(self) -> Iterable[int]:
        """As many as there are."""
        return range(self._population)

    def holds(self, slot: int) -> bool:  # noqa: ARG002  the same for all
        """Yes."""
        return True


class Known(Posting):
    """Slots that are known one by one: few, or sorted."""

    __slots__ = ("_slots",)

    def __init__(self, slots: Sequence[int]) -> None:
        super().__init__(len(slots), exact=True)
        self._slots = slots

    def candidates(self) -> Iterable[int]:
        """All of them."""
        return self._slots

    def holds(self, slot: int) -> bool:
        """Found by halving."""
        place = bisect_left(self._slots, slot)
        return place < self.size and self._slots[place] == slot


class Tested(Posting):
    """Candidates, of which a test tells those that are in; the test is right for every slot."""

    __slots__ = ("_find", "_test")

    def __init__(
        self, size: int, find: Callable[[], Iterable[int]], test: Callable[[int], bool], weight: int = 1
    ) -> None:
        super().__init__(size, exact=False, weight=weight)
        self._find = find
        self._test = test

    def candidates(self) -> Iterable[int]:
        """What the index found."""
        return self._find()

    def holds(self, slot: int) -> bool:
        """What the test says."""
        return self._test(slot)


class Without(Posting):
    """All slots but those of another set."""

    __slots__ = ("_other", "_population")

    def __init__(self, other: Posting, population: int) -> None:
        super().__init__(population, exact=False, weight=other.weight)
        self._other = other
        self._population = population

    def candidates(self) -> Iterable[int]:
        """Every slot there is: putting together which are left over would take longer than asking about each."""
        return range(self._population)

    def holds(self, slot: int) -> bool:
        """Whether the other set hasn't got it."""
        return not self._other.holds(slot)


class Both(Posting):
    """Slots that are in each of several sets, of which there is at least one."""

    __slots__ = ("_first", "_others")

    def __init__(self, parts: Sequence[Posting]) -> None:
        # Sets of one size keep the client's order: it may know which is decided most easily.
        ordered = sorted(parts, key=_size)
        self._first = ordered[0]
        self._others = ordered[1:]
        super().__init__(self._first.size, exact=False, weight=sum([part.weight for part in parts]))

    def candidates(self) -> Iterable[int]:
        """Those of the smallest."""
        return self._first.candidates()

    def holds(self, slot: int) -> bool:
        """Whether all have it."""
        return self._first.holds(slot) and self._others_hold(slot)

    def confirms(self, slot: int) -> bool:
        """The smallest needn't be asked twice."""
        return self._first.confirms(slot) and self._others_hold(slot)

    def _others_hold(self, slot: int) -> bool:
        for other in self._others:  # noqa: SIM110  a loop, not all(): asked of every candidate
            if not other.holds(slot):
                return False
        return True


class Either(Posting):
    """Slots that are in any of several sets, of which there is at least one."""

    __slots__ = ("_parts", "_population")

    def __init__(self, parts: Sequence[Posting], population: int) -> None:
        total, exact = 0, True
        for part in parts:
            total += part.size
            exact = exact and part.exact
        # Where the parts together are as many as there are, each slot is asked about once and no union is made.
        self._population = population
        self._parts = parts
        weight = 1 if exact and total < population else sum([part.weight for part in parts])
        super().__init__(min(total, population), exact=exact and total < population, weight=weight)

    def candidates(self) -> Iterable[int]:
        """The union, one part after the other."""
        if self.size >= self._population:
            return range(self._population)
        # What is known is copied now, what is to be looked for is looked for in its turn.
        return self._united([part.candidates() if part.exact else part for part in self._flat()])

    def _united(self, parts: "Sequence[Iterable[int] | Posting]") -> Iterator[int]:
        seen = bytearray(self._population)
        for part in parts:
            for slot in part.candidates() if isinstance(part, Posting) else part:
                # What has come since is found by who asks next.
                if slot < self._population and not seen[slot]:
                    seen[slot] = 1
                    yield slot

    def _flat(self) -> "Iterator[Posting]":
        """The parts, and in place of unions theirs: of unions in unions each slot is put in its place once."""
        waiting: list[Posting] = [self]
        while waiting:
            part = waiting.pop()
            if isinstance(part, Either) and part.size < self._population:
                waiting.extend(part._parts)
            else:
                yield part

    def holds(self, slot: int) -> bool:
        """Whether one has it."""
        for part in self._parts:  # noqa: SIM110  a loop, not any(): asked of every candidate
            if part.holds(slot):
                return True
        return False


def both(parts: Sequence[Posting]) -> Posting:
    """What is in each of at least one set."""
    parts = list(dict.fromkeys(parts))
    if len(parts) == 1:
        return parts[0]
    for part in parts:
        if not part.size:
            return NOTHING
    return Both(parts)


def either(parts: Sequence[Posting], population: int) -> Posting:
    """What is in any of the sets, of which there may be none."""
    some = [part for part in dict.fromkeys(parts) if part.size]
    if len(some) > 1:
        return Either(some, population)
    return some[0] if some else NOTHING


def _size(posting: Posting) -> int:
    return posting.size
