"""Logging as JSON lines on standard error, alike in the supervisor and its workers; the level changes live.

Fields come in `extra` and stand beside `event`. Fields whose names say that they are secret are masked, should one
ever get here; values are JSON strings, so a peer can't forge a line. Nobody waits for who reads them: lines wait in a
bounded buffer, and the last of them are written at the end, by logging's own `shutdown`.
"""

import json
import logging
import sys
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from dataplane.config import TRACE
from dataplane.io.notes import Notes
from dataplane.io.pen import MOST

LEVELS = {
    "trace": TRACE,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_SECRET = frozenset({"token", "password", "secret", "cookie", "authorization", "code", "id_token", "private_key"})
LOST, LOST_HELP = "garrison_outpost_log_lines_dropped_total", "Ordinary log lines that were lost, as nobody read them"
_STANDARD_ERROR = 2
_LAST_WORDS = 0.3
"""Seconds at the end, for a reader that is slow."""
_MARK = " [...] "
_ROUNDS = 64
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
log = logging.getLogger("dataplane.logs")


class JsonFormatter(logging.Formatter):
    """One JSON object per record, with the process's own fields in each; short enough to be written whole."""

    def __init__(self, fields: dict[str, object]) -> None:
        super().__init__()
        self._fields = fields

    def format(self, record: logging.LogRecord) -> str:
        """The line without its end."""
        more = _extra(record)
        if record.exc_info:
            more["exception"] = self.formatException(record.exc_info)
        return self.line(record.created, record.levelname, record.getMessage(), {"logger": record.name, **more})

    def line(self, when: float, level: str, event: str, more: Mapping[str, object]) -> str:
        """A line of no record, without its end; `when` in seconds since 1970."""
        return encode(
            {
                "timestamp": datetime.fromtimestamp(when, UTC).isoformat(timespec="milliseconds"),
                "level": level.lower(),
                "event": event,
                "logger": "dataplane.logs",
                **self._fields,
                **more,
            }
        )


def encode(line: dict[str, object]) -> str:
    """It as JSON of less than MOST bytes: what is too long loses its middle, for the ends of a traceback say most."""
    text = _dumps(line)
    for _ in range(_ROUNDS):
        excess = len(text) + 1 - MOST
        if excess <= 0:
            break
        name = max(line, key=lambda each: len(_dumps(line[each])))
        line[name] = _without_middle(line[name], excess)
        text = _dumps(line)
    return text


def _dumps(value: object) -> str:
    return json.dumps(value, default=str)


def _without_middle(value: object, excess: int) -> str:
    """The text without what makes so many bytes of JSON, or about as many."""
    text = value if isinstance(value, str) else str(value)
    kept = int(len(text) * max(0.0, 1 - (excess + len(_MARK)) / len(_dumps(text))))
    head = kept // 3
    return text[:head] + _MARK + text[len(text) - (kept - head) :]


def _extra(record: logging.LogRecord) -> dict[str, object]:
    own = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    return {name: "[redacted]" if name in _SECRET else value for name, value in own.items()}


class _Handler(logging.Handler):
    """Hands lines over, whatever thread or greenlet they are from. `flush` is for the end."""

    def __init__(self, fields: dict[str, object]) -> None:
        super().__init__()
        self._lines = JsonFormatter(fields)
        self.notes = Notes(_STANDARD_ERROR, self._lost)

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record."""
        try:
            self._write(self._lines.format(record))
        except Exception as error:  # noqa: BLE001  whatever is wrong with it, who logs it goes on
            fields = {"where": f"{record.pathname}:{record.lineno}", "error": repr(error)}
            self._write(self._lines.line(record.created, "error", "a line of the log can't be made", fields))

    def flush(self) -> None:
        """Wait for what isn't written yet, but for no more than a moment."""
        self.notes.settle(_LAST_WORDS)

    def _write(self, line: str) -> None:
        self.notes.write(line.encode("ascii") + b"\n")

    def _lost(self, lines: int) -> bytes:
        event = "lines of the log were lost, as nobody read them"
        return self._lines.line(time.time(), "warning", event, {"lines": lines}).encode("ascii") + b"\n"


def set_up(level: str, fields: dict[str, object]) -> None:
    """Log to standard error from now on, also what Python would write there by itself, and wait for."""
    logging.addLevelName(TRACE, "TRACE")
    logging.basicConfig(handlers=[_Handler(fields)], force=True)
    # Libraries below their warnings are not for an operator.
    logging.getLogger().setLevel(logging.WARNING)
    logging.captureWarnings(True)
    sys.excepthook = lambda _kind, error, _trace: _log_uncaught("the process", error)
    sys.unraisablehook = lambda met: _log_uncaught(repr(met.object), met.exc_value)
    threading.excepthook = lambda met: _log_uncaught(met.thread.name if met.thread else "a thread", met.exc_value)
    set_level(level)


def dropped() -> int:
    """Lines of this process that were lost."""
    return sum(each.notes.dropped for each in logging.getLogger().handlers if isinstance(each, _Handler))


def _log_uncaught(where: str, error: BaseException | None) -> None:
    if not isinstance(error, SystemExit):
        log.critical("an exception that nobody caught", extra={"where": where, "error": repr(error)}, exc_info=error)


def set_level(level: str) -> None:
    """Change the level of our own loggers; a word that is not known leaves it."""
    number = LEVELS.get(level)
    if number is not None:
        logging.getLogger("dataplane").setLevel(number)
