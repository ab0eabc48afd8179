"""How many questions about credentials are under way: of one client, of strangers, of all.

A client is known while somebody has come in from it of late. Strangers have a share of the places together and a small
one each, so that however many come, those that are known are still asked about.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

_MOST_KNOWN: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """How many may be under way at once."""

    all: int = 64
    of_strangers: int = 48
    of_client: int = 16
    of_stranger: int = 16


class Crowd:
    """Those under way. `limits` counts how often which was hit."""

    def __init__(self, places: Places, limits: Counter[str]) -> None:
        self._places = places
        self._limits = limits
        self._of_client: Counter[str] = Counter()
        self._of_strangers = 0
        self._known: OrderedDict[str, None] = OrderedDict()

    def know(self, client: str) -> None:
        """Somebody has come in from there; of too many clients the one that was longest without is forgotten."""
        self._known[client] = None
        self._known.move_to_end(client)
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)

    def is_full_for(self, client: str) -> bool:
        """Whether no place is left for one more question of this client."""
        places, is_known = self._places, client in self._known
        most = places.of_client if is_known else places.of_stranger
        if self._of_client[client] >= most:
            self._limits["attempts_of_client"] += 1
            return True
        if self._of_client.total() >= places.all or (not is_known and self._of_strangers >= places.of_strangers):
            self._limits["attempts"] += 1
            return True
        return False

    @contextmanager
    def entered(self, client: str) -> Iterator[None]:
        """Take a place for as long as this lasts."""
        stranger = client not in self._known
        self._of_client[client] += 1
        self._of_strangers += stranger
        try:
            yield
        finally:
            self._of_strangers -= stranger
            self._of_client[client] -= 1
            if not self._of_client[client]:
                del self._of_client[client]
