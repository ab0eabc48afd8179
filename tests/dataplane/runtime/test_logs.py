"""Log lines: JSON, one a record, and neither secrets nor forged lines in them."""

import json
import logging
from typing import Any

from dataplane.config import TRACE
from dataplane.runtime import logs


def line(message: str, *args: object, **extra: object) -> dict[str, Any]:
    record = logging.LogRecord("dataplane.x", logging.INFO, "f.py", 1, message, args, None)
    vars(record).update(extra)
    text = logs.JsonFormatter({"worker": 1}).format(record)
    assert "\n" not in text
    read = json.loads(text)
    assert isinstance(read, dict)
    return read


def test_fields_stand_beside_the_event() -> None:
    read = line("it %s", "works", request_id="r1", host="wiki")
    assert {key: read[key] for key in ("event", "level", "logger", "worker", "request_id", "host")} == {
        "event": "it works",
        "level": "info",
        "logger": "dataplane.x",
        "worker": 1,
        "request_id": "r1",
        "host": "wiki",
    }


def test_a_peer_cannot_forge_a_line() -> None:
    assert line("request", path='/\n{"event": "forged"}')["path"] == '/\n{"event": "forged"}'


def test_secrets_are_masked() -> None:
    assert line("x", token="t", cookie="c", authorization="a") | {"timestamp": ""} == line("x") | {
        "timestamp": "",
        "token": "[redacted]",
        "cookie": "[redacted]",
        "authorization": "[redacted]",
    }


def test_the_level_follows_the_word() -> None:
    logger = logging.getLogger("dataplane")
    before = logger.level
    try:
        logs.set_level("trace")
        assert logger.isEnabledFor(TRACE)
        logs.set_level("error")
        assert not logger.isEnabledFor(logging.WARNING)
        logs.set_level("no such word")
        assert logger.level == logging.ERROR
    finally:
        logger.setLevel(before)
