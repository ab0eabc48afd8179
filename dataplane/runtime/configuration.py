"""What the outpost serves: each change from control brought to all workers, and what of it was refused.

Sign-outs that happen here are served at once as revocations of our own, under keys that control never sees, until
control's arrive. Resources that were refused are tried again with every change: what they lacked may have come.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from dataplane.link.endings import Ending
from dataplane.link.held import Change, Held, HeldResource, Rejection
from dataplane.link.translate import locally_ended
from dataplane.runtime.workers import Outcome

_LOCAL = "local/"
# No session lives longer than its provider allows, and none is allowed more.
_LONGEST_SESSION = 30 * 86400.0


class Crew(Protocol):
    """The workers, as far as configuring goes."""

    async def apply(self, changed: Mapping[str, HeldResource], removed: frozenset[str]) -> Outcome:
        """Bring all workers to this change, as far as it isn't refused."""
        ...


class Configuration:
    """The configuration in force. `updated` is when it last changed, None before the first."""

    def __init__(self, crew: Crew, clock: Callable[[], float], held: Held) -> None:
        self._crew = crew
        self._clock = clock
        self._lock = asyncio.Lock()
        # Known before it is served, so that control need not send it again; `restore` makes it true.
        self._served: Mapping[str, HeldResource] = held.resources
        self._refused: Mapping[str, HeldResource] = {}
        self._local: dict[str, float] = {}
        self._revision = held.revision
        self.rejections: tuple[Rejection, ...] = ()
        self.updated: float | None = None

    @property
    def held(self) -> Held:
        """What control may know of."""
        known = {key: resource for key, resource in self._served.items() if not key.startswith(_LOCAL)}
        return Held(revision=self._revision, resources=known)

    async def apply(self, change: Change) -> tuple[Rejection, ...]:
        """Make a change of control's; all that stands refused afterwards."""
        async with self._lock:
            retried = {key: each for key, each in self._refused.items() if key not in change.removed}
            changed = {**retried, **change.changed}
            outcome = await self._crew.apply(changed, change.removed | self._superseded(change.changed))
            if outcome.committed:
                self._revision = change.revision
            self._take(outcome)
            self.updated = self._clock()
            return outcome.rejections

    async def restore(self, endings: Iterable[Ending]) -> None:
        """Serve the last good state. To be called first: later changes wait for it."""
        async with self._lock:
            self._take(await self._crew.apply({**self._served, **self._revocations(endings)}, frozenset()))
            self.updated = self._clock()

    async def end_locally(self, endings: Iterable[Ending]) -> None:
        """Let sign-outs bite in every worker, whether or not control is there."""
        async with self._lock:
            self._take(await self._crew.apply({**self._refused, **self._revocations(endings)}, frozenset()))

    def _revocations(self, endings: Iterable[Ending]) -> dict[str, HeldResource]:
        return {each.key: each for each in map(self._revocation, endings)}

    def _revocation(self, ending: Ending) -> HeldResource:
        until = ending.at + _LONGEST_SESSION
        resource = locally_ended(ending.session, ending.at, until)
        self._local[resource.key] = until
        return resource

    def _superseded(self, changed: Mapping[str, HeldResource]) -> frozenset[str]:
        """Revocations of our own that control's replace, or that have run out."""
        now = self._clock()
        gone = frozenset(
            key for key, until in self._local.items() if until < now or key.removeprefix(_LOCAL) in changed
        )
        for key in gone:
            del self._local[key]
        return gone

    def _take(self, outcome: Outcome) -> None:
        self.rejections = outcome.rejections
        if outcome.committed:
            self._served = outcome.served
            self._refused = outcome.refused
