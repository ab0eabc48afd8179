"""What outposts tell for the audit trail: kept once each, bounded, and believed only as far as an outpost can know.

An outpost may be in other hands. It speaks for itself alone: its name stands on every event, its ids are made its own,
what it says of applications that it doesn't serve is only noted. Events change nothing that any outpost holds, so
neither the revision moves nor is anybody woken; one transaction a call, after everything was read that it needs.
"""

import ipaddress
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import grpc

from control.auth.people_rules import RESERVED_PREFIX, RESERVED_USERNAMES, USERNAME_LENGTH
from control.auth.signing_in import ANONYMOUS
from control.domain.application import Application
from control.domain.audit import FAILURE, SUCCESS
from control.domain.outpost import Outpost
from control.domain.security import AuditEvent
from control.link.caller import CallRefused, get_client
from control.link.gate import Desk
from control.link.limits import Allowance, Limits, exhausted
from control.link.metrics import Metrics
from control.link.reading import MOST_SMALL, read_id, read_line, read_time
from control.store import Actor, Store, Unit
from protos.outpost.v1 import gate_pb2

MOST_EVENTS = 1_000
MOST_REASON, MOST_REQUEST_ID, MOST_ADDRESS = 400, 80, 80

Context = grpc.aio.ServicerContext[Any, Any]

_Action = gate_pb2.OutpostEvent.Action
_ACTIONS: Mapping[int, tuple[str, str]] = {
    _Action.ACTION_ADMITTED: ("admitted", SUCCESS),
    _Action.ACTION_TURNED_AWAY: ("turned_away", FAILURE),
    _Action.ACTION_SIGNED_OUT: ("signed_out", SUCCESS),
    _Action.ACTION_ADMITTED_OFFLINE: ("admitted_offline", SUCCESS),
    _Action.ACTION_MISCONFIGURED: ("misconfigured", FAILURE),
    _Action.ACTION_EVENTS_LOST: ("events_lost", FAILURE),
}
# What a newer outpost may tell, which is kept although it isn't understood.
_UNKNOWN = ("unknown", SUCCESS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One event as the outpost tells it, bounded and fit for a log. `provider` is None where what it names is no id."""

    id: UUID
    at: datetime | None
    action: str
    outcome: str
    somewhere: bool
    provider: UUID | None
    subject: UUID | None
    username: str
    address: str
    reason: str
    request_id: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What control knows of it: who tells, since when events are kept, who subjects are, and what it serves."""

    outpost: Outpost
    now: datetime
    oldest: datetime | None
    usernames: Mapping[UUID, str]
    places: Mapping[UUID, Application]


class Reporter:
    """Takes what outposts tell. Its desk has one thread: reports wait for each other and for nobody else."""

    def __init__(self, store: Store, desk: Desk, limits: Limits, metrics: Metrics, kept: timedelta | None) -> None:
        self._store = store
        self._desk = desk
        self._allowance = Allowance(limits.events, limits.event_seconds)
        self._metrics = metrics
        self._kept = kept

    async def take(self, context: Context, request: gate_pb2.ReportRequest) -> None:
        """Keep what is new. Raises CallRefused; then nothing is kept, and all of it may be said again."""
        outpost = get_client(context.auth_context()).outpost
        self._expect_few(outpost, len(request.events))
        await self._desk.ask_any(context, lambda _caller: self._keep(outpost, request.events))

    def close(self) -> None:
        """Let the thread go."""
        self._desk.close()

    def _expect_few(self, outpost: UUID, count: int) -> None:
        if count > MOST_EVENTS:
            message = f"{count} events; at most {MOST_EVENTS} in a call"
            raise CallRefused(grpc.StatusCode.INVALID_ARGUMENT, "too_many_events_of_call", message)
        if not self._allowance.spend(outpost):
            raise exhausted("too_many_events_of_outpost", "the outpost tells of too much; it may do so later")
        self._allowance.pay(outpost, count)

    def _keep(self, outpost: UUID, events: Iterable[gate_pb2.OutpostEvent]) -> None:
        said = [read_event(event) for event in events]
        told = [event for event in said if event is not None]
        with self._store.read() as unit:
            known = _known(unit, unit.outposts.get(outpost), told, self._kept, self._desk.served(outpost))
        young = [audited(event, known) for event in told if not _is_too_old(event, known)]
        with self._store.write(_caller(known.outpost)) as unit:
            new = unit.audit.record_new(young)
        results = {"kept": new, "repeated": len(young) - new, "too_old": len(told) - len(young)}
        self._count({**results, "unreadable": len(said) - len(told)})

    def _count(self, results: Mapping[str, int]) -> None:
        for result, count in results.items():
            self._metrics.outpost_events.labels(result).inc(count)


def read_event(event: gate_pb2.OutpostEvent) -> Told | None:
    """What an outpost tells, if it has an id to be told apart by."""
    key = read_id(event.id)
    if key is None:
        return None
    action, outcome = _ACTIONS.get(event.action, _UNKNOWN)
    return Told(
        id=key,
        at=read_time(event.at) if event.HasField("at") else None,
        action=action,
        outcome=outcome,
        somewhere=bool(event.provider),
        provider=read_id(event.provider),
        subject=read_id(event.subject),
        username=read_line(event.username, USERNAME_LENGTH),
        address=_address(event.client_address),
        reason=read_line(event.reason, MOST_REASON),
        request_id=read_line(event.request_id, MOST_REQUEST_ID),
        count=min(max(event.count, 1), MOST_SMALL),
    )


def audited(told: Told, known: Known) -> AuditEvent:
    """The event as it is kept. What has yet to happen happened now: the outpost's clock is ahead of ours."""
    outpost, place = known.outpost, known.places.get(told.provider) if told.provider is not None else None
    kind, target, name = ("outpost", outpost.id, outpost.name)
    if place is not None:
        # Called as everywhere in the trail.
        kind, target, name = "application", place.id, place.slug
    return AuditEvent(
        # Another outpost that tells the same id tells of something else.
        id=uuid5(outpost.id, told.id.hex),
        at=_time(told, known),
        recorded=known.now,
        actor=_actor(told, known),
        action=told.action,
        kind=kind,
        target=str(target),
        name=name,
        address=told.address,
        outcome=told.outcome,
        reason=told.reason if place is not None or not told.somewhere else _said_of_another(told),
        request_id=told.request_id,
        outpost=outpost.name,
        count=told.count,
    )


def _known(
    unit: Unit, outpost: Outpost, told: Collection[Told], kept: timedelta | None, served: Collection[UUID]
) -> Known:
    providers = {each.provider for each in told if each.provider in served}
    found = {key: unit.applications.find_for_provider(key) for key in providers if key is not None}
    return Known(
        outpost=outpost,
        now=unit.now,
        oldest=unit.now - kept if kept is not None else None,
        usernames=unit.users.usernames({each.subject for each in told if each.subject is not None}),
        places={key: place for key, place in found.items() if place is not None},
    )


def _is_too_old(told: Told, known: Known) -> bool:
    """Whether housekeeping would drop it at once."""
    return known.oldest is not None and _time(told, known) < known.oldest


def _time(told: Told, known: Known) -> datetime:
    return known.now if told.at is None else min(told.at, known.now)


def _actor(told: Told, known: Known) -> str:
    """Who it was; nobody becomes one of our own actors by typing its name."""
    username = known.usernames.get(told.subject) if told.subject is not None else None
    if username is not None:
        return username
    typed = told.username.strip()
    if typed in RESERVED_USERNAMES or typed.startswith(RESERVED_PREFIX):
        return ANONYMOUS
    own = told.action in {"misconfigured", "events_lost"} and not told.address
    return typed or (f"{RESERVED_PREFIX}{known.outpost.name}" if own else ANONYMOUS)


def _said_of_another(told: Told) -> str:
    which = f"provider {told.provider}" if told.provider is not None else "a provider"
    return f"{told.reason}; said of {which}, which this outpost doesn't serve".removeprefix("; ")


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text[:MOST_ADDRESS]))
    except ValueError:
        return ""


def _caller(outpost: Outpost) -> Actor:
    return Actor(name=f"{RESERVED_PREFIX}{outpost.name}")
