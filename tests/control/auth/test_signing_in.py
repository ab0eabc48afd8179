"""Signing in: one answer for every failure, one audit row for every attempt."""

from dataclasses import replace

import pytest

from control.auth import people, sessions
from control.auth.passwords import Parameters, Passwords
from control.auth.people import UserDraft
from control.auth.sessions import OpenedSession, Origin
from control.auth.signing_in import Credentials, SignInFailed, one_line, sign_in
from control.domain.identity import UserKind
from control.domain.security import AuditEvent
from tests.support.auth import PASSWORD, World
from tests.support.stores import ADMIN, Clock

ORIGIN = Origin(address="198.51.100.7", user_agent="test", request_id="r-1")


def attempt(world: World, username: str, password: str, passwords: Passwords | None = None) -> object:
    typed = Credentials(username=username, password=password)
    return sign_in(world.store, passwords or world.passwords, typed, ORIGIN)


def attempts(world: World) -> list[AuditEvent]:
    with world.store.read() as unit:
        return [event for event in unit.audit.all() if event.action == "signed_in"]


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
    ("alice", "wrong"),
    ("alice", ""),
    ("alice", PASSWORD + " "),
    ("ALICE", PASSWORD),
    ("nobody", PASSWORD),
    ("nobody", ""),
    ("", ""),
    ("nopass", ""),
    ("nopass", "None"),
    ("damaged", PASSWORD),
    ("asleep", PASSWORD),
    ("robot", PASSWORD),
    ("ak-outpost", PASSWORD),
    ("alice\0", PASSWORD),
    ("alice' OR '1'='1", PASSWORD),
    ("%", PASSWORD),
    ("x" * 10_000, "y" * 10_000),
]


@pytest.mark.parametrize(("username", "password"), FAILURES)
def test_cve_2026_85595_every_failure_looks_alike(
    world: World, username: str, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare_accounts(world)
    checked: list[str | None] = []
    verify = Passwords.verify

    def counted(self: Passwords, password_hash: str | None, given: str, source: str) -> bool:
        checked.append(given)
        return verify(self, password_hash, given, source)

    monkeypatch.setattr(Passwords, "verify", counted)
    assert attempt(world, username, password) == SignInFailed()
    assert checked == [password], "one hash, whatever was wrong"
    (event,) = attempts(world)
    assert (event.actor, event.target, event.outcome) == ("anonymous", "", "failure")
    with world.store.read() as unit:
        assert unit.sign_ins.all() == []


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

    def meanwhile(self: Passwords, password_hash: str | None, given: str, source: str) -> bool:
        answer = verify(self, password_hash, given, source)
        with world.store.write(ADMIN) as unit:
            unit.users.update(replace(world.alice, **change))  # type: ignore[arg-type] # fields by name
        return answer

    monkeypatch.setattr(Passwords, "verify", meanwhile)
    assert attempt(world, "alice", PASSWORD) == SignInFailed()
