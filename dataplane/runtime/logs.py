"""Logging as JSON lines on standard error, alike in the supervisor and its workers; the level changes live.

Fields come in `extra` and stand beside `event`. Fields whose names say that they are secret are masked, should one
ever get here; values are JSON strings, so a peer can't forge a line.
"""

import json
import logging
import sys
from datetime import UTC, datetime

from dataplane.config import TRACE

LEVELS = {
    "trace": TRACE,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_SECRET = frozenset({"token", "password", "secret", "cookie", "authorization", "code", "id_token", "private_key"})
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """One JSON object per record, with the process's own fields in each."""

    def __init__(self, fields: dict[str, object]) -> None:
        super().__init__()
        self._fields = fields

    def format(self, record: logging.LogRecord) -> str:
        """The line without its end."""
        when = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, object] = {
            "timestamp": when.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "logger": record.name,
            **self._fields,
            **_extra(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def _extra(record: logging.LogRecord) -> dict[str, object]:
    own = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    return {name: "[redacted]" if name in _SECRET else value for name, value in own.items()}


def set_up(level: str, fields: dict[str, object]) -> None:
    """Log to standard error from now on."""
    logging.addLevelName(TRACE, "TRACE")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(fields))
    logging.basicConfig(handlers=[handler], force=True)
    # Libraries below their warnings are not for an operator.
    logging.getLogger().setLevel(logging.WARNING)
    set_level(level)


def set_level(level: str) -> None:
    """Change the level of our own loggers; a word that is not known leaves it."""
    number = LEVELS.get(level)
    if number is not None:
        logging.getLogger("dataplane").setLevel(number)
