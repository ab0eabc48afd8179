"""What the outpost serves: each change from control brought to all workers, and what of it was refused.

Sign-outs that happen here are served at once as revocations of our own, under keys that control never sees, until
control's arrive; however many come, they wait for one change, and control's never wait behind more than one of them.
Resources that were refused are tried again with every change: what they lacked may have come. Those that the workers
could not judge, because they failed, are tried again by themselves, in `retry`.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from dataplane.link.endings import Ending
from dataplane.link.held import Change, Held, HeldResource, NotApplied, Rejection
from dataplane.link.translate import locally_ended
from dataplane.runtime.rollout import Outcome

_LOCAL = "local/"
# No session lives longer than its provider allows, and none is allowed more.
_LONGEST_SESSION = 30 * 86400.0


class Crew(Protocol):
    """The workers, as far as configuring goes."""

    async def apply(self, changed: Mapping[str, HeldResource], removed: frozenset[str]) -> Outcome:
        """Bring all workers to this change, as far as it isn't refused. Raises NotApplied."""
        ...


class Configuration:
    """The configuration in force. `updated` is when it last changed, None before the first."""

    def __init__(self, crew: Crew, clock: Callable[[], float], held: Held) -> None:
        self._crew = crew
        self._clock = clock
        self._lock = asyncio.Lock()
        # Known before it is served, so that control need not send it again; `restore` makes it true.
        self._served: Mapping[str, HeldResource] = held.resources
        self._saved: Mapping[str, HeldResource] = held.resources
        self._refused: Mapping[str, HeldResource] = {}
        self._failed: Mapping[str, HeldResource] = {}
        # Our own revocations: until when those in force count, and those that are not yet in force.
        self._local: dict[str, float] = {}
        self._waiting: dict[str, HeldResource] = {}
        self._some_wait = asyncio.Event()
        self.revision = held.revision
        self.rejections: tuple[Rejection, ...] = ()
        self.updated: float | None = None

    @property
    def held(self) -> Held:
        """What control may know of."""
        known = dict(self._served)
        for key in self._local:
            known.pop(key, None)
        return Held(revision=self.revision, resources=known)

    @property
    def count(self) -> int:
        """How many resources that is."""
        return len(self._served) - sum(key in self._served for key in self._local)

    def find(self, key: str) -> HeldResource | None:
        """One resource of it."""
        return self._served.get(key)

    async def apply(self, change: Change) -> tuple[Rejection, ...]:
        """Make a change of control's; all that stands refused afterwards. Raises NotApplied."""
        async with self._lock:
            changed = {**_without(self._refused, change.removed), **change.changed}
            outcome = await self._bring(changed, change.removed)
            self.revision = change.revision
            postponed = _without(self._failed, change.changed.keys() | change.removed)
            self._judge(outcome, postponed)
            return self.rejections

    async def restore(self, endings: Iterable[Ending]) -> None:
        """Serve the last good state. To be called first: later changes wait for it. Raises NotApplied."""
        async with self._lock:
            for ending in endings:
                self.end(ending)
            # At a second try something may be served already, and that is newer.
            self._judge(await self._bring({**self._saved, **self._served}, frozenset()), {})
            self._saved = {}

    async def retry(self) -> None:
        """Try again what the workers failed on, if there is anything. Raises NotApplied."""
        async with self._lock:
            if self._failed:
                self._judge(await self._bring({**self._refused, **self._failed}, frozenset()), {})

    def end(self, ending: Ending) -> bool:
        """Take a sign-out that happened here; False when it is known already."""
        until = ending.at + _LONGEST_SESSION
        resource = locally_ended(ending.session, until)
        known = (resource.key.removeprefix(_LOCAL), resource.key)
        if any(key in self._served or key in self._waiting for key in known):
            return False
        self._waiting[resource.key] = resource
        self._local[resource.key] = until
        self._some_wait.set()
        return True

    async def follow_endings(self) -> None:
        """Let sign-outs bite in every worker, whether or not control is there. Never returns by itself."""
        while True:
            await self._some_wait.wait()
            async with self._lock:
                # One of control's changes may have taken them along.
                if not self._some_wait.is_set():
                    continue
                outcome = await self._bring({}, frozenset())
                # Nothing else was tried: what stands refused goes on standing.
                self._refused = {**self._refused, **outcome.refused}
                self.rejections = (*self.rejections, *outcome.rejections)

    async def _bring(self, changed: Mapping[str, HeldResource], removed: frozenset[str]) -> Outcome:
        """Bring the workers to a change, with the sign-outs that wait. Raises NotApplied."""
        superseded = self._superseded(changed)
        waiting = _without(self._waiting, superseded)
        try:
            outcome = await self._crew.apply({**waiting, **changed}, removed | superseded)
        except NotApplied:
            self._some_wait.set()
            raise
        self._served = outcome.served
        for key in superseded:
            del self._local[key]
        # More may have come meanwhile.
        self._waiting = _without(self._waiting, superseded | waiting.keys())
        if not self._waiting:
            self._some_wait.clear()
        return outcome

    def _superseded(self, changed: Mapping[str, HeldResource]) -> frozenset[str]:
        """Revocations of our own that control's replace, or that have run out."""
        now = self._clock()
        return frozenset(
            key for key, until in self._local.items() if until < now or key.removeprefix(_LOCAL) in changed
        )

    def _judge(self, outcome: Outcome, postponed: Mapping[str, HeldResource]) -> None:
        """Note what stands refused; `postponed` failed before and was not tried again."""
        before = {each.key: each.reason for each in self.rejections}
        standing = tuple(
            Rejection(key=key, digest=each.digest, reason=before.get(key, "")) for key, each in postponed.items()
        )
        self._refused = outcome.refused
        self._failed = {**postponed, **outcome.failed}
        self.rejections = (*outcome.rejections, *standing)
        self.updated = self._clock()


def _without(resources: Mapping[str, HeldResource], keys: Iterable[str]) -> dict[str, HeldResource]:
    gone = frozenset(keys)
    return {key: resource for key, resource in resources.items() if key not in gone}
