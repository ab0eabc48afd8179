"""A tasks process whose one task writes down when it begins and ends, and waits in between for a file to appear.

Run as `python -m tests.support.tasks_program URL FOLDER [PATIENCE]`. In FOLDER: `log` gets `begin RUN ATTEMPT PID` and
`end RUN ATTEMPT PID`; a run waits until there is `go`, and doesn't hear of anything meanwhile where there is `deaf`.
Where there is `slow`, the process begins to work and is all there only when there is `there`.
"""

import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from huey.consumer import Consumer

from control.domain.task import TaskKind
from control.integrations.model import Said
from control.store import Sealer, Store, open_engine
from control.tasks.context import Work
from control.tasks.holding import Pace
from control.tasks.kinds import Kind
from control.tasks.process import TasksSettings, work
from control.tasks.runner import Runner
from tests.support.databases import KEY
from tests.support.tasks import MEANS

PACE = Pace(lease=timedelta(seconds=1.5), renew_seconds=0.4, poll_seconds=0.05, again_seconds=0.1)


def main(url: str, folder: Path, patience: float = 5.0) -> int:
    """Work until SIGTERM."""

    def task(given: Work) -> None:
        given.say("begun")
        _note(folder, f"begin {given.run.subject} {given.run.attempt} {os.getpid()}")
        while not (folder / "go").exists():
            time.sleep(0.01)
            if not (folder / "deaf").exists():
                given.report(Said(code=""))
        _note(folder, f"end {given.run.subject} {given.run.attempt} {os.getpid()}")

    if (folder / "slow").exists():
        _hold_up(folder)
    store = Store(open_engine(url), Sealer(KEY), None, lambda: None)
    kinds = {TaskKind.DEPLOY: Kind(run=task), TaskKind.PREVIEW: Kind(run=task)}
    lent = Runner(store=store, means=MEANS, kinds=kinds, now=lambda: datetime.now(UTC))
    settings = TasksSettings(
        workers=4, keep_seconds=0.1, finish_seconds=patience, stop_seconds=patience + 0.5, pace=PACE
    )
    return work(lent, (), settings)


def _hold_up(folder: Path) -> None:
    """Have huey set its handlers late, which is the last thing that it does before it waits."""
    usual = Consumer._set_signal_handlers

    def late(consumer: Consumer) -> None:
        while not (folder / "there").exists():
            time.sleep(0.01)
        usual(consumer)

    Consumer._set_signal_handlers = late


def _note(folder: Path, line: str) -> None:
    with (folder / "log").open("a") as log:
        log.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), *map(float, sys.argv[3:])))
