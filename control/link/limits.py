"""What one outpost may take of the link: its machine may be in other hands, and the others must not suffer.

Whoever wants more is refused with RESOURCE_EXHAUSTED and counted in `garrison_link_refused_total` under the reason;
what is only said too fast is read no faster, and waits on the sender's side (RFC 9113 section 5.2).
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic

import grpc

from control.link.caller import CallRefused


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of each, for one outpost or one of its instances.

    `hellos` of an instance at once, and one more every `hello_seconds`; so with the messages of one stream. An
    instance may say that it holds four times what it should, and `held` resources in any case: those that were removed
    while it was away.
    """

    streams_of_outpost: int = 2_000
    streams_of_instance: int = 8
    calls_of_outpost: int = 512
    hellos: int = 60
    hello_seconds: float = 2.0
    messages: int = 1_000
    message_seconds: float = 0.01
    held: int = 50_000

    def most_held(self, wanted: int) -> int:
        """How many resources an instance may say it holds that is to hold so many."""
        return max(self.held, 4 * wanted)


def exhausted(reason: str, message: str) -> CallRefused:
    """The refusal of whoever wants too much."""
    return CallRefused(grpc.StatusCode.RESOURCE_EXHAUSTED, reason, message)


class Crowd:
    """How many are inside at the moment, by key."""

    def __init__(self) -> None:
        self._inside: Counter[Hashable] = Counter()

    @contextmanager
    def entered(self, key: Hashable, most: int, reason: str) -> Iterator[None]:
        """Be inside for the time of the block. Raises CallRefused where `most` are."""
        if self._inside[key] >= most:
            raise exhausted(reason, f"{reason.replace('_', ' ')}: {most} at a time are served")
        self._inside[key] += 1
        try:
            yield
        finally:
            self._inside[key] -= 1
            if not self._inside[key]:
                del self._inside[key]


class Allowance:
    """So many at once and one more every `seconds`, for each key (the generic cell rate algorithm, ITU-T I.371)."""

    def __init__(self, most: int, seconds: float, clock: Callable[[], float] = monotonic) -> None:
        self._span = most * seconds
        self._seconds = seconds
        self._clock = clock
        # When all that was spent will have been given back.
        self._paid: dict[Hashable, float] = {}
        self._sweep_at = 1024

    def spend(self, key: Hashable) -> bool:
        """Take one; False where there is none left."""
        paid = self._after_one(key)
        if self._early(paid) > 0:
            return False
        self._pay(key, paid)
        return True

    async def wait(self, key: Hashable) -> None:
        """Take one, and come back when it is there."""
        paid = self._after_one(key)
        self._pay(key, paid)
        early = self._early(paid)
        if early > 0:
            await asyncio.sleep(early)

    def _after_one(self, key: Hashable) -> float:
        return max(self._paid.get(key, 0.0), self._clock()) + self._seconds

    def _early(self, paid: float) -> float:
        return paid - self._clock() - self._span

    def _pay(self, key: Hashable, paid: float) -> None:
        self._paid[key] = paid
        self._sweep()

    def _sweep(self) -> None:
        """Forget who has everything back, whenever there are twice as many as were left the last time."""
        if len(self._paid) >= self._sweep_at:
            now = self._clock()
            self._paid = {key: paid for key, paid in self._paid.items() if paid > now}
            self._sweep_at = max(1024, 2 * len(self._paid))
