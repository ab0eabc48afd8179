"""Where the state of the processes is shown."""

import json
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest

from control.serve.board import Board
from control.serve.programs import ProcessState, Status

SINCE = datetime(2026, 11, 22, 12, tzinfo=UTC)
WEB = Status(name="web", state=ProcessState.RUNNING, pid=7, restarts=2, since=SINCE, last_exit="exit code 1")
LINK = Status(name="link", state=ProcessState.BACKOFF, pid=None, restarts=3, since=SINCE, last_exit=None)


def test_the_file_and_the_metrics(tmp_path: Path) -> None:
    board = Board(tmp_path / "processes.json")
    registry = CollectorRegistry()
    registry.register(board)
    board.show([WEB, LINK])
    assert json.loads((tmp_path / "processes.json").read_text()) == [
        {
            "name": "web",
            "pid": 7,
            "state": "running",
            "restarts": 2,
            "since": "2026-11-22T12:00:00+00:00",
            "last_exit": "exit code 1",
        },
        {
            "name": "link",
            "pid": None,
            "state": "backoff",
            "restarts": 3,
            "since": "2026-11-22T12:00:00+00:00",
            "last_exit": None,
        },
    ]
    lines = generate_latest(registry).decode().splitlines()
    assert {
        'garrison_process_up{process="web"} 1.0',
        'garrison_process_up{process="link"} 0.0',
        'garrison_process_restarts_total{process="link"} 3.0',
    } <= set(lines)
    assert [path.name for path in tmp_path.iterdir()] == ["processes.json"]
