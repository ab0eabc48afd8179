"""Signing in at our pages: one answer for every failure, one audit row for every attempt."""

from dataclasses import replace

import pytest

from control.auth import people, sessions
from control.auth.deciding import Decider
from control.auth.lockout import one_line
from control.auth.passwords import Parameters, Passwords
from control.auth.people import UserDraft
from control.auth.sessions import OpenedSession, Origin
from control.auth.signing_in import Credentials, finish, sign_in
from control.domain.decision import Challenged, Refused, RefusedReason
from control.domain.factors import Method
from control.domain.identity import UserKind
from control.domain.security import AuditEvent
from tests.support.attempts import Door, count_hashes
from tests.support.auth import PASSWORD, World
from tests.support.stores import ADMIN, Clock

ORIGIN = Origin(address="198.51.100.7", user_agent="test", request_id="r-1")


WRONG = Refused(reason=RefusedReason.INVALID_CREDENTIALS)


def attempt(world: World, username: str, password: str, passwords: Passwords | None = None) -> object:
    typed = Credentials(username=username, password=password)
    return sign_in(Decider(world.store, passwords or world.passwords), typed, ORIGIN)


def attempts(world: World) -> list[AuditEvent]:
    with world.store.read() as unit:
        return [event for event in unit.audit.latest(100)[::-1] if event.action == "signed_in"]


def test_the_right_password_opens_a_session(world: World, clock: Clock) -> None:
    opened = attempt(world, "alice", PASSWORD)
    assert isinstance(opened, OpenedSession)
    with world.store.read() as unit:
        session = sessions.find_session(unit, opened.secret)
        assert session is not None
        assert session.person.user.last_sign_in == clock.now
    (event,) = attempts(world)
    assert (event.actor, event.name, event.outcome) == ("alice", "alice", "success")
    assert (event.address, event.request_id) == ("198.51.100.7", "r-1")


def prepare_accounts(world: World) -> None:
    hashed = world.passwords.hash(PASSWORD)
    with world.store.write(ADMIN) as unit:
        people.create_user(unit, UserDraft(username="nopass"))
        people.create_user(unit, UserDraft(username="damaged"), "$argon2id$damaged")
        people.create_user(unit, UserDraft(username="asleep", active=False), hashed)
        people.create_user(unit, UserDraft(username="robot", kind=UserKind.SERVICE), hashed)
        people.create_user(unit, UserDraft(username="ak-outpost", kind=UserKind.OUTPOST), hashed)


FAILURES = [
    ("alice", "wrong", "wrong password"),
    ("alice", "", "wrong password"),
    ("alice", PASSWORD + " ", "wrong password"),
    ("alice", PASSWORD + ";123456", "wrong password"),
    ("ALICE", PASSWORD, "unknown user"),
    ("nobody", PASSWORD, "unknown user"),
    ("nobody", "", "unknown user"),
    ("", "", "unknown user"),
    ("nopass", "", "no password is set"),
    ("nopass", "None", "no password is set"),
    ("damaged", PASSWORD, "wrong password"),
    ("asleep", PASSWORD, "inactive user"),
    ("robot", PASSWORD, "account of another kind"),
    ("ak-outpost", PASSWORD, "account of another kind"),
    ("alice\0", PASSWORD, "unknown user"),
    ("alice' OR '1'='1", PASSWORD, "unknown user"),
    ("%", PASSWORD, "unknown user"),
    ("x" * 10_000, "y" * 10_000, "unknown user"),
]


@pytest.mark.parametrize(("username", "password", "why"), FAILURES)
def test_cve_2026_85595_every_failure_looks_alike(
    world: World, username: str, password: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare_accounts(world)
    checked = count_hashes(monkeypatch)
    assert attempt(world, username, password) == WRONG
    assert [given for _, given in checked] == [password], "one hash, whatever was wrong"
    (event,) = attempts(world)
    assert (event.actor, event.outcome, event.reason) == ("anonymous", "failure", why)
    with world.store.read() as unit:
        assert unit.sign_ins.all() == []


def test_a_second_factor_stands_between_the_password_and_the_session(world: World, door: Door) -> None:
    app = door.enrol(world.alice)
    typed = Credentials(username="alice", password=PASSWORD)
    answer = sign_in(door.decider, typed, ORIGIN)
    assert isinstance(answer, Challenged)
    with world.store.read() as unit:
        assert unit.sign_ins.all() == []
    assert finish(door.decider, answer.state, "000000", ORIGIN) == WRONG
    assert door.decider.is_pending(answer.state), "another code may be given"
    opened = finish(door.decider, answer.state, app.code(), ORIGIN)
    assert isinstance(opened, OpenedSession)
    assert opened.sign_in.methods == (Method.PASSWORD, Method.ONE_TIME_CODE)
    assert [(event.actor, event.outcome, event.reason) for event in attempts(world)] == [
        ("alice", "challenged", "second factor is due"),
        ("alice", "failure", "wrong code"),
        ("alice", "success", "pwd+otp"),
    ]


def test_ghsa_f24x_a_finished_sign_in_has_another_secret_than_the_browser_brought(world: World, door: Door) -> None:
    app, planted = door.enrol(world.alice), world.sign_in(world.bob)
    answer = sign_in(door.decider, Credentials(username="alice", password=PASSWORD), ORIGIN, planted.secret)
    assert isinstance(answer, Challenged)
    opened = finish(door.decider, answer.state, app.code(), ORIGIN, planted.secret)
    assert isinstance(opened, OpenedSession)
    with world.store.read() as unit:
        assert sessions.find_session(unit, planted.secret) is None
        assert sessions.find_session(unit, opened.secret) is not None


def test_a_browser_takes_no_app_password_and_no_code_behind_the_password(world: World, door: Door) -> None:
    _, secret = door.app_password(world.alice)
    app = door.enrol(world.alice)
    assert attempt(world, "alice", secret) == WRONG
    assert attempt(world, "alice", f"{PASSWORD};{app.code()}") == WRONG


def test_who_has_to_have_a_factor_and_has_none_comes_in_to_enrol(world: World) -> None:
    with world.store.write(ADMIN) as unit:
        unit.groups.update(replace(world.staff, second_factor=True))
    opened = attempt(world, "alice", PASSWORD)
    assert isinstance(opened, OpenedSession)
    assert opened.sign_in.methods == (Method.PASSWORD,)


def test_what_was_typed_cannot_write_log_lines(world: World) -> None:
    attempt(world, "alice\r\n2026-01-01 akadmin signed_in success\x1b[2J\u202e", "x")
    (event,) = attempts(world)
    assert event.name == "alice\ufffd\ufffd2026-01-01 akadmin signed_in success\ufffd[2J\ufffd"
    assert event.name.isprintable()
    assert len(one_line("x" * 10_000)) == 150


def test_a_password_is_not_in_what_is_printed() -> None:
    assert "hush" not in repr(Credentials(username="alice", password="hush"))


def test_the_username_may_be_typed_decomposed(world: World) -> None:
    hashed = world.passwords.hash(PASSWORD)
    with world.store.write(ADMIN) as unit:
        people.create_user(unit, UserDraft(username="\u00e1lvaro"), hashed)
    assert isinstance(attempt(world, "a\u0301lvaro", PASSWORD), OpenedSession)


def test_newer_parameters_hash_anew_and_end_no_session(world: World) -> None:
    elsewhere = world.sign_in().secret
    newer = Passwords(Parameters(memory=16, passes=1, lanes=1))
    assert isinstance(attempt(world, "alice", PASSWORD, newer), OpenedSession)
    with world.store.read() as unit:
        alice = unit.users.get(world.alice.id)
        assert (alice.password_hash or "").startswith("$argon2id$v=19$m=16,")
        assert sessions.find_session(unit, elsewhere) is not None
        assert [found for found in unit.revocations.live() if found.user == alice.id and not found.changed] == []
    assert isinstance(attempt(world, "alice", PASSWORD, newer), OpenedSession)


@pytest.mark.parametrize("change", [{"active": False}, {"password_hash": "$other"}, {"kind": UserKind.SERVICE}])
def test_who_changes_while_the_hash_is_computed_does_not_get_in(
    world: World, change: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = Passwords.verify

    def meanwhile(self: Passwords, password_hash: str | None, given: str, source: str = "") -> bool:
        answer = verify(self, password_hash, given, source)
        with world.store.write(ADMIN) as unit:
            unit.users.update(replace(world.alice, **change))  # type: ignore[arg-type] # fields by name
        return answer

    monkeypatch.setattr(Passwords, "verify", meanwhile)
    assert attempt(world, "alice", PASSWORD) == WRONG
