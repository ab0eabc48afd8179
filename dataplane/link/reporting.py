"""Tells control what happened at the outpost, while a stream stands: batches of events over Gate.Report, in order.

A batch that wasn't answered is told again; control keeps each event once, by its id. Control that doesn't know the call
yet is asked again now and then, and what it will never take is found by halving, and left out.
"""

import logging
from collections.abc import Iterable, Sequence
from enum import Enum, auto
from itertools import accumulate, takewhile

import grpc

from dataplane.gate import Event, EventAction
from dataplane.link.backoff import Backoff, Pace
from dataplane.link.stamps import timestamp
from dataplane.link.trail import Trail
from dataplane.link.world import World
from protos.outpost.v1 import gate_pb2, gate_pb2_grpc

MOST_EVENTS = 1_000
MOST_BYTES = 256 * 1024
"""Control takes twice as much in a message."""
MOST_COUNT = 2**32 - 1
UNSUPPORTED = 60.0
"""Seconds until a control that doesn't know the call is asked again."""
_DEADLINE = 10.0
_PACE = Pace()
log = logging.getLogger("dataplane.link")

_Action = gate_pb2.OutpostEvent.Action
_ACTIONS = {
    EventAction.ADMITTED: _Action.ACTION_ADMITTED,
    EventAction.TURNED_AWAY: _Action.ACTION_TURNED_AWAY,
    EventAction.SIGNED_OUT: _Action.ACTION_SIGNED_OUT,
    EventAction.ADMITTED_OFFLINE: _Action.ACTION_ADMITTED_OFFLINE,
    EventAction.MISCONFIGURED: _Action.ACTION_MISCONFIGURED,
    EventAction.EVENTS_LOST: _Action.ACTION_EVENTS_LOST,
}


class Outcome(Enum):
    """What became of a batch."""

    TAKEN = auto()
    LATER = auto()
    UNSUPPORTED = auto()
    REFUSED = auto()


class Reporter:
    """Tells of a trail over one stream's channel after another. `_most` shrinks where control refuses a batch."""

    def __init__(self, trail: Trail, world: World, pace: Pace = _PACE) -> None:
        self._trail = trail
        self._world = world
        self._pace = pace
        self._most = MOST_EVENTS
        self._told = grpc.StatusCode.OK

    async def run(self, gate: gate_pb2_grpc.GateStub) -> None:
        """Tell whatever there is. Never returns by itself."""
        backoff = Backoff(self._pace, self._world.uniform)
        while True:
            batch = cut(await self._trail.first(), self._most)
            match await self._tell(gate, batch):
                case Outcome.TAKEN:
                    await self._trail.delivered([event for event, _ in batch])
                    self._most = min(MOST_EVENTS, self._most * 2)
                    backoff = Backoff(self._pace, self._world.uniform)
                case Outcome.REFUSED:
                    await self._refused(batch)
                case Outcome.UNSUPPORTED:
                    await self._world.sleep(UNSUPPORTED)
                case Outcome.LATER:
                    await self._world.sleep(backoff.wait_after(0.0))

    async def _refused(self, batch: "Batch") -> None:
        if len(batch) > 1:
            self._most = len(batch) // 2
            return
        event = batch[0][0]
        log.error("control never will take an event", extra={"event": event.id, "action": event.action.value})
        await self._trail.refused(event)

    async def _tell(self, gate: gate_pb2_grpc.GateStub, batch: "Batch") -> Outcome:
        request = gate_pb2.ReportRequest(events=[message for _, message in batch])
        try:
            await gate.Report(request, timeout=_DEADLINE)
        except grpc.aio.AioRpcError as error:
            self._note(error.code(), error.details() or "")
            return _outcome(error.code())
        self._note(grpc.StatusCode.OK, "")
        return Outcome.TAKEN

    def _note(self, code: grpc.StatusCode, reason: str) -> None:
        """The same again is no news."""
        if code is self._told:
            return
        self._told = code
        if code is grpc.StatusCode.OK:
            log.info("control takes events again")
        else:
            log.warning("control did not take events yet", extra={"status": code.name, "reason": reason})


Batch = Sequence[tuple[Event, gate_pb2.OutpostEvent]]
"""Events with what is sent of them."""


def cut(events: Iterable[Event], most: int) -> Batch:
    """As many of the first as go in one call, at least one."""
    some = [(event, event_message(event)) for event, _ in zip(events, range(most), strict=False)]
    sizes = accumulate(message.ByteSize() + 8 for _, message in some)
    return some[: max(1, sum(1 for _ in takewhile(lambda size: size <= MOST_BYTES, sizes)))]


def event_message(event: Event) -> gate_pb2.OutpostEvent:
    """An event as it travels."""
    return gate_pb2.OutpostEvent(
        id=event.id,
        at=timestamp(event.at),
        action=_ACTIONS[event.action],
        provider=event.provider,
        subject=event.subject,
        username=event.username,
        client_address=event.client_address,
        reason=event.reason,
        count=min(event.count, MOST_COUNT),
        request_id=event.request_id,
    )


def _outcome(code: grpc.StatusCode) -> Outcome:
    match code:
        case grpc.StatusCode.INVALID_ARGUMENT:
            return Outcome.REFUSED
        case grpc.StatusCode.UNIMPLEMENTED:
            return Outcome.UNSUPPORTED
        case _:
            return Outcome.LATER
