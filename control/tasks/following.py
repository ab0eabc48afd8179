"""Follows the events of engines, a thread for each: where something happened to an outpost there is a survey soon.

Events are a hint, not the truth. Where they are refused to us, or an engine is away, surveys find everything a few
minutes later; and what happened while nobody followed is found by the survey when somebody does again.
"""

import logging
from datetime import datetime, timedelta
from threading import Event, Lock, Thread
from time import monotonic
from uuid import UUID

from control.domain.integration import Integration
from control.domain.task import WAITING, Cause, TaskKind
from control.integrations.model import TargetAway
from control.store import SYSTEM, DatabaseBusy, DatabaseUnavailable, Store, Unit
from control.tasks.context import Means
from control.tasks.counting import EVENTS
from control.tasks.engines import Engine, open_engine

# How often to look for integrations that came, went or changed.
LOOK_SECONDS = 5.0
# How long to wait before another try: twice as long each time; and where events are refused to us.
FIRST_SECONDS, LONGEST_SECONDS, REFUSED_SECONDS = 1.0, 60.0, 3600.0
# Things happen several at a time; what starts over and over is no reason to look all the time, nor to let others wait.
SETTLING, APART, FURTHEST_APART = timedelta(seconds=1), timedelta(seconds=3), timedelta(seconds=12)
# The end of a process waits so long for all threads that follow: one may be in the middle of a call to an engine.
ENDING_SECONDS = 1.0
NOT_ALLOWED = "not_allowed"

log = logging.getLogger("control.tasks")


class Follower:
    """Follows all integrations there are."""

    def __init__(self, store: Store, means: Means) -> None:
        self._store = store
        self._means = means
        self._stopping = Event()
        self._followed: dict[UUID, Followed] = {}
        self._thread = Thread(target=self._keep, name="followers", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End all of it."""
        self._stopping.set()
        self._thread.join()
        for each in self._followed.values():
            each.end()
        deadline = monotonic() + ENDING_SECONDS
        for each in self._followed.values():
            each.join(max(deadline - monotonic(), 0.0))

    def look(self) -> None:
        """Follow the integrations that there are just now, as they are."""
        with self._store.read() as unit:
            wanted = {each.id: each for each in unit.integrations.all()}
        for key, followed in [*self._followed.items()]:
            if wanted.get(key) != followed.integration:
                self._followed.pop(key).end()
        for key in wanted.keys() - self._followed.keys():
            self._followed[key] = Followed(self._store, self._means, wanted[key])
            self._followed[key].start()

    def _keep(self) -> None:
        while not self._stopping.is_set():
            try:
                self.look()
            except (DatabaseUnavailable, DatabaseBusy) as error:
                log.debug("integrations can't be read just now", extra={"error": str(error)})
            self._stopping.wait(LOOK_SECONDS)


class Followed:
    """One integration that is followed, for as long as it is as it was."""

    def __init__(self, store: Store, means: Means, integration: Integration) -> None:
        self.integration = integration
        self._store = store
        self._means = means
        self._stopping = Event()
        self._lock = Lock()
        self._engine: Engine | None = None
        self._due: datetime | None = None
        self._apart = APART
        self._is_told = False
        self._thread = Thread(target=self._follow, name=f"follow {integration.name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self) -> None:
        """Have it end, whatever it waits for."""
        self._stopping.set()
        with self._lock:
            if self._engine is not None:
                self._engine.cut()

    def join(self, seconds: float) -> None:
        """Wait for the end, so long at most: what is left ends with the process."""
        self._thread.join(seconds)

    def _follow(self) -> None:
        wait = FIRST_SECONDS
        while not self._stopping.is_set():
            began = monotonic()
            refusal = self._listened()
            if monotonic() - began > LONGEST_SECONDS:
                wait = FIRST_SECONDS
            self._stopping.wait(REFUSED_SECONDS if refusal == NOT_ALLOWED else wait)
            wait = min(2 * wait, LONGEST_SECONDS)

    def _listened(self) -> str:
        """Follow until it ends; the code of why, where the engine is the reason."""
        try:
            self._listen()
        except TargetAway as error:
            log.debug("events end", extra={"integration": self.integration.name, "error": str(error)})
            return error.code
        except (DatabaseUnavailable, DatabaseBusy) as error:
            log.debug("events can't be told", extra={"error": str(error)})
        except Exception:
            # Once: it may be so for ever, and works without.
            log.log(
                logging.DEBUG if self._is_told else logging.WARNING,
                "events of an engine can't be followed",
                extra={"integration": self.integration.name},
                exc_info=True,
            )
            self._is_told = True
        return ""

    def _listen(self) -> None:
        with open_engine(self._store, self.integration, self._means.ssh_config) as engine:
            self._hold(engine)
            try:
                self._greet()
                self._hand_in(None)
                for owner in engine.follow(self._stopping):
                    EVENTS.inc()
                    self._hand_in(owner)
            finally:
                self._hold(None)

    def _hold(self, engine: Engine | None) -> None:
        """Let `end` know what is to be cut; who is to end already is cut at once."""
        with self._lock:
            self._engine = engine
            if engine is not None and self._stopping.is_set():
                engine.cut()

    def _greet(self) -> None:
        """An engine that was away and answers is used again as soon as a check has said so: that needn't wait."""
        with self._store.read() as unit:
            known = unit.integration_healths.find(self.integration.id)
        if known is not None and not known.healthy:
            with self._store.write(SYSTEM) as unit:
                unit.runs.submit(TaskKind.CHECK, Cause.EVENT, self.integration.id, self.integration.name)

    def _hand_in(self, owner: UUID | None) -> None:
        """Have the engine surveyed soon, unless it will be anyway; `owner` is whose event it was, if it was one."""
        with self._store.read() as unit:
            if self._due is not None and self._due - unit.now > 2 * FURTHEST_APART:
                # The clock went back.
                self._due = None
            if self._waits(unit) or not self._is_ours(unit, owner):
                return
        with self._store.write(SYSTEM) as unit:
            due = self._next(unit.now)
            unit.runs.submit(TaskKind.SURVEY, Cause.EVENT, self.integration.id, self.integration.name, due)
        self._due = due

    def _next(self, now: datetime) -> datetime:
        """When to look: soon, and not right after the last look; what goes on and on has ever longer pauses."""
        soon = now + SETTLING
        if self._due is None or soon - self._due > 2 * self._apart:
            self._apart = APART
            return soon if self._due is None else max(soon, self._due + APART)
        due = max(soon, self._due + self._apart)
        self._apart = min(2 * self._apart, FURTHEST_APART)
        return due

    def _waits(self, unit: Unit) -> bool:
        """Whether a survey is to come. Asked of the queue: who works there may have done it before it was due."""
        newest = unit.runs.latest(TaskKind.SURVEY, self.integration.id)
        return newest is not None and newest.state in WAITING

    def _is_ours(self, unit: Unit, owner: UUID | None) -> bool:
        if owner is None:
            return True
        return bool(unit.deployments.of_outpost(owner)) or unit.outposts.find(owner) is not None
