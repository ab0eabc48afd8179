"""Recent events in words for people."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from control.domain.security import AuditEvent
from control.fleet.tokens import get_token
from control.web.audit.words import line_of, lines_of
from tests.support.site import Site, fill

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
EDGE = UUID("0b0e6a1a-6a52-4f29-9d3f-4ac9d6e3c001")


def event(
    action: str = "created", kind: str = "group", name: str = "red team", actor: str = "root", outcome: str = "success"
) -> AuditEvent:
    return AuditEvent(
        id=uuid4(),
        at=AT,
        recorded=AT,
        actor=actor,
        action=action,
        kind=kind,
        target="t",
        name=name,
        outcome=outcome,
    )


def test_what_repeats_stands_once() -> None:
    lines = list(lines_of([event("updated"), event("updated"), event(), event("updated")], {}))
    assert [(line.event.action, line.times) for line in lines] == [("updated", 2), ("created", 1), ("updated", 1)]


def test_all_looks_at_one_thing_stand_once() -> None:
    lines = list(lines_of([event("viewed"), event(), event("viewed"), event("viewed", name="blue team")], {}))
    assert [(line.event.action, line.name, line.times) for line in lines] == [
        ("viewed", "red team", 2),
        ("created", "red team", 1),
        ("viewed", "blue team", 1),
    ]


def test_who_did_it_tells_events_apart() -> None:
    other = event("viewed", actor="alice")
    assert len(list(lines_of([event("viewed"), other, event("viewed", outcome="failure")], {}))) == 3


def test_a_sign_in_is_one_event() -> None:
    events = [event("created", "sign-in", "alice"), event("signed_in", "user", "root")]
    assert [(line.event.action, line.kind) for line in lines_of(events, {})] == [("signed_in", "")]


def test_whose_sessions_were_ended_is_told() -> None:
    ended = [event("removed", kind, name) for kind in ("sign-in", "all sessions") for name in ("alice", "root")]
    assert [(line.verb, line.kind, line.name) for line in lines_of(ended, {})] == [
        ("ended a session of", "", "alice"),
        ("ended a session", "", ""),
        ("ended all sessions of", "", "alice"),
        ("ended all sessions", "", ""),
    ]


def test_failures_are_told_as_such() -> None:
    guess = event("signed_in", "user", "bob", actor="anonymous", outcome="failure")
    own = event("changed_password", "user", "root", outcome="failure")
    refused = event("authorized", "application", "wiki", outcome="access_denied")
    assert [(line.verb, line.kind, line.name, line.failure) for line in lines_of([guess, own, refused], {})] == [
        ("failed to sign in as", "", "bob", ""),
        ("failed to change the password", "", "", ""),
        ("was refused at", "", "wiki", "access_denied"),
    ]


def test_what_outposts_and_protocols_tell_is_told_in_words() -> None:
    events = [
        event("admitted", "application", "wiki", "alice"),
        event("turned_away", "application", "wiki", "alice", "failure"),
        event("events_lost", "outpost", "edge", "outpost/edge", "failure"),
        event("authenticated", "user", "alice at wiki", "alice"),
        event("authenticated", "user", "bob at wiki", "alice"),
        event("authenticated", "user", "bob at wiki", "anonymous", "failure"),
        event("authenticated", "user", "alice at wiki", "alice", "challenged"),
        event("signed_in", "user", "alice", "anonymous", "challenged"),
        event("signed_in", "user", "alice", "alice"),
        event("created", "sign-in", "alice", "alice"),
        event("redeemed", "code", "alice at wiki", "outpost/edge"),
        event("redeemed", "code", "wiki", "outpost/edge", "invalid_code"),
        event("locked_out", "pair", "bob at ::1", "anonymous", "failure"),
        event("lifted_lockout", "address", "::1"),
        event("exported", "audit trail", "actor: alice"),
    ]
    told = [line_of(each, {}) for each in events]
    assert [" ".join(filter(None, (line.actor, line.verb, line.kind, line.name, line.failure))) for line in told] == [
        "alice came in at application wiki",
        "alice was turned away at application wiki",
        "outpost/edge lost events of outpost edge",
        "alice authenticated at wiki",
        "alice authenticated as bob at wiki",
        "anonymous failed to authenticate as bob at wiki",
        "alice was asked for a code at wiki",
        "anonymous was asked for a code as alice",
        "alice signed in",
        "alice created session",
        "outpost/edge opened the session of alice at wiki",
        "outpost/edge was refused a session at wiki invalid_code",
        "anonymous got locked out as bob at ::1",
        "root lifted the lockout of the address ::1",
        "root exported the audit trail actor: alice",
    ]


def test_accounts_and_tokens_are_named_by_their_outpost() -> None:
    account, token = (
        event("created", "user", f"ak-outpost-{EDGE.hex}"),
        event("viewed", "token", f"ak-outpost-{EDGE}-api"),
    )
    retired = event("updated", "token", f"ak-outpost-{EDGE}-api-0123456789ab")
    named = [(line.kind, line.name) for line in lines_of([account, token, retired], {EDGE: "edge"})]
    assert named == [("service account of", "edge"), ("token of", "edge"), ("token of", "edge")]
    assert [line.name for line in lines_of([token], {})] == ["an outpost that is gone"]
    person = event("created", "user", "ak-outpost-of-mine")
    assert [(line.kind, line.name) for line in lines_of([person], {})] == [("user", "ak-outpost-of-mine")]


def test_what_happens_to_outposts_is_told_in_a_phrase() -> None:
    events = [
        event("token rotated", "outpost", "edge"),
        event("tokens retired", "outpost", "edge"),
        event("created", "drain", uuid4().hex),
        event("removed", "instance", "edge-1 of edge"),
        event("rotated", "authority", str(uuid4())),
    ]
    told = [" ".join(filter(None, (line.verb, line.kind, line.name))) for line in lines_of(events, {})]
    assert told == [
        "rotated the token of edge",
        "retired old tokens of edge",
        "asked an instance to drain",
        "forgot the instance edge-1 of edge",
        "rotated authority",
    ]


@pytest.mark.parametrize(
    ("action", "kind", "outcome", "told"),
    [
        ("deployed", "outpost", "success", "deployed outpost edge"),
        ("deployment replaced", "outpost", "success", "replaced what is deployed of edge"),
        ("deployment mended", "outpost", "success", "mended what is deployed of edge"),
        ("deployment removed", "outpost", "success", "removed what was deployed of edge"),
        ("deployment failed", "outpost", "failure", "could not deploy edge"),
        ("deployment rolled back", "outpost", "failure", "went back to what was deployed before of edge"),
        ("asked to deploy", "outpost", "success", "asked to deploy outpost edge"),
        ("host key trusted", "integration", "success", "trusted the new host key of edge"),
        ("reachable", "integration", "success", "can use the integration edge"),
        ("unreachable", "integration", "failure", "can't use the integration edge"),
    ],
)
def test_deployments(action: str, kind: str, outcome: str, told: str) -> None:
    (line,) = lines_of([event(action, kind, "edge", outcome=outcome)], {})
    assert " ".join(filter(None, (line.verb, line.kind, line.name, line.failure))) == told


def test_what_somebody_does_to_oneself_has_no_loose_end() -> None:
    told = [
        ("renewed", "recovery code"),
        ("used", "recovery code"),
        ("proved_identity", "user"),
        ("locked_out", "user"),
    ]
    own = [line_of(event(*each, name="root"), {}) for each in told]
    assert [line.verb for line in own] == [
        "got new recovery codes",
        "used a recovery code",
        "proved once more",
        "got locked out",
    ]
    assert line_of(event("used", "recovery code", "alice", actor="outpost/edge"), {}).verb == "used a recovery code of"


def test_what_a_rotation_does_to_the_old_is_left_out() -> None:
    renamed = replace(event("updated", "token", f"ak-outpost-{EDGE}-api"), fields=("identifier",))
    revoked = replace(renamed, fields=("revoked",))
    retires = event("updated", "authority")
    assert [line.event for line in lines_of([renamed, retires, revoked], {})] == [revoked]


def test_the_page_shows_no_ids(site: Site) -> None:
    outpost = fill(site.store, "edge")
    with site.store.read() as unit:
        token = get_token(unit, outpost)
    for _ in range(2):
        site.admin.get(f"/admin/tokens/{token.id}/")
    page = site.admin.get("/admin/").text
    assert "viewed token of" in page
    assert "2 times" in page
    assert "ak-outpost" not in page
