"""`garrison audit`: what is printed, what is followed, and that nothing printed acts on a terminal."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from control.domain.security import AuditEvent
from control.settings import Given, read_settings
from control.settings.opening import open_store
from control.store import SYSTEM, Event, Store
from tests.support.garrison import GARRISON

HOSTILE = "\x1b[2J\x1b]0;x\x07\n\r\u202e\u2028\"'\\,{}é"


@pytest.fixture
def data(tmp_path: Path) -> str:
    return str(tmp_path / "data")


@pytest.fixture
def store(data: str) -> Iterator[Store]:
    """The installation's database, beside which the command runs."""
    opened = open_store(read_settings(Given(data=data), {}), migrate=True)
    yield opened
    opened.close()


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("GARRISON_", "AUTHENTIK_"))}


def audit(data: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, run to its end."""
    command = [GARRISON, "audit", "--data", data, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment())


def lines(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def record(store: Store, *names: str, **fields: Any) -> None:
    with store.write(SYSTEM) as unit:
        for name in names:
            unit.record(Event(action="created", kind="group", target="", name=name, **fields))


def test_everything_is_printed_oldest_first(data: str, store: Store) -> None:
    record(store, "red", "green", HOSTILE)
    done = audit(data)
    assert [line["name"] for line in lines(done)] == ["red", "green", HOSTILE]
    assert done.stdout.isascii()
    assert all(line.isprintable() for line in done.stdout.splitlines())


def test_the_trail_is_narrowed(data: str, store: Store) -> None:
    record(store, "red team")
    record(store, "green team", outcome="failure", reason="no")
    with store.write(SYSTEM) as unit:
        about = {"actor": "alice", "action": "admitted", "kind": "application", "target": "t", "name": "wiki"}
        more = {"address": "::1", "outpost": "edge", "request_id": "r1"}
        at = unit.now - timedelta(days=2)
        unit.audit.record([AuditEvent(id=uuid4(), at=at, recorded=unit.now, **about, **more)])  # type: ignore[arg-type] # texts
    (wiki,) = lines(audit(data, *(word for name, text in (about | more).items() for word in (option(name), text))))
    assert (wiki["name"], wiki["count"]) == ("wiki", 1)
    assert [line["name"] for line in lines(audit(data, "--name", "TEAM", "--outcome", "failure"))] == ["green team"]
    day = f"{at:%Y-%m-%d}"
    assert [line["name"] for line in lines(audit(data, "--from", day, "--to", day))] == ["wiki"]
    assert lines(audit(data, "--actor", "nobody")) == []


def option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def test_what_is_no_time_is_one_line(data: str, store: Store) -> None:
    record(store, "red")
    done = audit(data, "--from", "yesterday", "--to", "x")
    assert (done.returncode, done.stdout) == (1, "")
    assert [line.split(";")[0] for line in done.stderr.splitlines()] == [
        "garrison: from: not a time (found 'yesterday')",
        "garrison: to: not a time (found 'x')",
    ]


def test_a_mistyped_folder_is_no_new_installation(data: str) -> None:
    assert (audit(data).returncode, Path(data).exists()) == (1, False)


@contextmanager
def following(data: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [GARRISON, "audit", "--data", data, "--follow", *arguments]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(), start_new_session=True
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def heard(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return str(json.loads(process.stdout.readline())["name"])


def test_new_ones_are_printed_as_they_come(data: str, store: Store) -> None:
    record(store, "old")
    with store.read() as unit:
        since = unit.now - timedelta(hours=1)
    with following(data, "--kind", "group", "--from", f"{since:%Y-%m-%dT%H:%MZ}") as process:
        assert heard(process) == "old"
        record(store, "new")
        assert heard(process) == "new"
        record(store, "newer")
        assert heard(process) == "newer"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
        assert (process.returncode, out, err) == (0, "", "")


def test_whoever_reads_no_further_ends_it_without_a_word(data: str, store: Store) -> None:
    record(store, *(f"{number:0400}" for number in range(2500)))
    process = subprocess.run(
        ["bash", "-c", 'set -o pipefail; "$@" | head -n 1', "bash", GARRISON, "audit", "--data", data],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment(),
    )
    assert (process.returncode, process.stdout.count("\n"), process.stderr) == (0, 1, "")
