"""The state between password and code: ours, bound, good for five minutes, and worth nothing to a thief."""

import base64
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.auth.challenges import LIFETIME, LONGEST_STATE, Challenges, Pending
from control.auth.people import set_password
from control.domain.decision import Admitted, Challenged, Channel, Refused, RefusedReason
from control.domain.factors import Method
from control.store import Sealer
from tests.support.attempts import HOME, PROTOCOLS, THIEF, App, Door
from tests.support.auth import PASSWORD
from tests.support.stores import ADMIN, Clock

WRONG = Refused(reason=RefusedReason.INVALID_CREDENTIALS)
CHALLENGES = Challenges(Sealer(b"k" * 32))


@pytest.fixture
def app(door: Door) -> App:
    """Alice's."""
    return door.enrol(door.world.alice)


def challenged(door: Door, channel: Channel = Channel.RADIUS) -> str:
    answer = door.password("alice", channel=channel, dialogue=True)
    assert isinstance(answer, Challenged), answer
    assert answer.expires_in == LIFETIME
    return answer.state


def pending(clock: Clock) -> Pending:
    return Pending(user=uuid4(), password=b"p" * 16, channel=Channel.LDAP, application=uuid4(), expires=clock.now)


def test_a_state_says_what_was_sealed_in_what_radius_can_carry(clock: Clock) -> None:
    for sealed in (pending(clock), replace(pending(clock), channel=Channel.BROWSER, application=None)):
        state = CHALLENGES.seal(sealed)
        assert CHALLENGES.find(state) == sealed
        assert CHALLENGES.seal(sealed) != state, "no two are alike"
        assert len(state) <= LONGEST_STATE


def test_nobody_reads_a_state_or_changes_a_bit_of_it(clock: Clock) -> None:
    about = pending(clock)
    state = CHALLENGES.seal(about)
    sealed = base64.urlsafe_b64decode(state + "=" * (-len(state) % 4))
    assert about.user.bytes not in sealed
    for place in range(len(sealed)):
        for bit in (1, 128):
            changed = bytes([*sealed[:place], sealed[place] ^ bit, *sealed[place + 1 :]])
            assert CHALLENGES.find(base64.urlsafe_b64encode(changed).decode()) is None
    assert CHALLENGES.find(base64.urlsafe_b64encode(sealed[:-1]).decode()) is None
    assert Challenges(Sealer(b"x" * 32)).find(state) is None


@given(st.text() | st.binary().map(lambda some: base64.urlsafe_b64encode(some).decode()))
def test_garbage_is_no_state(text: str) -> None:
    assert CHALLENGES.find(text) is None


@pytest.mark.parametrize("channel", [Channel.BROWSER, *PROTOCOLS])
def test_the_code_of_the_app_lets_in(door: Door, app: App, channel: Channel) -> None:
    state = challenged(door, channel)
    answer = door.answer(state, app.code(), channel=channel)
    assert isinstance(answer, Admitted)
    assert answer.methods == (Method.PASSWORD, Method.ONE_TIME_CODE)
    assert [(event.outcome, event.reason) for event in door.events()] == [
        ("challenged", "second factor is due"),
        ("success", "pwd+otp"),
    ]


def test_a_recovery_code_does_once(door: Door, app: App) -> None:
    first, second = app.recovery[:2]
    answer = door.answer(challenged(door), first, channel=Channel.RADIUS)
    assert isinstance(answer, Admitted)
    assert answer.methods == (Method.PASSWORD, Method.RECOVERY_CODE)
    assert door.answer(challenged(door), first, channel=Channel.RADIUS) == WRONG
    assert isinstance(door.answer(challenged(door), second.upper(), channel=Channel.RADIUS), Admitted)


def test_another_process_takes_the_answer(door: Door, app: App) -> None:
    state = challenged(door)
    door.decider = door.another()
    assert isinstance(door.answer(state, app.code(), channel=Channel.RADIUS), Admitted)


def test_a_state_may_be_shown_again_but_a_code_is_good_once(door: Door, app: App) -> None:
    state, code = challenged(door), app.code()
    assert isinstance(door.answer(state, code, channel=Channel.RADIUS), Admitted)
    assert door.answer(state, code, channel=Channel.RADIUS) == WRONG
    assert door.reasons()[-1] == "wrong code"
    door.clock.advance(seconds=30)
    assert isinstance(door.answer(state, app.code(), channel=Channel.RADIUS), Admitted)


def test_five_minutes_and_no_longer(door: Door, app: App) -> None:
    state = challenged(door)
    door.clock.advance(seconds=299)
    assert door.decider.is_pending(state)
    assert isinstance(door.answer(state, app.code(), channel=Channel.RADIUS), Admitted)
    door.clock.advance(seconds=1)
    assert not door.decider.is_pending(state)
    door.clock.advance(seconds=30)
    assert door.answer(state, app.code(), channel=Channel.RADIUS) == WRONG
    assert door.reasons()[-1] == "challenge is over"
    assert door.failures(f"pair/{door.world.alice.id}/{HOME}") == {}, "slow is not wrong"


def test_cve_2025_52553_a_state_is_for_one_application_and_one_channel(door: Door, app: App) -> None:
    paste = door.world.paste_application.id
    elsewhere: list[dict[str, Any]] = [
        {"channel": Channel.RADIUS, "application": paste},
        {"channel": Channel.LDAP},
        {"channel": Channel.BROWSER},
    ]
    for changed in elsewhere:
        assert door.answer(challenged(door), app.code(), **changed) == WRONG
        assert door.reasons()[-1] == "unknown challenge"
    assert isinstance(door.answer(challenged(door), app.code(), channel=Channel.RADIUS), Admitted), "no code was spent"


def test_a_state_ends_with_the_password_it_stands_on(door: Door, app: App) -> None:
    state = challenged(door)
    with door.world.store.write(ADMIN) as unit:
        set_password(unit, door.world.alice.id, door.world.passwords.hash("another-horse"))
    assert not door.decider.is_pending(state)
    assert door.answer(state, app.code(), channel=Channel.RADIUS) == WRONG


@pytest.mark.parametrize("gone", ["inactive", "removed"])
def test_a_state_ends_with_its_user(door: Door, app: App, gone: str) -> None:
    state = challenged(door)
    with door.world.store.write(ADMIN) as unit:
        if gone == "removed":
            unit.users.remove(unit.users.get(door.world.alice.id))
        else:
            unit.users.update(replace(unit.users.get(door.world.alice.id), active=False))
    assert not door.decider.is_pending(state)
    assert door.answer(state, app.code(), channel=Channel.RADIUS) == WRONG


def test_codes_can_be_guessed_no_more_often_than_passwords(door: Door, app: App) -> None:
    state = challenged(door)
    answers = [door.answer(state, f"{number:06}", channel=Channel.RADIUS) for number in range(6)]
    wait = timedelta(seconds=15)
    assert answers == [*[WRONG] * 5, Refused(reason=RefusedReason.LOCKED_OUT, retry_after=wait)]
    assert door.answer(state, app.code(), channel=Channel.RADIUS) == answers[-1]
    door.clock.advance(seconds=15)
    assert isinstance(door.answer(state, app.code(), channel=Channel.RADIUS), Admitted)


def test_made_up_states_count_for_their_address(door: Door) -> None:
    answers = [door.answer(f"state{number}", "123456", THIEF) for number in range(21)]
    assert answers == [*[WRONG] * 20, Refused(reason=RefusedReason.LOCKED_OUT, retry_after=timedelta(seconds=15))]


@pytest.mark.usefixtures("app")
def test_a_right_password_without_its_code_forgives_nothing(door: Door) -> None:
    door.fail("alice", 4, THIEF)
    assert isinstance(door.password("alice", address=THIEF, channel=Channel.BROWSER), Challenged)
    wait = timedelta(seconds=15)
    assert door.fail("alice", 2, THIEF) == [WRONG, Refused(reason=RefusedReason.LOCKED_OUT, retry_after=wait)]


def test_who_may_not_use_the_application_may_not_with_a_code(door: Door) -> None:
    app = door.enrol(door.world.bob)
    answer = door.password("bob", PASSWORD, channel=Channel.RADIUS, dialogue=True)
    assert isinstance(answer, Challenged)
    given = door.answer(answer.state, app.code(), channel=Channel.RADIUS)
    assert given == Refused(reason=RefusedReason.ACCESS_DENIED)


@pytest.mark.usefixtures("app")
def test_a_state_is_not_in_what_is_printed(door: Door) -> None:
    answer = door.password("alice", channel=Channel.BROWSER)
    assert isinstance(answer, Challenged)
    assert answer.state not in repr(answer)


def test_the_first_step_forgives_nothing_and_the_second_does(door: Door, app: App) -> None:
    answers = [door.answer(challenged(door), f"00000{number}", channel=Channel.RADIUS) for number in range(4)]
    assert answers == [WRONG] * 4
    state = challenged(door)
    assert door.failures(f"user/{door.world.alice.id}") != {}
    with door.world.store.read() as unit:
        assert not unit.failures.is_familiar(door.world.alice.id, HOME, door.clock.now)
    assert isinstance(door.answer(state, app.code(), channel=Channel.RADIUS), Admitted)
    assert door.failures(f"user/{door.world.alice.id}") == {}
    with door.world.store.read() as unit:
        assert unit.failures.is_familiar(door.world.alice.id, HOME, door.clock.now)
