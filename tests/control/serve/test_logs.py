"""Log lines: JSON, one an event."""

import json
import logging
import sys

from control.serve.logs import JsonFormatter


def line(record: logging.LogRecord) -> dict[str, object]:
    text = JsonFormatter("web").format(record)
    assert "\n" not in text
    found: dict[str, object] = json.loads(text)
    return found


def test_fields_stand_beside_the_event() -> None:
    record = logging.LogRecord("control.web", logging.INFO, __file__, 1, "signed %s", ("in",), None)
    record.request_id = "r1"
    record.path = object
    found = line(record)
    assert (found["level"], found["event"], found["logger"], found["process"]) == (
        "info",
        "signed in",
        "control.web",
        "web",
    )
    assert (found["request_id"], found["path"]) == ("r1", str(object))
    assert str(found["timestamp"]).endswith("+00:00")
    assert "args" not in found


def test_an_exception_is_part_of_the_line() -> None:
    try:
        int("broken\nin two")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "failed", None, sys.exc_info())
    assert "ValueError: invalid literal" in str(line(record)["exception"])
