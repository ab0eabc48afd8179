"""Tasks processes as they are: killed in the middle, told to end, several at once, cut off from the database."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from control.domain.task import TaskKind, TaskRun, TaskState
from control.store import SYSTEM, Store
from tests.support.chaos import stays
from tests.support.databases import POSTGRESQL, Database
from tests.support.peers_program import Program, eventually, killing_on_failure
from tests.support.postgres import PostgresServer
from tests.support.tasks import cancel, codes_of, lines_of, stored, submit
from tests.support.tasks_program import PACE

Start = Callable[..., Program]


@pytest.fixture
def real(database: Database) -> Store:
    """The store by the true time, as the processes have it."""
    return database.store(lambda: datetime.now(UTC))


@pytest.fixture
def start(database: Database, tmp_path: Path) -> Iterator[Start]:
    """Starts a tasks process, which a running run may keep from ending for so many seconds."""
    with ExitStack() as stack:
        stack.enter_context(killing_on_failure())
        programs: list[Program] = []

        def started(patience: float = 5.0) -> Program:
            command = [sys.executable, "-m", "tests.support.tasks_program", database.url, str(tmp_path), str(patience)]
            programs.append(Program(f"tasks {len(programs)}", command))
            return programs[-1]

        yield started
        for program in programs:
            if not program.ended():
                program.kill()


def told(folder: Path) -> list[list[str]]:
    """What runs wrote down, each line in words."""
    path = folder / "log"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def begun(folder: Path, count: int) -> None:
    eventually(lambda: len([line for line in told(folder) if line[0] == "begin"]) >= count, f"{count} have begun")


def over(store: Store, run: TaskRun) -> TaskRun:
    eventually(lambda: stored(store, run).finished, "the run is over")
    return stored(store, run)


def test_a_process_killed_in_the_middle_leaves_its_run_to_another_once(
    start: Start, real: Store, tmp_path: Path
) -> None:
    run = submit(real)
    first = start()
    begun(tmp_path, 1)
    eventually(lambda: codes_of(real, run), "it is written down")
    second = start()
    first.kill()
    begun(tmp_path, 2)
    (tmp_path / "go").touch()
    done = over(real, run)
    assert (done.state, done.attempt) == (TaskState.DONE, 2)
    assert [(line[0], line[2]) for line in told(tmp_path)] == [("begin", "1"), ("begin", "2"), ("end", "2")]
    assert [line[3] for line in told(tmp_path)] == [str(first.process.pid), *[str(second.process.pid)] * 2]
    said = [(line.code, line.attempt) for line in lines_of(real, run)]
    assert said == [("begun", 1), ("taken_over", 2), ("begun", 2)]
    assert second.stop() == 0


def test_a_process_that_is_told_to_end_lets_its_run_finish(start: Start, real: Store, tmp_path: Path) -> None:
    run, program = submit(real), start()
    begun(tmp_path, 1)
    waiting = submit(real)
    begun(tmp_path, 2)
    program.process.send_signal(signal.SIGTERM)
    (tmp_path / "go").touch()
    assert program.process.wait(10) == 0
    assert [stored(real, each).state for each in (run, waiting)] == [TaskState.DONE, TaskState.DONE]


def test_one_that_is_told_so_before_it_is_all_there_does_the_same(start: Start, real: Store, tmp_path: Path) -> None:
    (tmp_path / "slow").touch()
    run, program = submit(real), start()
    begun(tmp_path, 1)
    program.process.send_signal(signal.SIGTERM)
    (tmp_path / "there").touch()
    stays(lambda: not program.ended() and stored(real, run).state is TaskState.RUNNING, "it goes on", 0.5)
    (tmp_path / "go").touch()
    assert program.process.wait(10) == 0
    assert stored(real, run).state is TaskState.DONE


def test_a_run_that_does_not_finish_in_time_stops_and_is_given_back(start: Start, real: Store, tmp_path: Path) -> None:
    run, program = submit(real), start(0.3)
    begun(tmp_path, 1)
    assert program.stop() == 0
    back = stored(real, run)
    assert (back.state, back.holder, back.lease) == (TaskState.QUEUED, None, None)
    (tmp_path / "go").touch()
    start()
    assert over(real, run).state is TaskState.DONE


def test_a_run_that_hears_nothing_is_given_back_all_the_same(start: Start, real: Store, tmp_path: Path) -> None:
    (tmp_path / "deaf").touch()
    run, program = submit(real), start(0.3)
    begun(tmp_path, 1)
    assert program.stop() == 0
    assert stored(real, run).state is TaskState.QUEUED


def test_a_running_run_is_cancelled(start: Start, real: Store, tmp_path: Path) -> None:
    run = submit(real)
    start()
    begun(tmp_path, 1)
    cancel(real, run)
    assert over(real, run).state is TaskState.CANCELLED
    assert [line[0] for line in told(tmp_path)] == ["begin"]


def test_a_run_that_takes_long_keeps_its_lease(start: Start, real: Store, tmp_path: Path) -> None:
    run = submit(real)
    start()
    start()
    begun(tmp_path, 1)
    first = stored(real, run).lease
    assert first is not None
    eventually(lambda: (stored(real, run).lease or first) > first + PACE.lease, "it is renewed", 20)
    (tmp_path / "go").touch()
    assert (over(real, run).attempt, len(told(tmp_path))) == (1, 2)


def test_several_processes_do_each_run_once_and_one_of_a_subject_at_a_time(
    start: Start, real: Store, tmp_path: Path
) -> None:
    (tmp_path / "go").touch()
    subjects = [uuid4() for _ in range(8)]
    runs = [submit(real, kind, subject) for subject in subjects for kind in (TaskKind.DEPLOY, TaskKind.PREVIEW)]
    for _ in range(2):
        start()
    assert [over(real, run).attempt for run in runs] == [1] * len(runs)
    lines = told(tmp_path)
    assert len(lines) == 2 * len(runs)
    for subject in subjects:
        assert [what for what, key, *_ in lines if UUID(key) == subject] == ["begin", "end"] * 2


def test_a_process_frozen_past_its_lease_learns_that_it_lost_its_run(start: Start, real: Store, tmp_path: Path) -> None:
    run = submit(real)
    frozen = start()
    begun(tmp_path, 1)
    # Not in the middle of writing: on SQLite nobody else could write for as long as it stands still.
    with real.write(SYSTEM):
        frozen.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, frozen.process.pid, os.WSTOPPED)
    other = start()
    begun(tmp_path, 2)
    frozen.process.send_signal(signal.SIGCONT)
    # It stops where it says something next; only then the other one is let go on.
    eventually(lambda: stored(real, run).attempt == 2, "the run is the other one's")
    assert frozen.stop() == 0
    (tmp_path / "go").touch()
    assert over(real, run).state is TaskState.DONE
    assert [line[3] for line in told(tmp_path) if line[0] == "end"] == [str(other.process.pid)]


@pytest.mark.interop
@pytest.mark.postgresql
@pytest.mark.parametrize("database_kind", [POSTGRESQL])
def test_a_server_that_is_away_for_longer_than_a_lease(
    start: Start, real: Store, tmp_path: Path, postgres: PostgresServer
) -> None:
    (tmp_path / "deaf").touch()
    runs = [submit(real), submit(real)]
    program = start()
    begun(tmp_path, 2)
    postgres.stop()
    try:
        eventually(lambda: "tasks wait for the database" in program.output(), "it is told")
        lost = time.monotonic() + 2 * PACE.lease.total_seconds()
        (tmp_path / "go").touch()
        eventually(lambda: time.monotonic() > lost, "leases are over")
    finally:
        postgres.start()
    # What was done meanwhile is written when the server is back, and not done again.
    assert [over(real, run).attempt for run in runs] == [1, 1]
    assert [line[0] for line in told(tmp_path)] == ["begin", "begin", "end", "end"]
    later = submit(real)
    assert over(real, later).state is TaskState.DONE
    assert program.output().count("tasks wait for the database") == 1
    assert program.stop() == 0
