"""Events of the audit trail in words for people, for the overview and for the audit page alike.

Accounts and tokens of outposts are named after ids; here they are named by their outpost. Names and what people typed
are made fit to stand in a line: nothing in them hides, moves or breaks the rest.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby, islice
from uuid import UUID

from control.domain.security import AuditEvent
from control.domain.text import printable
from control.store import Unit

SHOWN = 12
CHALLENGED = "challenged"
# So many events are looked through for lines to show.
READ = 120
# The session that a sign-in or code opens says nothing that those don't, nor an authority what its rotation did to it.
_CONSEQUENCES = frozenset({("created", "sign-in"), ("updated", "sign-in"), ("updated", "authority")})
# A token that is rotated gives up its identifier.
_RENAMED = ("updated", "token", ("identifier",))
# Whoever looks again looks often: the newest look tells of all.
_LOOK = "viewed"
# Objects without a name of their own: the kind says all.
_NAMELESS = frozenset({"membership", "sign-in", "binding", "cookie key", "signing key", "authority", "drain"})
_FAILURES = {
    "signed_in": "failed to sign in as",
    "changed_password": "failed to change the password",
    "proved_identity": "failed to prove to be the person who signed in",
    "authenticated": "failed to authenticate as",
}
_KINDS = {"sign-in": "session", "drain": ""}
_VERBS = {
    "admitted": "came in at",
    "admitted_offline": "came in, by an answer from before Garrison was away, at",
    "turned_away": "was turned away at",
    "signed_out": "signed out at",
    "misconfigured": "found something that can't work at",
    "events_lost": "lost events of",
    "unknown": "did what this version doesn't know at",
    "authenticated": "authenticated as",
}
# What is said of some actions at some kinds, instead of both.
_PHRASES = {
    ("token rotated", "outpost"): "rotated the token of",
    ("tokens retired", "outpost"): "retired old tokens of",
    ("created", "drain"): "asked an instance to drain",
    ("redeemed", "code"): "opened the session of",
    ("removed", "instance"): "forgot the instance",
    ("deployment changed", "outpost"): "changed what is deployed of",
    ("deployment replaced", "outpost"): "replaced what is deployed of",
    ("deployment mended", "outpost"): "mended what is deployed of",
    ("deployment removed", "outpost"): "removed what was deployed of",
    ("host key trusted", "integration"): "trusted the new host key of",
    ("reachable", "integration"): "can use the integration",
    ("left behind", "deployment"): "removed the integration, and left on its engine what was there of",
    ("locked_out", "user"): "got locked out as",
    ("locked_out", "pair"): "got locked out as",
    ("locked_out", "address"): "got locked out from",
    ("lifted_lockout", "user"): "lifted the lockout of",
    ("lifted_lockout", "pair"): "lifted the lockout of",
    ("lifted_lockout", "address"): "lifted the lockout of the address",
    ("exported", "audit trail"): "exported the audit trail",
    ("proved_identity", "user"): "proved once more to be",
    ("created", "authenticator"): "began to set up the authenticator app",
    ("used", "recovery code"): "used a recovery code of",
    ("renewed", "recovery code"): "got new recovery codes for",
}
# And where it came to nothing; the outcome follows.
_REFUSALS = {
    ("authorized", "application"): "was refused at",
    ("redeemed", "code"): "was refused a session at",
    ("enrolment refused", "outpost"): "failed to enrol",
    ("deployment failed", "outpost"): "could not deploy",
    ("deployment rolled back", "outpost"): "went back to what was deployed before of",
    ("unreachable", "integration"): "can't use the integration",
}
# What an end of sessions is called; whose they were follows.
_ENDED = {("removed", "sign-in"): "ended a session", ("removed", "all sessions"): "ended all sessions"}
# The end of a phrase, where nothing follows: somebody did it to oneself.
_TOWARDS = re.compile(" (of|for|as|at|from|to be)$")
_OF_OUTPOST = re.compile("ak-outpost-([0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:-.*)?")
_ROLES = {"user": "service account of", "token": "token of"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The newest of `times` equal events: who did what to what (`kind`, `name`), and how it ended if not well."""

    event: AuditEvent
    times: int
    actor: str
    verb: str
    kind: str
    name: str
    failure: str
    reason: str


def read_lines(unit: Unit) -> list[Line]:
    """What happened last, the newest first."""
    return list(islice(lines_of(unit.audit.latest(READ), outpost_names(unit)), SHOWN))


def outpost_names(unit: Unit) -> Mapping[UUID, str]:
    """What outposts are called."""
    return {outpost.id: outpost.name for outpost in unit.outposts.all()}


def lines_of(events: Iterable[AuditEvent], outposts: Mapping[UUID, str]) -> Iterator[Line]:
    """The lines of these events: what repeats stands once, what follows from something is left out."""
    told = [event for event in events if not _follows(event)]
    looks = Counter(_sameness(event) for event in told if event.action == _LOOK)
    for sameness, group in groupby(told, _sameness):
        newest, *others = group
        times = looks.pop(sameness, 0) if newest.action == _LOOK else newest.count + sum(each.count for each in others)
        if times:
            yield line_of(newest, outposts, times)


def line_of(event: AuditEvent, outposts: Mapping[UUID, str], times: int = 1) -> Line:
    """One event in words."""
    verb, kind, name, failure = _told(event, outposts)
    if not kind and not name:
        verb = _TOWARDS.sub("", verb)
    return Line(
        event=event,
        times=times,
        actor=printable(event.actor),
        verb=printable(verb),
        kind=printable(kind),
        name=printable(name),
        failure=printable(failure),
        reason=printable(event.reason),
    )


def verb_of(action: str) -> str:
    """An action by itself."""
    return _VERBS.get(action, action.replace("_", " "))


def _told(event: AuditEvent, outposts: Mapping[UUID, str]) -> tuple[str, str, str, str]:
    """Verb, kind, name, failure."""
    if event.outcome == "failure" and event.action in _FAILURES:
        name = "" if event.name == event.actor else event.name or "nobody"
        return _FAILURES[event.action], "", name, ""
    if event.outcome == CHALLENGED:
        return _authenticated(event, "was asked for a code")
    if event.action == "authenticated" and event.outcome == "success":
        return _authenticated(event, "authenticated")
    if ended := _ENDED.get((event.action, event.kind)):
        return (ended, "", "", "") if event.name == event.actor else (f"{ended} of", "", event.name, "")
    kind, name = _object(event, outposts)
    # The verb says already that it did not go well.
    is_verb = event.action in _VERBS or event.action == "locked_out" or (event.action, event.kind) in _REFUSALS
    is_told = event.outcome in {"success", "failure"} and is_verb
    failure = "" if event.outcome == "success" or is_told else event.outcome
    phrases = _PHRASES if event.outcome == "success" else _REFUSALS
    phrase = phrases.get((event.action, event.kind), _PHRASES.get((event.action, event.kind)))
    return (verb_of(event.action), kind, name, failure) if phrase is None else (phrase, "", name, failure)


def _authenticated(event: AuditEvent, verb: str) -> tuple[str, str, str, str]:
    """Who is told already; at what is told behind the name."""
    who, at, place = event.name.rpartition(" at ")
    if event.name == event.actor:
        return verb, "", "", ""
    is_own = bool(at) and who == event.actor
    return (f"{verb} at", "", place, "") if is_own else (f"{verb} as", "", event.name, "")


def _follows(event: AuditEvent) -> bool:
    is_consequence = (event.action, event.kind) in _CONSEQUENCES
    return is_consequence or (event.action, event.kind, event.fields) == _RENAMED


def _sameness(event: AuditEvent) -> tuple[object, ...]:
    what = event.action, event.kind, event.target, event.name, event.fields
    return event.actor, *what, event.outcome, event.reason, event.outpost


def _object(event: AuditEvent, outposts: Mapping[UUID, str]) -> tuple[str, str]:
    if event.kind in _NAMELESS:
        return _KINDS.get(event.kind, event.kind), ""
    if event.name == event.actor:
        return "", ""
    found = _OF_OUTPOST.fullmatch(event.name)
    if found is None or event.kind not in _ROLES:
        return event.kind, event.name
    return _ROLES[event.kind], outposts.get(UUID(found[1]), "an outpost that is gone")
