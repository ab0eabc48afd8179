"""What is asked of the audit trail, and how it is written down for programs: one set of names for all of that.

A filter is what an address, a command line and a page have in common; each event is one JSON object on one line. Pure.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from uuid import UUID

from control.domain.errors import Invalid, Problem
from control.domain.security import AuditEvent

SUCCESS, FAILURE = "success", "failure"
# No column holds more (control.store.tables).
LONGEST = 500
TEXTS = ("actor", "action", "kind", "target", "name", "outcome", "address", "outpost", "request_id")
TIMES = ("from", "to")
_EXPECTED = "a time like 2026-11-22T14:30Z or a day like 2026-11-22 (UTC unless it says otherwise)"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which events: those that match all that isn't empty.

    `name` is text that the event's name contains, upper and lower case alike; the other texts are whole. `outcome`
    `failure` is whatever was no success. Not before `since`, and before `until`.
    """

    actor: str = ""
    action: str = ""
    kind: str = ""
    target: str = ""
    name: str = ""
    outcome: str = ""
    address: str = ""
    outpost: str = ""
    request_id: str = ""
    since: datetime | None = None
    until: datetime | None = None

    @property
    def is_empty(self) -> bool:
        """Whether every event matches."""
        return self == AuditFilter()


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Place:
    """Where an event stands in the trail: by time, and by id where times are equal."""

    at: datetime
    id: UUID

    def __str__(self) -> str:
        return f"{rfc3339(self.at)}_{self.id.hex}"


def place_of(event: AuditEvent) -> Place:
    """Where the event stands."""
    return Place(at=event.at, id=event.id)


def find_place(text: str) -> Place | None:
    """The place that an address names, if it is one."""
    at, _, key = text.partition("_")
    try:
        return Place(at=_moment(at), id=UUID(key))
    except (ValueError, OverflowError):
        return None


def read_filter(given: Mapping[str, str]) -> AuditFilter:
    """The filter from texts by name: those of TEXTS and TIMES. Raises Invalid.

    A time without a zone is UTC; a day alone is its beginning, and its end for `to`.
    """
    problems: list[Problem] = []
    since = _find_time("from", given.get("from", ""), problems)
    until = _find_time("to", given.get("to", ""), problems)
    texts = {name: given.get(name, "").strip() for name in TEXTS}
    problems += [
        Problem(field=name, code="too_long", expected=f"at most {LONGEST} characters")
        for name, text in texts.items()
        if len(text) > LONGEST
    ]
    if problems:
        raise Invalid(problems)
    return AuditFilter(**texts, since=since, until=until)


def words_of(wanted: AuditFilter) -> dict[str, str]:
    """The filter as texts by name, those only that narrow: what `read_filter` reads."""
    times = {"from": wanted.since, "to": wanted.until}
    found = {name: getattr(wanted, name) for name in TEXTS}
    found |= {name: rfc3339(when) if when is not None else "" for name, when in times.items()}
    return {name: text for name, text in found.items() if text}


def as_json(event: AuditEvent) -> str:
    """The event as one JSON object (RFC 8259) on one line, without its end. ASCII: nothing in it acts on a terminal."""
    return json.dumps({field.name: _plain(getattr(event, field.name)) for field in fields(event)}, ensure_ascii=True)


def rfc3339(when: datetime) -> str:
    """The moment as RFC 3339 has it, in UTC, to the microsecond."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _plain(value: object) -> object:
    match value:
        case datetime():
            return rfc3339(value)
        case UUID():
            return str(value)
        case tuple():
            return list(value)
        case _:
            return value


def _find_time(name: str, text: str, problems: list[Problem]) -> datetime | None:
    wanted = text.strip()
    if not wanted:
        return None
    try:
        is_day = len(wanted) == len("2026-11-22")
        return _moment(wanted) + timedelta(days=1 if is_day and name == "to" else 0)
    except (ValueError, OverflowError):
        problems.append(Problem(field=name, code="not_a_time", found=wanted[:LONGEST], expected=_EXPECTED))
        return None


def _moment(text: str) -> datetime:
    """Raises ValueError, OverflowError."""
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).astimezone(UTC)
