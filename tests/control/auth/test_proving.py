"""Proving once more who one is: a code or the password, with failures that count as those of sign-ins do."""

import pytest

from control.auth import sessions
from control.auth.codes import RecoveryText, read_code
from control.auth.passwords import HashLimits
from control.auth.people import set_password
from control.auth.proving import prove, step_up
from control.auth.sessions import OpenedSession, Session
from control.domain.decision import Refused, RefusedReason
from control.domain.errors import NotFound
from control.domain.factors import Method
from control.store import Actor
from tests.support.auth import PASSWORD, World, cheap_passwords
from tests.support.second_factors import code_of, enrol
from tests.support.stores import ADMIN, Clock

ALICE = Actor(name="alice", address="192.0.2.1", request_id="r1")


@pytest.fixture
def opened(world: World) -> OpenedSession:
    return world.sign_in()


@pytest.fixture
def session(world: World, opened: OpenedSession) -> Session:
    return find(world, opened.secret)


def find(world: World, secret: str) -> Session:
    with world.store.read() as unit:
        found = sessions.find_session(unit, secret)
    assert found is not None
    return found


def proved(world: World, session: Session, typed: str) -> RefusedReason | None:
    refused = prove(world.store, world.passwords, ALICE, session, typed)
    return None if refused is None else refused.reason


def test_a_code_changes_the_secret_and_is_remembered(world: World, opened: OpenedSession, session: Session) -> None:
    app, _ = enrol(world.store, world.alice.id)
    stepped = step_up(world.store, ALICE, session, code_of(world.store, app.id))
    assert isinstance(stepped, OpenedSession)
    assert stepped.sign_in.id == opened.sign_in.id
    assert stepped.sign_in.methods == (Method.PASSWORD, Method.ONE_TIME_CODE)
    assert (stepped.sign_in.authenticated, stepped.sign_in.expires) == (
        opened.sign_in.authenticated,
        opened.sign_in.expires,
    )
    with world.store.read() as unit:
        assert sessions.find_session(unit, opened.secret) is None
    assert find(world, stepped.secret).sign_in == stepped.sign_in


def test_a_wrong_code_changes_nothing(world: World, session: Session) -> None:
    app, codes = enrol(world.store, world.alice.id)
    code = code_of(world.store, app.id)
    assert isinstance(step_up(world.store, ALICE, session, code), OpenedSession)
    for wrong in ("", "000000", code, PASSWORD):
        outcome = step_up(world.store, ALICE, session, wrong)
        assert outcome == Refused(reason=RefusedReason.INVALID_CREDENTIALS)
    assert isinstance(step_up(world.store, ALICE, session, codes[0]), OpenedSession)


def test_a_session_that_ended_meanwhile_is_not_revived(world: World, session: Session) -> None:
    app, _ = enrol(world.store, world.alice.id)
    with world.store.write(ADMIN) as unit:
        sessions.end_session(unit, session.sign_in.id)
    with pytest.raises(NotFound):
        step_up(world.store, ALICE, session, code_of(world.store, app.id))


def test_password_and_codes_prove_the_same(world: World, session: Session) -> None:
    app, codes = enrol(world.store, world.alice.id)
    for typed in (PASSWORD, code_of(world.store, app.id), codes[0]):
        assert proved(world, session, typed) is None
        assert proved(world, session, typed + "1") is RefusedReason.INVALID_CREDENTIALS
    assert proved(world, session, codes[0]) is RefusedReason.INVALID_CREDENTIALS


def test_a_password_may_look_like_a_code(world: World, session: Session) -> None:
    enrol(world.store, world.alice.id)
    assert isinstance(read_code(PASSWORD), RecoveryText)
    assert proved(world, session, PASSWORD) is None


def test_a_password_set_meanwhile_makes_the_old_one_worthless(world: World, session: Session) -> None:
    with world.store.write(ADMIN) as unit:
        set_password(unit, world.alice.id, world.passwords.hash("another-one"), keep=session.sign_in.id)
    assert proved(world, session, PASSWORD) is RefusedReason.INVALID_CREDENTIALS


@pytest.mark.parametrize("wrong", ["wrong password", "000000"])
def test_guessing_is_stopped(world: World, session: Session, clock: Clock, wrong: str) -> None:
    app, _ = enrol(world.store, world.alice.id)
    for _ in range(5):
        assert proved(world, session, wrong) is RefusedReason.INVALID_CREDENTIALS
    for right in (PASSWORD, code_of(world.store, app.id)):
        refused = prove(world.store, world.passwords, ALICE, session, right)
        assert refused is not None
        assert refused.reason is RefusedReason.LOCKED_OUT
        assert refused.retry_after.total_seconds() == 15
    assert isinstance(step_up(world.store, ALICE, session, code_of(world.store, app.id)), Refused)
    clock.advance(seconds=16)
    assert proved(world, session, PASSWORD) is None


def test_tries_while_nothing_is_tried_fill_no_audit_trail(world: World, session: Session) -> None:
    for _ in range(20):
        proved(world, session, "wrong password")
        step_up(world.store, ALICE, session, "000000")
    with world.store.read() as unit:
        events = [event.action for event in unit.audit.latest(50)]
    assert (events.count("proved_identity"), events.count("locked_out")) == (5, 1)


def test_who_knows_the_password_gets_no_more_guesses_at_codes(world: World, session: Session) -> None:
    enrol(world.store, world.alice.id)
    for _ in range(2):
        assert isinstance(step_up(world.store, ALICE, session, "000000"), Refused)
        assert isinstance(step_up(world.store, ALICE, session, "000000"), Refused)
        assert proved(world, session, PASSWORD) is None
    assert isinstance(step_up(world.store, ALICE, session, "000000"), Refused)
    assert proved(world, session, PASSWORD) is RefusedReason.LOCKED_OUT


def test_who_has_codes_gets_no_more_guesses_at_the_password(world: World, session: Session) -> None:
    _, codes = enrol(world.store, world.alice.id)
    for code in codes[:2]:
        for _ in range(2):
            assert proved(world, session, "wrong password") is RefusedReason.INVALID_CREDENTIALS
        assert proved(world, session, code) is None
    assert proved(world, session, "wrong password") is RefusedReason.INVALID_CREDENTIALS
    assert proved(world, session, codes[2]) is RefusedReason.LOCKED_OUT


def test_too_many_at_once_are_told_to_come_back(world: World, session: Session) -> None:
    crowded = cheap_passwords(HashLimits(of_one_source=0, retry_after=7))
    refused = prove(world.store, crowded, ALICE, session, PASSWORD)
    assert refused is not None
    assert (refused.reason, refused.retry_after.total_seconds()) == (RefusedReason.BUSY, 7)


def test_the_audit_trail_has_every_attempt(world: World, session: Session) -> None:
    app, _ = enrol(world.store, world.alice.id)
    proved(world, session, "nonsense")
    proved(world, session, code_of(world.store, app.id))
    with world.store.read() as unit:
        events = [event for event in unit.audit.latest(20) if event.action == "proved_identity"]
    assert [(event.outcome, event.reason) for event in events] == [
        ("success", "otp"),
        ("failure", "wrong password or code"),
    ]
    assert {(event.actor, event.name, event.address) for event in events} == {("alice", "alice", "192.0.2.1")}
