"""The latest of the audit trail in words for people: what repeats stands once, what follows from something is left out.

Accounts and tokens of outposts are named after ids; here they are named by their outpost.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby, islice
from uuid import UUID

from control.domain.security import AuditEvent
from control.store import Unit

SHOWN = 12
# So many events are looked through for lines to show.
READ = 120
# The session that a sign-in opens says nothing that the sign-in doesn't, nor an authority what its rotation did to it.
_CONSEQUENCES = frozenset({("created", "sign-in"), ("updated", "authority")})
# A token that is rotated gives up its identifier.
_RENAMED = ("updated", "token", ("identifier",))
# Whoever looks again looks often: the newest look tells of all.
_LOOK = "viewed"
# Objects without a name of their own: the kind says all.
_NAMELESS = frozenset({"membership", "sign-in", "binding", "cookie key", "signing key", "authority", "drain"})
_FAILURES = {"signed_in": "failed to sign in as", "changed_password": "failed to change the password"}
_KINDS = {"sign-in": "session", "drain": ""}
# What is said of some actions at some kinds, instead of both.
_PHRASES = {
    ("token rotated", "outpost"): "rotated the token of",
    ("tokens retired", "outpost"): "retired old tokens of",
    ("created", "drain"): "asked an instance to drain",
    ("removed", "instance"): "forgot the instance",
}
_OF_OUTPOST = re.compile("ak-outpost-([0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:-.*)?")
_ROLES = {"user": "service account of", "token": "token of"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The newest of `times` equal events: what was done to what (`kind`, `name`), and how it ended if not well."""

    event: AuditEvent
    times: int
    verb: str
    kind: str
    name: str
    failure: str


def read_lines(unit: Unit) -> list[Line]:
    """What happened last, the newest first."""
    outposts = {outpost.id: outpost.name for outpost in unit.outposts.all()}
    return list(islice(lines_of(unit.audit.latest(READ), outposts), SHOWN))


def lines_of(events: Iterable[AuditEvent], outposts: Mapping[UUID, str]) -> Iterator[Line]:
    """The lines of these events, given the names of the outposts there are."""
    told = [event for event in events if not _follows(event)]
    looks = Counter(_sameness(event) for event in told if event.action == _LOOK)
    for sameness, group in groupby(told, _sameness):
        newest, *others = group
        times = looks.pop(sameness, 0) if newest.action == _LOOK else 1 + len(others)
        if times:
            yield _line(newest, times, outposts)


def _line(event: AuditEvent, times: int, outposts: Mapping[UUID, str]) -> Line:
    if event.outcome == "failure" and event.action in _FAILURES:
        name = "" if event.name == event.actor else event.name or "nobody"
        return Line(event=event, times=times, verb=_FAILURES[event.action], kind="", name=name, failure="")
    kind, name = _object(event, outposts)
    failure = "" if event.outcome == "success" else event.outcome
    phrase = _PHRASES.get((event.action, event.kind))
    verb, kind = (event.action.replace("_", " "), kind) if phrase is None else (phrase, "")
    return Line(event=event, times=times, verb=verb, kind=kind, name=name, failure=failure)


def _follows(event: AuditEvent) -> bool:
    is_consequence = (event.action, event.kind) in _CONSEQUENCES
    return is_consequence or (event.action, event.kind, event.fields) == _RENAMED


def _sameness(event: AuditEvent) -> tuple[object, ...]:
    return event.actor, event.action, event.kind, event.target, event.name, event.fields, event.outcome


def _object(event: AuditEvent, outposts: Mapping[UUID, str]) -> tuple[str, str]:
    if event.name == event.actor:
        return "", ""
    if event.kind in _NAMELESS:
        return _KINDS.get(event.kind, event.kind), ""
    found = _OF_OUTPOST.fullmatch(event.name)
    if found is None or event.kind not in _ROLES:
        return event.kind, event.name
    return _ROLES[event.kind], outposts.get(UUID(found[1]), "an outpost that is gone")
