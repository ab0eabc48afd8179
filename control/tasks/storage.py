"""The queue as huey wants to see it: a storage whose queue and schedule are both the rows of runs, with their `due`.

What huey takes from a queue dies with the process; here it is claimed, and claimed again by others when its lease ends.
huey's own data (results, revocations, locks) is not kept: a run says itself what became of it.
"""

from datetime import datetime
from typing import Any

from huey.constants import EmptyData
from huey.storage import BaseStorage
from huey.utils import utcnow

from control.domain.task import TaskState
from control.tasks.context import fitting
from control.tasks.holding import Ending, Holding
from control.tasks.messages import read_key, write_message


class RunStorage(BaseStorage):  # type: ignore[misc] # huey has no type information
    """The part of huey's storage that its consumer needs."""

    def __init__(self, name: str, holding: Holding) -> None:
        super().__init__(name)
        self._holding = holding

    def dequeue(self) -> bytes | None:
        """Claim a run."""
        key = self._holding.claim()
        return write_message(key) if key is not None else None

    def add_to_schedule(self, data: bytes, ts: datetime) -> None:
        """Let go of a run that is to be tried again, as far from now as `ts` (UTC, naive) is."""
        key = read_key(data)
        hand = self._holding.find(key)
        if hand is not None:
            values, delay = fitting(hand.trouble.values), ts - utcnow()
            ending = Ending(state=TaskState.RETRYING, error=hand.trouble.code, values=values, delay=delay)
            self._holding.end(key, ending)

    def read_schedule(self, ts: datetime) -> list[bytes]:  # noqa: ARG002 - huey's signature
        """Nothing: what is due is claimed like everything else."""
        return []

    def peek_data(self, key: str) -> Any:  # noqa: ANN401, ARG002 - huey's own marker, and its signature
        """Nothing: a run is cancelled in its row, where all see it."""
        return EmptyData

    pop_data = peek_data
