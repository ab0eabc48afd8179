"""The queue on huey: one task of its, `perform`, which does whatever kind of run it is told to.

Whether a run is tried again, and when, is decided by the runner; RetryTask is huey's word for it.
"""

from huey import Huey
from huey.exceptions import RetryTask

from control.domain.task import TaskState
from control.tasks.holding import Holding
from control.tasks.messages import Messages, to_key
from control.tasks.runner import Runner
from control.tasks.storage import RunStorage


def make_queue(holding: Holding, runner: Runner) -> Huey:
    """The queue over what this process holds."""
    queue = Huey("garrison", results=False, serializer=Messages(), storage_class=RunStorage, holding=holding)

    def perform(run: str, attempt: int) -> None:
        """Do an attempt that was claimed."""
        key = to_key(run, attempt)
        hand = holding.find(key)
        if hand is None:
            return
        try:
            ending = runner.perform(hand)
        except BaseException:
            # The worker ends. Others take the run up when its lease has.
            holding.drop(key)
            raise
        if ending.state is TaskState.RETRYING:
            raise RetryTask(delay=ending.delay.total_seconds())
        holding.end(key, ending)

    queue.task()(perform)
    return queue
