"""Work that comes round in a thread of its own, for as long as the process lives, whatever one round ended with."""

import logging
import threading
from collections.abc import Callable

from control.store import DatabaseUnavailable

LONGEST_SECONDS = 60.0

log = logging.getLogger("control.tasks")


class Rounds(threading.Thread):
    """Calls something at once and each so many seconds, until told to stop; less often while it fails."""

    def __init__(self, name: str, call: Callable[[], None], seconds: float, stopping: threading.Event) -> None:
        super().__init__(name=name, daemon=True)
        self._call = call
        self._seconds = seconds
        self._stopping = stopping

    def run(self) -> None:
        """The thread."""
        wait = 0.0
        while not self._stopping.wait(wait):
            wait = self._seconds if self._is_well() else min(wait * 2, LONGEST_SECONDS)

    def _is_well(self) -> bool:
        try:
            self._call()
        except DatabaseUnavailable:
            # Those who claim say so; it is asked again as soon as ever.
            return True
        except Exception:
            log.exception("a round failed; it comes again", extra={"round": self.name})
            return False
        return True
