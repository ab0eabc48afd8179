"""Events that anybody may cause, any number of times: singly while they are few, by their number when they are many.

Without this whoever floods sign-in with made-up names fills the disk with the audit trail. What wasn't told is told
with the next one of its action that is; it is kept in memory alone, and ends with the process.
"""

import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from prometheus_client import Counter as Metric

FREE = 200
PER_SECOND = 1.0
OTHERS = "others like that"
TOGETHER = Metric("garrison_audit_events_counted", "Events told by their number, as too many came at once.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing for the audit trail: what was done to what, with which outcome. `count` is of how many like events.

    It is `common` where it takes nothing to cause it.
    """

    action: str
    kind: str
    target: str
    name: str
    fields: tuple[str, ...] = ()
    outcome: str = "success"
    reason: str = ""
    count: int = 1
    common: bool = False


class Crowds:
    """What is left of the allowance of each action, and what came beyond it. Safe to use from many threads."""

    def __init__(self) -> None:
        self._left: dict[str, tuple[float, datetime]] = {}
        self._untold: Counter[str] = Counter()
        self._lock = threading.Lock()

    def told(self, events: Iterable[Event], now: datetime) -> Iterator[Event]:
        """Those that are told now."""
        for event in events:
            if event.common:
                yield from self._told(event, now)
            else:
                yield event

    def _told(self, event: Event, now: datetime) -> Iterator[Event]:
        with self._lock:
            left, since = self._left.get(event.action, (float(FREE), now))
            left = min(float(FREE), left + max((now - since).total_seconds(), 0.0) * PER_SECOND)
            is_told = left >= 1
            self._left[event.action] = (left - is_told, now)
            if not is_told:
                self._untold[event.action] += 1
                TOGETHER.inc()
                return
            more = self._untold.pop(event.action, 0)
        yield event
        if more:
            yield replace(event, target="", name=OTHERS, reason="", count=more)
