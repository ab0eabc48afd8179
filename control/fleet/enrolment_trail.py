"""How many enrolments of one token the audit trail is told of: whoever has it can enrol without end.

So many an hour have a line each; the next hour's first line says how many more there were. In memory, so each process
has an hour of its own. Safe for threads.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from uuid import UUID

WINDOW = timedelta(hours=1)
# Two thousand replicas that start at once, through one process of control.
MOST_TOLD = 2_000


@dataclass(slots=True)
class _Window:
    begun: datetime
    told: int = 0
    untold: int = 0


class Trail:
    """What was told of each token, for as long as it exists."""

    def __init__(self) -> None:
        self._windows: dict[UUID, _Window] = {}
        self._lock = Lock()

    def find_untold(self, token: UUID, now: datetime) -> int | None:
        """One more: how many went untold before, which its line has to say; None where it is to have no line."""
        with self._lock:
            window = self._windows.setdefault(token, _Window(now))
            if not timedelta() <= now - window.begun < WINDOW:
                window.begun, window.told = now, 0
            if window.told >= MOST_TOLD:
                window.untold += 1
                return None
            window.told += 1
            untold, window.untold = window.untold, 0
            return untold
