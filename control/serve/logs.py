"""JSON log lines on stderr, one an event, for the processes of control that set up no logging of their own.

No process waits for who reads them: `lines` takes them, with what Python writes to stderr by itself, such as the
traceback of a crash. The last of them are written at the end, by logging's own `shutdown`.
"""

import io
import json
import logging
import sys
import threading
from collections.abc import Iterable
from datetime import UTC, datetime

from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from control.serve.lines import Lines

# Libraries that tell at `info` what only their authors want to know.
CHATTY = ("alembic", "gunicorn.error")
_STANDARD_ERROR = 2
LAST_WORDS = 0.3
"""Seconds at the end, for a reader that is slow."""
_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class JsonFormatter(logging.Formatter):
    """A record as one JSON object: the names outposts use, the process, then the fields given in `extra`."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, object] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "logger": record.name,
            "process": self._process,
        }
        line |= {name: value for name, value in vars(record).items() if name not in _PLAIN}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class _Handler(logging.Handler):
    """Hands lines over. `flush` is for the end."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter(process))
        self.lines = Lines(_STANDARD_ERROR, self._lost)

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record."""
        try:
            self.lines.write(_encoded(self.format(record)))
        except Exception:  # noqa: BLE001  whatever is wrong with it, who logs it goes on
            self.handleError(record)

    def flush(self) -> None:
        """Wait for what isn't written yet, but for no more than a moment."""
        self.lines.settle(LAST_WORDS)

    def _lost(self, lines: int) -> bytes:
        message = "lines of the log were lost, as nobody read them"
        about = {"name": "control.serve", "levelname": "WARNING", "msg": message, "lines": lines}
        return _encoded(self.format(logging.makeLogRecord(about)))


class Losses(Collector):
    """How many lines of this process were lost."""

    def collect(self) -> Iterable[Metric]:
        """One counter."""
        handlers = [each for each in logging.getLogger().handlers if isinstance(each, _Handler)]
        lost = sum(each.lines.dropped for each in handlers)
        yield CounterMetricFamily("garrison_log_lines_dropped", "Log lines that were lost, as nobody read them.", lost)


class _Stderr(io.TextIOBase):
    """What is written to stderr by others than logging, a line at a time."""

    def __init__(self, lines: Lines) -> None:
        super().__init__()
        self._lines = lines
        self._local = threading.local()

    def writable(self) -> bool:
        """It is."""
        return True

    def fileno(self) -> int:
        """That of stderr."""
        return _STANDARD_ERROR

    def write(self, text: str) -> int:
        """Take a part of a line, or several."""
        *whole, self._local.part = (getattr(self._local, "part", "") + text).split("\n")
        for line in whole:
            self._lines.write(_encoded(line))
        return len(text)


def _encoded(line: str) -> bytes:
    return line.encode("utf-8", "backslashreplace") + b"\n"


def configure(process: str, level: str = "info") -> None:
    """Log everything of `level` and above as JSON lines under the process's name."""
    handler = _Handler(process)
    sys.stderr = _Stderr(handler.lines)
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
