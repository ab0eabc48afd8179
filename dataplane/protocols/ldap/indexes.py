"""Indexes from what a value matches by to the slots of entries, each as small as what it is asked allows.

`Names` is a plain table, for the values by which people are looked up all day. `Codes` holds one number of 64 bits per
value in order, a dozen bytes in all: an order for what has one, a hash for the rest; whoever asks it compares the
values themselves afterwards. `Pieces` holds three octets at a time of every text of an entry, for all its attributes
together. All of them change in place; while a directory is loaded, `Codes` only collects, until `settle` orders it.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from dataplane.protocols.ldap.postings import SLOTS, with_slot, without_slot
from dataplane.protocols.ldap.schema import Key

_LEAST: Final = -(1 << 63)
_GREATEST: Final = (1 << 63) - 1
_SLOT_BITS: Final = 32
_SLOT_MASK: Final = (1 << _SLOT_BITS) - 1
_PREFIX: Final = 7
_DIGITS: Final = 14

PIECE: Final = 3
_FEW: Final = 64
_INTERSECTED: Final = 4
_COMMON_FROM: Final = 8192
_COMMON_PART: Final = 4

_EVERYBODY: Final = 1 << _SLOT_BITS
_EMPTY: Final = array(SLOTS)


class Names:
    """Slots by key: a number where there is one, as nearly always, else a sorted array."""

    __slots__ = ("_found",)

    def __init__(self) -> None:
        self._found: dict[Key, int | array[int]] = {}

    def find(self, key: Key) -> Sequence[int]:
        """The slots of a key, sorted; a copy."""
        found = self._found.get(key)
        if found is None:
            return ()
        if isinstance(found, int):
            return (found,)
        return found[:]

    def add(self, key: Key, slot: int) -> None:
        """Say that an entry has the key."""
        found = self._found.get(key)
        if found is None:
            self._found[key] = slot
        elif isinstance(found, int):
            if found != slot:
                self._found[key] = array(SLOTS, sorted((found, slot)))
        else:
            with_slot(found, slot)

    def remove(self, key: Key, slot: int) -> None:
        """Say that an entry hasn't the key any more."""
        found = self._found.get(key)
        if found is None or found == slot:
            self._found.pop(key, None)
        elif not isinstance(found, int):
            without_slot(found, slot)
            if len(found) == 1:
                self._found[key] = found[0]


def ordered_code(key: Key) -> int:
    """A number that is never smaller for a greater key."""
    if isinstance(key, int):
        return min(max(key, _LEAST), _GREATEST)
    # Times are the only long keys with an order that is asked for: whole seconds tell enough of them.
    if key[:_DIGITS].isdigit() and len(key) >= _DIGITS:
        return int(key[:_DIGITS])
    return int.from_bytes(key[:_PREFIX].ljust(_PREFIX, b"\0"), "big")


def hashed_code(key: Key) -> int:
    """A number that is the same for the same key, and hardly ever for another."""
    return hash(key)


class Codes:
    """Slots by code, in order of code and slot. An entry may have several codes."""

    __slots__ = ("_codes", "_settled", "_slots", "code")

    def __init__(self, code: Callable[[Key], int]) -> None:
        self.code = code
        self._codes = array("q")
        self._slots = array(SLOTS)
        self._settled = False

    def __len__(self) -> int:
        return len(self._slots)

    def add(self, key: Key, slot: int) -> None:
        """Say that an entry has the key."""
        code = self.code(key)
        if self._settled:
            place = self._place(code, slot)
            self._codes.insert(place, code)
            self._slots.insert(place, slot)
        else:
            self._codes.append(code)
            self._slots.append(slot)

    def remove(self, key: Key, slot: int) -> None:
        """Say that an entry hasn't the key any more."""
        self.settle()
        code = self.code(key)
        place = self._place(code, slot)
        if place < len(self._slots) and self._slots[place] == slot and self._codes[place] == code:
            self._codes.pop(place)
            self._slots.pop(place)

    def settle(self) -> None:
        """Put what was collected in order."""
        if not self._settled:
            # One number for both sorts in less time and space than pairs.
            both = sorted([code << _SLOT_BITS | slot for code, slot in zip(self._codes, self._slots, strict=True)])
            self._codes = array("q", [each >> _SLOT_BITS for each in both])
            self._slots = array(SLOTS, [each & _SLOT_MASK for each in both])
            self._settled = True

    def count(self, least: int, greatest: int) -> int:
        """How many values have a code from the least to the greatest."""
        self.settle()  # of an attribute that nobody had when the directory was loaded
        return bisect_right(self._codes, greatest) - bisect_left(self._codes, least)

    def find(self, least: int, greatest: int) -> Sequence[int]:
        """The slots of those values, sorted, each once."""
        self.settle()
        found = self._slots[bisect_left(self._codes, least) : bisect_right(self._codes, greatest)]
        return found if least == greatest else array(SLOTS, sorted(set(found)))

    def equal(self, key: Key) -> tuple[int, int]:
        """The code of a key, as the least and the greatest."""
        code = self.code(key)
        return code, code

    def at_least(self, key: Key) -> tuple[int, int]:
        """The codes of keys as great or greater."""
        return self.code(key), _GREATEST

    def at_most(self, key: Key) -> tuple[int, int]:
        """The codes of keys as small or smaller."""
        return _LEAST, self.code(key)

    @staticmethod
    def all() -> tuple[int, int]:
        """Every code there can be."""
        return _LEAST, _GREATEST

    def _place(self, code: int, slot: int) -> int:
        lowest = bisect_left(self._codes, code)
        if lowest == len(self._codes) or self._codes[lowest] != code:
            return lowest
        return bisect_left(self._slots, slot, lowest, bisect_right(self._codes, code, lowest))


class Pieces:
    """Slots by three octets of any text of an entry.

    What a large part of the directory has is no help in finding anything: such pieces are marked by None.
    """

    __slots__ = ("_found", "_holding", "_population")

    def __init__(self) -> None:
        self._found: dict[bytes, array[int] | None] = {}
        self._holding: dict[bytes, list[bytes]] | None = None
        self._population = 0

    def add(self, pieces: Iterable[bytes], slot: int) -> None:
        """Say that an entry has these pieces."""
        self._population = max(self._population, slot + 1)
        # While a directory is loaded the first entries are all there are: only a good number says anything.
        common = max(self._population, _COMMON_FROM) // _COMMON_PART
        found = self._found
        for piece in pieces:
            slots = found.get(piece, _EMPTY)
            if slots is None:
                continue
            if not slots:
                found[piece] = array(SLOTS, (slot,))
                self._holding = None
            elif slots[-1] < slot:
                slots.append(slot)
            else:
                with_slot(slots, slot)
            if len(slots) > common:
                found[piece] = None

    def remove(self, pieces: Iterable[bytes], slot: int) -> None:
        """Say that an entry hasn't these pieces any more."""
        for piece in pieces:
            slots = self._found.get(piece)
            if slots is None:
                continue
            without_slot(slots, slot)
            if not slots:
                del self._found[piece]
                self._holding = None

    def count(self, texts: Sequence[bytes]) -> int | None:
        """How many slots at most may hold all of the texts; None where these tell nothing."""
        sizes = [len(slots) for text in texts for slots in self._slots_of(text)]
        if sizes:
            return min(sizes)
        for text in texts:
            held = self._slots_of_short(text)
            if held is not None:
                return min(sum([len(slots) for slots in held]), self._population)
        return None

    def find(self, texts: Sequence[bytes]) -> Sequence[int]:
        """Slots that may hold all of the texts, sorted; for texts that tell something."""
        rarest = sorted([slots for text in texts for slots in self._slots_of(text)], key=len)
        if not rarest:
            return self._find_short(texts)
        found = rarest[0]
        for slots in rarest[1:_INTERSECTED]:
            if len(found) <= _FEW:
                break
            found = array(SLOTS, sorted(set(found).intersection(slots)))
        return found[:]

    def _find_short(self, texts: Sequence[bytes]) -> Sequence[int]:
        """The first short text that tells something is enough: what holds it has to be put together."""
        for text in texts:
            held = self._slots_of_short(text)
            if held is not None:
                return array(SLOTS, sorted(set[int]().union(*held)))
        return range(self._population)

    def _slots_of(self, text: bytes) -> "list[array[int]]":
        """The slots of each piece of a text, but for pieces that nearly all have; none for a shorter text."""
        found = [self._found.get(piece, _EMPTY) for piece in pieces_of(text)]
        return [slots for slots in found if slots is not None]

    def _slots_of_short(self, text: bytes) -> "list[array[int]] | None":
        """A text shorter than a piece is held by all that have a piece with it in it; None where that tells nothing."""
        if not 0 < len(text) < PIECE:
            return None
        total, held = 0, []
        for piece in self._pieces_holding(text):
            slots = self._found[piece]
            total += _EVERYBODY if slots is None else len(slots)
            if total > max(self._population, _COMMON_FROM):
                return None
            if slots is not None:
                held.append(slots)
        return held

    def _pieces_holding(self, text: bytes) -> Sequence[bytes]:
        if self._holding is None:
            holding: dict[bytes, list[bytes]] = {}
            for piece in self._found:
                for short in {piece[:1], piece[1:2], piece[2:], piece[:2], piece[1:]}:
                    holding.setdefault(short, []).append(piece)
            self._holding = holding
        return self._holding.get(text, ())


def pieces_of(text: bytes) -> set[bytes]:
    """Every three octets in a row."""
    return {text[place : place + PIECE] for place in range(len(text) - PIECE + 1)}
