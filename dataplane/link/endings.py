"""Sign-outs on their way to control: a bounded queue, kept by the supervisor and saved with the last good state.

Workers hand each sign-out to the supervisor, so none is lost with a worker; while control is away it waits here.
"""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass

MAX_ENDINGS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """The sign-in behind a session is to end. `at` is when the person asked, in POSIX seconds."""

    provider: str
    session: str
    at: float


class Endings:
    """First in, first out, one entry per session; when full the oldest is dropped and counted."""

    def __init__(self, waiting: tuple[Ending, ...] = ()) -> None:
        self._waiting = OrderedDict((ending.session, ending) for ending in waiting)
        self._some = asyncio.Event()
        self.dropped = 0
        if waiting:
            self._some.set()

    @property
    def waiting(self) -> tuple[Ending, ...]:
        """All that wait, the oldest first."""
        return tuple(self._waiting.values())

    def add(self, ending: Ending) -> None:
        """Queue one; a session already waiting keeps its place."""
        self._waiting.setdefault(ending.session, ending)
        if len(self._waiting) > MAX_ENDINGS:
            self._waiting.popitem(last=False)
            self.dropped += 1
        self._some.set()

    def remove(self, ending: Ending) -> None:
        """Control has it."""
        self._waiting.pop(ending.session, None)
        if not self._waiting:
            self._some.clear()

    def postpone(self, ending: Ending) -> None:
        """Control could not take it now: the others come first, or one that it never can take would hold up all."""
        if ending.session in self._waiting:
            self._waiting.move_to_end(ending.session)

    async def first(self) -> Ending:
        """The oldest; waits until there is one."""
        await self._some.wait()
        return next(iter(self._waiting.values()))
