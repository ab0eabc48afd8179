"""What the workers have counted: those that live as they last said, those that have ended all but their gauges."""

from dataplane.runtime.metrics import left_behind, merged
from dataplane.runtime.server import Snapshot


class Counts:
    """By slot."""

    def __init__(self) -> None:
        self._living: dict[int, Snapshot] = {}
        self._left = Snapshot()

    def take(self, slot: int, snapshot: Snapshot) -> None:
        """What a worker says of itself, since it began."""
        self._living[slot] = snapshot

    def leave(self, slot: int) -> None:
        """It has ended."""
        counted = self._living.pop(slot, None)
        if counted:
            self._left = merged((self._left, left_behind(counted)))

    def total(self) -> Snapshot:
        """All together."""
        return merged((self._left, *self._living.values()))
