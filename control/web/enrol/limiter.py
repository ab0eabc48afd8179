"""Bounds how often one address may fail to enrol: a token can't be guessed, but the audit trail can be flooded."""

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """At most `failures` in `seconds` for each of at most `addresses` that are remembered."""

    failures: int = 30
    seconds: float = 60.0
    addresses: int = 10_000


class FailureLimiter:
    """Counts failures by address in a sliding window; safe for threads."""

    def __init__(self, clock: Callable[[], float], limits: Limits | None = None) -> None:
        self._clock = clock
        self._limits = limits or Limits()
        self._failures: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = Lock()

    def wait(self, address: str) -> float:
        """How many seconds the address has to wait before it is heard again; 0 when it is welcome."""
        with self._lock:
            recent = self._recent(address)
            full = len(recent) >= self._limits.failures
            return recent[0] + self._limits.seconds - self._clock() if full else 0.0

    def note(self, address: str) -> None:
        """The address failed once more; the address that failed longest ago makes room."""
        with self._lock:
            recent = self._recent(address)
            recent.append(self._clock())
            self._failures[address] = recent
            self._failures.move_to_end(address)
            while len(self._failures) > self._limits.addresses:
                self._failures.popitem(last=False)

    def _recent(self, address: str) -> deque[float]:
        recent = self._failures.get(address, deque(maxlen=self._limits.failures))
        while recent and recent[0] <= self._clock() - self._limits.seconds:
            recent.popleft()
        return recent
