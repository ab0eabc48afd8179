"""Names that somebody guesses at, and where from: for a while no kept answer serves them there.

Kept answers are compared with every guess. While control holds a name up, or can't be asked, whoever goes on guessing
would come in with the right one; so control's "wait" is remembered, and what can't be checked is counted. Where control
itself has let the name in with these credentials the answer goes on serving, unless the guesses come from there.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

FREE: Final = 10
"""Guesses that can't be checked, of a name, or of a name from one client, before they wait."""
WAIT: Final = 300.0
"""Seconds without a further guess until the next is free again."""
_MOST: Final = 20_000
_ANYWHERE: Final = None


class Suspects:
    """`clock` gives seconds. Places are held as hashes, for names may be long; of too many the oldest are forgotten."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until: OrderedDict[int, float] = OrderedDict()
        self._missed: OrderedDict[int, tuple[int, float]] = OrderedDict()

    def hold(self, username: str, client: str, seconds: float) -> None:
        """Control says that this name has to wait."""
        until = self._clock() + seconds
        for place in _places(username, client):
            self._until.pop(place, None)
            self._until[place] = until
        _shorten(self._until)

    def miss(self, username: str, client: str) -> None:
        """Credentials could not be checked: control can't be asked, and they aren't among those it let in."""
        now = self._clock()
        for place in _places(username, client):
            count, last = self._missed.pop(place, (0, now))
            self._missed[place] = (count + 1 if now - last < WAIT else 1), now
        _shorten(self._missed)

    def is_held(self, username: str, client: str, *, is_known_there: bool) -> bool:
        """Whether no kept answer is for this name and client now; `is_known_there`: control let them in from there."""
        here, anywhere = _places(username, client)
        return self._waits(here) or (not is_known_there and self._waits(anywhere))

    def _waits(self, place: int) -> bool:
        now = self._clock()
        if self._until.get(place, now) > now:
            return True
        count, last = self._missed.get(place, (0, now))
        return count >= FREE and now - last < WAIT


def _places(username: str, client: str) -> tuple[int, int]:
    return hash((username, client)), hash((username, _ANYWHERE))


def _shorten(places: OrderedDict[int, float] | OrderedDict[int, tuple[int, float]]) -> None:
    while len(places) > _MOST:
        places.popitem(last=False)
