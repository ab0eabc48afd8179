"""The runs that this process holds: claimed, kept while they are worked on, and let go of.

- A look for work is a read, and one look serves all workers.
- Whatever a run says is written each second, and its lease renewed, in one transaction for all runs.
- While the database is away nobody finds work, what ends waits to be written, and what may be somebody else's by now is
  told to stop.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import uuid4

from control.domain.task import LineLevel, TaskKind, TaskRun, TaskState
from control.integrations.model import Said
from control.store import SYSTEM, DatabaseUnavailable, Store, Unit
from control.store.runs import Claimed
from control.tasks.context import Hand, Stop
from control.tasks.kinds import Kind
from control.tasks.messages import Key
from control.tasks.metrics import ENDED, RUNNING

CODES = ("abandoned", "taken_over")

log = logging.getLogger("control.tasks")

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long a claim counts, how often it is renewed (twice may fail), and how often things are looked at.

    Nobody renews a claim that is older than `longest`: whoever works on it hears nothing any more.
    """

    lease: timedelta = timedelta(seconds=30)
    longest: timedelta = timedelta(hours=2)
    renew_seconds: float = 10.0
    poll_seconds: float = 0.5
    again_seconds: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a run is let go of. One that waits again is due after `delay`."""

    state: TaskState
    error: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    result: Mapping[str, object] | None = None
    delay: timedelta = timedelta()


GIVEN_BACK = Ending(state=TaskState.QUEUED)
CANCELLED = Ending(state=TaskState.CANCELLED)
# As its column has it.
LONGEST_CODE = 80


@dataclass(slots=True, kw_only=True)
class Grip:
    """A hand, and when it took its run and last renewed the lease, by our own clock."""

    hand: Hand
    begun: float
    renewed: float


class Holding:
    """The hands of one process. Safe to use from many threads."""

    def __init__(
        self, store: Store, kinds: Mapping[TaskKind, Kind], now: Callable[[], datetime], pace: Pace | None = None
    ) -> None:
        self.holder = uuid4()
        self.pace = pace or Pace()
        self.stopping = threading.Event()
        self._store = store
        self._kinds = kinds
        self._now = now
        self._grips: dict[Key, Grip] = {}
        self._claiming = threading.Lock()
        # What `keep` and `end` write of a run comes one after the other.
        self._writing = threading.Lock()
        self._quiet_until = 0.0
        # What ended and could not be written yet: until it is, its lease may have ended, and it would be done again.
        self._unwritten: set[Key] = set()
        self._is_away = False

    def claim(self) -> Key | None:
        """Take the next run in hand; None where there is none, or somebody of this process has just looked."""
        with self._claiming:
            if self.stopping.is_set() or self._unwritten or time.monotonic() < self._quiet_until:
                return None
            key = self._guarded(self._claim)
            if key is None:
                self._quiet_until = time.monotonic() + self.pace.poll_seconds
            return key

    def find(self, key: Key) -> Hand | None:
        """An attempt, if it is in our hands."""
        grip = self._grips.get(key)
        return grip.hand if grip is not None else None

    def keep(self) -> None:
        """Renew leases that need it, write what was said, and hear who is to stop."""
        grips = {**self._grips}
        if grips and not self._guarded(lambda: self._keep(grips)):
            self._doubt(grips.values())

    def end(self, key: Key, ending: Ending) -> None:
        """Let go of a run, as soon as the database is there for it. It may be somebody else's by then."""
        hand, is_held = self.find(key), None
        if hand is None:
            return
        try:
            while (is_held := self._guarded(lambda: self._end(hand, ending))) is None:
                self._unwritten.add(key)
                if self.stopping.wait(self.pace.again_seconds):
                    break
        finally:
            self._unwritten.discard(key)
            self.drop(key)
        outcome = ending.state if is_held else "lost"
        ENDED.labels(hand.run.kind, outcome).inc()

    def ask_all(self, stop: Stop) -> None:
        """Ask all runs to stop where it is safe to."""
        for grip in (*self._grips.values(),):
            grip.hand.stop = grip.hand.stop or stop

    def drop(self, key: Key) -> None:
        """Forget about a run, and write nothing."""
        self._grips.pop(key, None)
        RUNNING.set(len(self._grips))

    def give_back_all(self) -> None:
        """Let others have what is still in hand, when this process ends: one try, as leases end by themselves."""
        self.stopping.set()
        for key in (*self._grips,):
            self.end(key, GIVEN_BACK)

    def _claim(self) -> Key | None:
        kinds = frozenset(self._kinds)
        with self._store.read() as unit:
            if not unit.runs.is_any_due(kinds):
                return None
        begun = time.monotonic()
        with self._store.write(SYSTEM) as unit:
            claimed = self._claimed(unit, kinds)
        return self._take(claimed, begun) if claimed is not None else None

    def _claimed(self, unit: Unit, kinds: Collection[TaskKind]) -> Claimed | None:
        """The next run that is to be done: not one whose end was asked for, nor one that was begun too often."""
        while (found := unit.runs.take(kinds, self.holder, self.pace.lease)) is not None:
            ending = self._find_end(found.run)
            if ending is None:
                return found
            unit.runs.end(_ended(unit, found.run, ending))
            ENDED.labels(found.run.kind, ending.state).inc()
        return None

    def _find_end(self, run: TaskRun) -> Ending | None:
        """How a run ends that is not to be begun again."""
        if run.cancel_asked:
            return CANCELLED
        is_worn_out = run.attempt > self._kinds[run.kind].attempts
        return Ending(state=TaskState.FAILED, error="abandoned") if is_worn_out else None

    def _take(self, claimed: Claimed, begun: float) -> Key:
        key, hand = Key(claimed.run.id, claimed.run.attempt), Hand(claimed.run, self._now)
        if claimed.was_left:
            hand.note(Said(code="taken_over", level=LineLevel.WARNING))
        self._grips[key] = Grip(hand=hand, begun=begun, renewed=begun)
        RUNNING.set(len(self._grips))
        return key

    def _keep(self, grips: Mapping[Key, Grip]) -> bool:
        with self._writing:
            self._listen(grips)
            begun = time.monotonic()
            due = [grip for grip in grips.values() if self._is_due(grip, begun)]
            if due:
                self._renew(due)
            for grip in due:
                grip.renewed = begun
        return True

    def _listen(self, grips: Mapping[Key, Grip]) -> None:
        """Who is to stop."""
        with self._store.read() as unit:
            held = {Key(each.id, each.attempt): each.cancel_asked for each in unit.runs.held(self.holder)}
        for key, grip in grips.items():
            if key not in held:
                grip.hand.stop = Stop.LOST
            elif held[key]:
                grip.hand.stop = grip.hand.stop or Stop.ASKED

    def _is_due(self, grip: Grip, now: float) -> bool:
        """Whether there is something to write; of what takes too long nothing is."""
        if now - grip.begun > self.pace.longest.total_seconds():
            grip.hand.stop = Stop.LOST
        is_ours = grip.hand.stop is not Stop.LOST
        return is_ours and (grip.hand.has_news or now - grip.renewed > self.pace.renew_seconds)

    def _renew(self, due: Iterable[Grip]) -> None:
        written = []
        with self._store.write(SYSTEM) as unit:
            for hand in (grip.hand for grip in due):
                run, lines = hand.run, hand.lines
                if unit.runs.renew(run, self.pace.lease, lines):
                    written.append((hand, run, len(lines)))
                else:
                    hand.stop = Stop.LOST
        for hand, run, count in written:
            hand.written(run, count)

    def _doubt(self, grips: Iterable[Grip]) -> None:
        """Nobody knows whose these are: whose lease has ended by our own clock may be somebody else's."""
        now = time.monotonic()
        for grip in grips:
            if now - grip.renewed > self.pace.lease.total_seconds():
                grip.hand.stop = Stop.LOST

    def _end(self, hand: Hand, ending: Ending) -> bool:
        with self._writing, self._store.write(SYSTEM) as unit:
            return unit.runs.end(_ended(unit, hand.run, ending), hand.lines)

    def _guarded(self, call: Callable[[], Answer]) -> Answer | None:
        """What the call answers; None while the database is away, which is told once."""
        try:
            answer = call()
        except DatabaseUnavailable as error:
            log.log(logging.DEBUG if self._is_away else logging.WARNING, "tasks wait for the database: %s", error.orig)
            self._is_away = True
            return None
        if self._is_away:
            log.info("the database is there again for tasks")
        self._is_away = False
        return answer


def _ended(unit: Unit, run: TaskRun, ending: Ending) -> TaskRun:
    return replace(
        run,
        state=ending.state,
        due=unit.now + ending.delay,
        error=ending.error[:LONGEST_CODE],
        values=ending.values,
        result=ending.result,
    )
