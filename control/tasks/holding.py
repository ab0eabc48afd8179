"""The runs that this process holds: claimed, kept while they are worked on, and let go of.

- A look for work is a read, and one look serves all workers.
- Whatever a run says is written each second, and its lease renewed, in one transaction for all runs.
- While the database is away nobody finds work, what ends waits to be written, and what may be somebody else's by now is
  told to stop.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
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
    """How long a claim counts, how often it is renewed (twice may fail), and how often things are looked at."""

    lease: timedelta = timedelta(seconds=30)
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
        self._hands: dict[Key, Hand] = {}
        self._renewed: dict[Key, float] = {}
        self._claiming = threading.Lock()
        # What `keep` and `end` write of a run comes one after the other.
        self._writing = threading.Lock()
        self._quiet_until = 0.0
        self._is_away = False

    def claim(self) -> Key | None:
        """Take the next run in hand; None where there is none, or somebody of this process has just looked."""
        with self._claiming:
            if self.stopping.is_set() or time.monotonic() < self._quiet_until:
                return None
            key = self._guarded(self._claim)
            if key is None:
                self._quiet_until = time.monotonic() + self.pace.poll_seconds
            return key

    def find(self, key: Key) -> Hand | None:
        """An attempt, if it is in our hands."""
        return self._hands.get(key)

    def keep(self) -> None:
        """Renew leases that need it, write what was said, and hear who is to stop."""
        hands = (*self._hands.items(),)
        if hands and not self._guarded(lambda: self._keep(hands)):
            self._doubt(hands)

    def end(self, key: Key, ending: Ending) -> None:
        """Let go of a run, as soon as the database is there for it. It may be somebody else's by then."""
        hand, is_held = self._hands.get(key), None
        if hand is None:
            return
        try:
            while (is_held := self._guarded(lambda: self._end(hand, ending))) is None:
                if self.stopping.wait(self.pace.again_seconds):
                    break
        finally:
            self._drop(key)
        outcome = ending.state if is_held else "lost"
        ENDED.labels(hand.run.kind, outcome).inc()

    def ask_all(self, stop: Stop) -> None:
        """Ask all runs to stop where it is safe to."""
        for hand in (*self._hands.values(),):
            hand.stop = hand.stop or stop

    def give_back_all(self) -> None:
        """Let others have what is still in hand, when this process ends: one try, as leases end by themselves."""
        self.stopping.set()
        for key in (*self._hands,):
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
        """The next run that was not begun too often: one that ends each process which does it is given up."""
        while (found := unit.runs.take(kinds, self.holder, self.pace.lease)) is not None:
            if found.run.attempt <= self._kinds[found.run.kind].attempts:
                return found
            unit.runs.end(replace(found.run, state=TaskState.FAILED, error="abandoned"))
            ENDED.labels(found.run.kind, TaskState.FAILED).inc()
        return None

    def _take(self, claimed: Claimed, begun: float) -> Key:
        key, hand = Key(claimed.run.id, claimed.run.attempt), Hand(claimed.run, self._now)
        if claimed.was_left:
            hand.note(Said(code="taken_over", level=LineLevel.WARNING))
        self._renewed[key] = begun
        self._hands[key] = hand
        RUNNING.set(len(self._hands))
        return key

    def _drop(self, key: Key) -> None:
        self._hands.pop(key, None)
        self._renewed.pop(key, None)
        RUNNING.set(len(self._hands))

    def _keep(self, hands: Sequence[tuple[Key, Hand]]) -> bool:
        with self._writing:
            self._listen(hands)
            begun = time.monotonic()
            due = [
                (key, hand) for key, hand in hands if hand.has_news or self._age(key, begun) > self.pace.renew_seconds
            ]
            if due:
                self._renew(due)
                self._renewed.update({key: begun for key, _ in due if key in self._renewed})
        return True

    def _listen(self, hands: Iterable[tuple[Key, Hand]]) -> None:
        """Who is to stop."""
        with self._store.read() as unit:
            held = {Key(each.id, each.attempt): each.cancel_asked for each in unit.runs.held(self.holder)}
        for key, hand in hands:
            if key not in held:
                hand.stop = Stop.LOST
            elif held[key]:
                hand.stop = hand.stop or Stop.ASKED

    def _renew(self, due: Iterable[tuple[Key, Hand]]) -> None:
        written = []
        with self._store.write(SYSTEM) as unit:
            for _, hand in due:
                run, lines = hand.run, hand.lines
                if unit.runs.renew(run, self.pace.lease, lines):
                    written.append((hand, run, len(lines)))
                else:
                    hand.stop = Stop.LOST
        for hand, run, lines_written in written:
            hand.written(run, lines_written)

    def _doubt(self, hands: Iterable[tuple[Key, Hand]]) -> None:
        """Nobody knows whose these are: whose lease has ended by our own clock may be somebody else's."""
        now = time.monotonic()
        for key, hand in hands:
            if self._age(key, now) > self.pace.lease.total_seconds():
                hand.stop = Stop.LOST

    def _age(self, key: Key, now: float) -> float:
        return now - self._renewed.get(key, now)

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
        error=ending.error,
        values=ending.values,
        result=ending.result,
    )
