"""The tasks process: huey's workers over the queue, and what comes round beside them; ends well on SIGTERM.

A run in the middle has some seconds to finish, then it stops where it is safe to; what is left is given back to the
queue. A process that is killed gives nothing back: leases end, and others take up what it did.
"""

import logging
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event, Thread

from huey.consumer import Consumer

from control.store import Store
from control.tasks.context import Means, Stop
from control.tasks.following import Follower
from control.tasks.holding import Holding, Pace
from control.tasks.kinds import KINDS
from control.tasks.queue import make_queue
from control.tasks.rounds import Rounds
from control.tasks.runner import Runner
from control.tasks.schedules import SCHEDULES, Timetable
from control.tasks.watching import Watcher

TIMETABLE_SECONDS, WATCH_SECONDS = 5.0, 1.0

log = logging.getLogger("control.tasks")


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What comes round each so many seconds."""

    name: str
    call: Callable[[], None]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TasksSettings:
    """How many runs are done at once, and how long a stop takes: after `finish` runs are asked to end, at `stop` left.

    `garrison serve` ends whoever takes longer than 9.5 seconds.
    """

    workers: int = 16
    keep_seconds: float = 1.0
    finish_seconds: float = 4.0
    stop_seconds: float = 6.0
    pace: Pace = field(default_factory=Pace)


class Parts:
    """What the process is made of."""

    def __init__(self, lent: Runner, settings: TasksSettings) -> None:
        self.settings = settings
        self.holding = Holding(lent.store, lent.kinds, lent.now, settings.pace)
        self.queue = make_queue(self.holding, lent)
        self.consumer = Consumer(
            self.queue,
            workers=settings.workers,
            periodic=False,
            initial_delay=settings.pace.poll_seconds,
            max_delay=settings.pace.poll_seconds,
            backoff=1.0,
            # There is no schedule beside the queue.
            scheduler_interval=60,
            shutdown_timeout=settings.stop_seconds,
            graceful_signal="TERM",
        )
        self._stop_begun: float | None = None

    @property
    def stopping(self) -> Event:
        """Set when a signal has come."""
        flag: Event = self.consumer.stop_flag
        return flag

    def keep(self) -> None:
        """One round of looking after the runs in hand."""
        self.holding.keep()
        if self.stopping.is_set():
            self._stop_begun = self._stop_begun or time.monotonic()
            if time.monotonic() - self._stop_begun >= self.settings.finish_seconds:
                self.holding.ask_all(Stop.ENDING)


def run(store: Store, means: Means, now: Callable[[], datetime]) -> int:
    """Do all that there is to do, until SIGTERM."""
    lent = Runner(store=store, means=means, kinds=KINDS, now=now)
    follower = Follower(store, means)
    follower.start()
    try:
        return work(lent, _rounds(lent), TasksSettings())
    finally:
        # An engine that hangs holds up its follower, but not the end: all that a follower does is to hand in.
        ending = Thread(target=follower.stop, name="end of followers", daemon=True)
        ending.start()
        ending.join(0.5)


def work(lent: Runner, beside: Sequence[Round], settings: TasksSettings) -> int:
    """Work until SIGTERM, with what comes round beside the runs."""
    # What huey tells of each run is told by the run itself.
    logging.getLogger("huey").setLevel(logging.WARNING)
    parts, over = Parts(lent, settings), Event()
    keeper = Rounds("keeper", parts.keep, settings.keep_seconds, over)
    keeper.start()
    for each in beside:
        Rounds(each.name, each.call, each.seconds, parts.stopping).start()
    log.info("tasks are worked on", extra={"holder": str(parts.holding.holder), "workers": settings.workers})
    # huey sets it only after its workers have begun; to set the flag alone meanwhile would leave them running.
    signal.signal(signal.SIGTERM, parts.consumer._handle_signal)
    parts.consumer.run()
    parts.holding.give_back_all()
    over.set()
    keeper.join(0.5)
    return 0


def _rounds(lent: Runner) -> tuple[Round, ...]:
    """What comes round beside the runs, and hands in others."""
    timetable, watcher = Timetable(lent.store, SCHEDULES), Watcher(lent.store, lent.means.home)
    return (
        Round(name="timetable", call=timetable.look, seconds=TIMETABLE_SECONDS),
        Round(name="watcher", call=watcher.look, seconds=WATCH_SECONDS),
    )
