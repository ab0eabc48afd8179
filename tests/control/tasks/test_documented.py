"""docs/operations.md says of each task how often it comes and how often it is tried, as it is."""

import re
from datetime import timedelta
from pathlib import Path

import control
from control.domain.task import TaskKind
from control.tasks.cleaning import DEPLOYS_KEPT, KEPT, ROUTINE_KEPT
from control.tasks.context import MOST_LINES
from control.tasks.kinds import FIRST_DELAY, KINDS, LONGEST_DELAY
from control.tasks.schedules import SCHEDULES
from control.web.filters import duration

PAGE = (Path(control.__file__).parents[1] / "docs" / "operations.md").read_text()
ROW = re.compile(r"^\| ([A-Z][a-z]+(?: [a-z]+)+) \| [^|]+ \| [^|]+ \| ([^|]+) \| (\d+) \|$", re.MULTILINE)


def spoken(period: timedelta) -> str:
    """A period as a sentence has it: "minute", "5 minutes"."""
    return duration(period).removeprefix("1 ")


def test_each_task_is_documented() -> None:
    rows = {name.lower(): (times, int(attempts)) for name, times, attempts in ROW.findall(PAGE)}
    assert rows.keys() == set(TaskKind)
    assert {kind: attempts for kind, (_, attempts) in rows.items()} == {kind: KINDS[kind].attempts for kind in KINDS}
    for schedule in SCHEDULES:
        assert f"each {spoken(schedule.period)}" in rows[schedule.kind][0]
    assert rows[TaskKind.PREVIEW][0] == "never"


def test_figures() -> None:
    text = " ".join(PAGE.split())
    assert f"after {FIRST_DELAY.seconds} s, then twice as long each time, at most {spoken(LONGEST_DELAY)}" in text
    assert f"kept for {KEPT.days} days after their end" in text
    assert (
        f"newest {ROUTINE_KEPT} checks, {ROUTINE_KEPT} surveys and {DEPLOYS_KEPT} deployments of each subject" in text
    )
    assert f"keeps {MOST_LINES} lines of each attempt" in text
