"""Who comes in by a bind, and what everybody else hears."""

from dataclasses import replace

import pytest

from dataplane.config import Changed, Ended
from dataplane.gate import Answer, Challenge, Denied, DenyReason, EventAction, Unavailable
from tests.dataplane.protocols.ldap.serving import (
    ALICE,
    BASE,
    CACHED,
    DIRECT,
    PASSWORD,
    PROVIDER,
    serving,
    session_of,
    user_dn,
)
from tests.support import ldap_ber as ber
from tests.support.ldap_client import PASSWORD_MODIFY
from tests.support.verifying import NOW

UNTIL = NOW + 1e6
ENDED = Ended(session="", subject=ALICE.id, provider="", before=NOW + 10, until=UNTIL)
DENIED = Changed(
    identity=session_of(ALICE).identity, at=NOW + 10, until=UNTIL, denied_providers=frozenset({PROVIDER.id})
)


def test_the_right_password_binds_and_whatever_is_wrong_makes_anonymous() -> None:
    with serving() as world, world.client() as client:
        assert client.who_am_i() == ""
        assert client.bind(user_dn("alice"), PASSWORD).code == 0
        assert client.who_am_i() == f"dn:{user_dn('alice')}"
        assert client.bind(user_dn("alice"), "wrong").code == 49
        assert client.who_am_i() == ""
        assert client.bind(user_dn("alice"), PASSWORD).code == 0
        assert client.bind("", "").code == 0
        assert client.who_am_i() == ""


@pytest.mark.parametrize(
    ("operation", "controls", "code"),
    [
        (ber.bind(user_dn("bob"), PASSWORD), (ber.control("1.2.3", critical=True),), 12),
        (ber.bind(b"\xff", PASSWORD), (), 2),  # type: ignore[arg-type]  # no text
        (ber.bind(user_dn("bob"), PASSWORD, version=2), (), 2),
        (ber.bind("nonsense", PASSWORD), (), 34),
    ],
)
def test_a_bind_that_fails_early_makes_anonymous_too(operation: bytes, controls: tuple[bytes, ...], code: int) -> None:
    with serving() as world, world.client("alice") as client:
        assert client.ask(operation, *controls).code == code
        assert client.who_am_i() == ""


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        (user_dn("alice"), "alice"),
        (f"CN = ALICE , OU=Users, {BASE.upper()}", "alice"),
        (f"uid=alice,ou=users,{BASE}", "alice"),
        (f"cn=nobody\\2c at all,ou=users,{BASE}", "nobody, at all"),
    ],
)
def test_the_name_in_a_dn(name: str, asked: str) -> None:
    with serving() as world, world.client() as client:
        client.bind(name, PASSWORD)
        (attempt,) = world.gate.attempts
        assert attempt.credentials.username == asked  # type: ignore[union-attr]  # a password
        assert (attempt.provider, attempt.client_address, attempt.dialogue) == (PROVIDER.id, "127.0.0.1", False)


@pytest.mark.parametrize(
    ("name", "password", "code"),
    [
        (user_dn("alice"), "", 53),
        ("", "password", 49),
        ("alice", PASSWORD, 34),
        ("cn=alice,ou=users,dc=elsewhere", PASSWORD, 49),
        (f"cn=staff,ou=groups,{BASE}", PASSWORD, 49),
        (BASE, PASSWORD, 49),
    ],
)
def test_what_control_is_not_asked(name: str, password: str, code: int) -> None:
    with serving() as world, world.client() as client:
        assert client.bind(name, password).code == code
        assert world.gate.attempts == []


def test_only_simple_binds_of_version_3() -> None:
    with serving() as world, world.client() as client:
        assert client.ask(ber.bind(user_dn("alice"), PASSWORD, version=2)).code == 2
        sasl = ber.sequence(ber.integer(3), ber.octets(""), ber.sequence(ber.octets("PLAIN"), tag=0xA3), tag=0x60)
        assert client.ask(sasl).code == 7
        unknown = ber.sequence(ber.integer(3), ber.octets(""), ber.octets(b"?", 0x89), tag=0x60)
        assert client.ask(unknown).code == 7
        not_text = ber.bind(user_dn("alice"), b"\xff\xfe")
        assert client.ask(not_text).code == 49
        assert world.gate.attempts == []


SECOND_FACTOR = "password;code"


@pytest.mark.parametrize(
    ("verdict", "code", "text"),
    [
        (Denied(reason=DenyReason.INVALID_CREDENTIALS), 49, "wrong name or password"),
        (Denied(reason=DenyReason.LOCKED_OUT, retry_after=60), 49, "wrong name or password"),
        (Denied(reason=DenyReason.ACCESS_DENIED), 50, "may not use"),
        (Denied(reason=DenyReason.SECOND_FACTOR), 49, SECOND_FACTOR),
        (Challenge(state="s", expires_in=60), 49, SECOND_FACTOR),
        (Denied(reason=DenyReason.BUSY), 51, "try again"),
        (Unavailable("away"), 52, "try again"),
        (Unavailable("forbidden", refused=True), 52, "try again"),
    ],
)
def test_control_says_no(verdict: Answer, code: int, text: str) -> None:
    with serving() as world, world.client() as client:
        world.gate.verdict = verdict
        found = client.bind(user_dn("alice"), PASSWORD)
        assert (found.code, found.matched) == (code, "")
        assert text in found.text
        assert client.who_am_i() == ""


def test_direct_asks_each_time_and_cached_once() -> None:
    for provider, asked in ((DIRECT, 3), (CACHED, 1)):
        with serving(provider) as world:
            for _ in range(3):
                world.client("alice").close()
            assert len(world.gate.attempts) == asked


def test_the_password_before_is_over_where_another_was_set_though_control_has_pushed_nothing_yet() -> None:
    with serving(CACHED) as world, world.client("alice") as client:
        change = ber.sequence(ber.octets(PASSWORD, 0x81), ber.octets("new", 0x82))
        assert client.ask(ber.extended(PASSWORD_MODIFY, change)).code == 0
        world.gate.verdict = Denied(reason=DenyReason.INVALID_CREDENTIALS)
        assert client.bind(user_dn("alice"), PASSWORD).code == 49
        assert len(world.gate.attempts) == 2


def test_while_control_is_away_those_it_let_in_before_come_in_where_that_is_cached() -> None:
    for provider, code in ((DIRECT, 52), (CACHED, 0)):
        with serving(provider) as world, world.client("alice") as client:
            world.gate.verdict = Unavailable("away")
            world.clock.now += 3600
            assert client.bind(user_dn("alice"), PASSWORD).code == code
            assert client.bind(user_dn("alice"), "wrong").code == 52
            assert client.bind(user_dn("bob"), PASSWORD).code == 52
            events = world.server.take_events()
            assert [(each.action, each.username) for each in events] == (
                [(EventAction.ADMITTED_OFFLINE, "alice")] if code == 0 else []
            )


def test_what_was_kept_is_told_and_what_ends_it_is_known() -> None:
    with serving(CACHED) as world:
        world.client("alice").close()
        world.client("alice").close()
        (event,) = world.server.take_events()
        assert (event.action, event.subject, event.count) == (EventAction.ADMITTED, ALICE.id, 1)
        assert event.client_address == "127.0.0.1"
        assert not world.apply({"ended/subject/alice": ENDED})
        with world.client() as client:
            assert client.bind(user_dn("alice"), PASSWORD).code == 49, "control has not heard of it yet"
        world.clock.now = NOW + 20


def test_who_has_lost_the_application_is_denied_whatever_was_kept() -> None:
    with serving(CACHED) as world, world.client() as client:
        assert not world.apply({"changed/alice": DENIED})
        assert client.bind(user_dn("alice"), PASSWORD).code == 50
        (event,) = world.server.take_events()
        assert (event.action, event.reason) == (EventAction.TURNED_AWAY, "access denied")


def test_a_session_that_has_run_out_binds_nobody() -> None:
    with serving() as world, world.client() as client:
        world.clock.now = NOW + 90_000
        assert client.bind(user_dn("alice"), PASSWORD).code == 49


def test_outcomes_are_counted() -> None:
    with serving(CACHED) as world:
        world.client("alice").close()
        world.client("alice").close()
        with world.client() as client:
            client.bind(user_dn("alice"), "wrong")
        for outcome in ("control", "cache", "invalid_credentials"):
            assert world.count("garrison_ldap_binds_total", outcome=outcome) == 1
        rejected = "authentik_outpost_ldap_requests_rejected_total"
        assert world.count(rejected, type="bind", reason="invalid_credentials", outpost_name="edge") == 1


def test_binds_before_the_directory_has_come() -> None:
    with serving(loaded=False) as world, world.client("alice") as client:
        assert client.who_am_i() == "u:alice"
        assert client.search(ber.Search(base=BASE)).code == 52
        assert client.search(ber.Search(base="", scope=ber.BASE)).code == 0
        assert world.wanted == 1
        world.load(replace(ALICE, groups=()))
        assert client.who_am_i() == f"dn:{user_dn('alice')}"
        assert client.search(ber.Search(base=BASE, filter=ber.equal("uid", "alice"))).dns == [user_dn("alice")]
