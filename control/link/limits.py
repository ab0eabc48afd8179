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

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much of each, for one outpost or one of its instances; bytes, and seconds.

    `hellos` of an instance at once, and one more every `hello_seconds`; so with its messages, on all its streams, and
    with their bytes: `burst_bytes` at once and `second_bytes` each second. An instance may say that it holds four times
    what it should, and `held` resources in any case: those that were removed while it was away. A Hello in parts has
    at most `hello_bytes`, pauses for `hello_silence` and takes `hello_seconds_in_all`; so long the first one is waited
    for. An outpost may have `newcomers` at once, and one every `newcomer_seconds`: instances that were never seen. Of
    `events` for the audit trail it may tell so many at once, and one more every `event_seconds`; `reports` at a time.
    """

    streams_of_outpost: int = 2_000
    streams_of_instance: int = 8
    calls_of_outpost: int = 512
    hellos: int = 60
    hello_seconds: float = 2.0
    messages: int = 1_000
    message_seconds: float = 0.01
    burst_bytes: int = 16 * MEBIBYTE
    second_bytes: int = 4 * MEBIBYTE
    held: int = 50_000
    hello_bytes: int = 32 * MEBIBYTE
    hello_silence: float = 10.0
    hello_seconds_in_all: float = 60.0
    newcomers: int = 2_000
    newcomer_seconds: float = 1.0
    reports: int = 4
    events: int = 200_000
    event_seconds: float = 0.01

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


class Pile:
    """How much is kept at the moment, by key."""

    def __init__(self, most: int, reason: str) -> None:
        self._kept: Counter[Hashable] = Counter()
        self._most = most
        self._reason = reason

    def add(self, key: Hashable, size: int) -> None:
        """Keep more. Raises CallRefused where that is too much."""
        if self._kept[key] + size > self._most:
            raise exhausted(self._reason, f"{self._reason.replace('_', ' ')}: {self._most} bytes at a time are kept")
        self._kept[key] += size

    def remove(self, key: Hashable, size: int) -> None:
        """Keep so much no longer."""
        self._kept[key] -= size
        if self._kept[key] <= 0:
            del self._kept[key]


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
        if self._early(key, 1) > 0:
            return False
        self.pay(key, 1)
        return True

    async def until_some(self, key: Hashable) -> None:
        """Come back when there is some left: of all who wait, one at a time where each pays at once."""
        while (early := self._early(key, 1)) > 0:  # noqa: ASYNC110 - it is the clock that is waited for
            await asyncio.sleep(early)

    def pay(self, key: Hashable, count: int) -> None:
        """Take so many, though they may be more than there are: what is owed has to be waited for."""
        self._paid[key] = self._after(key, count)
        self._sweep()

    def _after(self, key: Hashable, count: int) -> float:
        return max(self._paid.get(key, 0.0), self._clock()) + count * self._seconds

    def _early(self, key: Hashable, count: int) -> float:
        return self._after(key, count) - self._clock() - self._span

    def _sweep(self) -> None:
        """Forget who has everything back, whenever there are twice as many as were left the last time."""
        if len(self._paid) >= self._sweep_at:
            now = self._clock()
            self._paid = {key: paid for key, paid in self._paid.items() if paid > now}
            self._sweep_at = max(1024, 2 * len(self._paid))
