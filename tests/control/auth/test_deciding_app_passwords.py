"""App passwords as credentials: good for whom and where they were made for, and no proof of who failed before."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from control.auth import app_passwords
from control.domain.decision import Admitted, Challenged, Channel, Refused, RefusedReason
from control.domain.factors import Method
from control.domain.identity import UserKind
from tests.control.auth.test_deciding_tokens import issued
from tests.support.attempts import ELSEWHERE, HOME, PROTOCOLS, THIEF, Door
from tests.support.auth import PASSWORD
from tests.support.stores import ADMIN

WRONG, DENIED, FACTOR = (
    Refused(reason=reason)
    for reason in (RefusedReason.INVALID_CREDENTIALS, RefusedReason.ACCESS_DENIED, RefusedReason.SECOND_FACTOR)
)
LOCKED = Refused(reason=RefusedReason.LOCKED_OUT, retry_after=timedelta(seconds=15))


@pytest.mark.parametrize("channel", PROTOCOLS)
def test_an_app_password_is_good_with_its_user_and_by_itself(door: Door, channel: Channel) -> None:
    made, secret = door.app_password(door.world.alice)
    written = " ".join(secret[start : start + 4] for start in range(0, 24, 4)).upper()
    for answer in (
        door.password("alice", secret, channel=channel),
        door.password("alice", written, channel=channel),
        door.token(secret, channel=channel),
    ):
        assert isinstance(answer, Admitted)
        assert (answer.session, answer.app_password, answer.methods) == (made.id, made.id, (Method.APP_PASSWORD,))
    for username in ("bob", "nobody", ""):
        assert door.password(username, secret, channel=channel) == WRONG
    with door.world.store.read() as unit:
        used = unit.app_passwords.get(made.id)
    assert (used.last_used, used.last_address) == (door.clock.now, HOME)


def test_an_app_password_needs_no_second_factor(door: Door) -> None:
    door.enrol(door.world.alice)
    _, secret = door.app_password(door.world.alice)
    with door.world.store.write(ADMIN) as unit:
        unit.applications.update(replace(door.world.wiki_application, second_factor=True))
    assert isinstance(door.password("alice", secret), Admitted)
    assert isinstance(door.password("alice", secret, channel=Channel.RADIUS, dialogue=True), Admitted)


@pytest.mark.parametrize("asks", ["application", "group"])
def test_an_app_password_made_without_a_second_factor_is_not_enough_where_one_is_asked_for(
    door: Door, asks: str
) -> None:
    _, weak = door.app_password(door.world.alice, second_factor=False)
    _, strong = door.app_password(door.world.alice, "tablet")
    door.enrol(door.world.alice)
    assert isinstance(door.password("alice", weak), Admitted), "nothing asks for one"
    with door.world.store.write(ADMIN) as unit:
        if asks == "group":
            unit.groups.update(replace(door.world.staff, second_factor=True))
        else:
            unit.applications.update(replace(door.world.wiki_application, second_factor=True))
    assert [door.password("alice", weak), door.token(weak)] == [FACTOR, FACTOR]
    assert door.reasons()[-1] == "second factor is due"
    assert isinstance(door.password("alice", strong), Admitted)
    assert isinstance(door.token(strong), Admitted)


def test_an_app_password_is_good_for_its_applications(door: Door) -> None:
    wiki, paste = door.world.wiki_application.id, door.world.paste_application.id
    _, for_paste = door.app_password(door.world.alice, application=paste)
    assert door.token(for_paste, application=wiki) == WRONG
    assert door.password("alice", for_paste, application=wiki) == WRONG
    assert isinstance(door.token(for_paste, application=paste), Admitted)
    assert door.token(for_paste, application=None) == WRONG
    assert door.token(for_paste, application=uuid4()) == WRONG


def test_rules_hold_for_app_passwords_too(door: Door) -> None:
    _, secret = door.app_password(door.world.bob)
    assert door.password("bob", secret) == DENIED
    assert door.token(secret) == DENIED


def test_an_app_password_ends_when_it_says_or_is_revoked(door: Door) -> None:
    soon = door.clock.now + timedelta(minutes=5)
    made, secret = door.app_password(door.world.alice, expires=soon)
    answer = door.token(secret)
    assert isinstance(answer, Admitted)
    assert answer.expires == soon
    door.clock.advance(minutes=5)
    assert door.token(secret) == WRONG
    assert door.password("alice", secret) == WRONG
    made, secret = door.app_password(door.world.alice, "tablet")
    with door.world.store.write(ADMIN) as unit:
        app_passwords.revoke(unit, door.world.alice.id, made.id)
    assert door.token(secret) == WRONG


@pytest.mark.parametrize("change", [{"active": False}, {"kind": UserKind.OUTPOST}])
def test_an_app_password_is_worth_what_its_user_is(door: Door, change: dict[str, Any]) -> None:
    _, secret = door.app_password(door.world.alice)
    with door.world.store.write(ADMIN) as unit:
        unit.users.update(replace(door.world.alice, **change))
    assert door.token(secret) == WRONG
    assert door.password("alice", secret) == WRONG


def test_what_ends_between_two_looks_does_not_get_in(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    made, secret = door.app_password(door.world.alice)
    find = app_passwords.find_valid

    def found_and_gone(*asked: Any) -> Any:
        found = find(*asked)
        with door.world.store.write(ADMIN) as unit:
            app_passwords.revoke(unit, door.world.alice.id, made.id)
        return found

    monkeypatch.setattr(app_passwords, "find_valid", found_and_gone)
    assert door.token(secret) == WRONG
    assert door.reasons() == ["changed meanwhile"]


def test_nobody_locks_out_a_device(door: Door) -> None:
    _, secret = door.app_password(door.world.alice)
    door.fail("alice", 5, THIEF)
    for number in range(20):
        door.fail(f"user{number}", 1)
    assert door.password("alice") == LOCKED
    assert isinstance(door.password("alice", secret), Admitted), "it can't be guessed"
    assert isinstance(door.token(secret, ELSEWHERE), Admitted)


@pytest.mark.parametrize("is_at_home", [True, False])
@pytest.mark.parametrize("end", ["revoked", "expired", "for another application"])
def test_a_device_whose_app_password_is_no_longer_good_locks_its_owner_out_of_nothing(
    door: Door, is_at_home: bool, end: str
) -> None:
    if is_at_home:
        assert isinstance(door.password("alice"), Admitted)
    place = door.world.paste_application.id if end == "for another application" else None
    expires = door.clock.now + timedelta(minutes=5) if end == "expired" else None
    made, gone = door.app_password(door.world.alice, expires=expires, application=place)
    if end == "revoked":
        with door.world.store.write(ADMIN) as unit:
            app_passwords.revoke(unit, door.world.alice.id, made.id)
    door.clock.advance(minutes=5)
    answers = [door.password("alice", gone) for _ in range(25)]
    assert answers == [*[WRONG] * 20, *[LOCKED] * 5]
    assert door.failures(f"user/{door.world.alice.id}", f"pair/{door.world.alice.id}/{HOME}") == {}
    assert isinstance(door.password("alice", address=HOME if is_at_home else ELSEWHERE), Admitted)
    assert door.password("bob") == LOCKED, "nobody known there"


def test_what_was_revoked_is_known_for_a_year_and_as_its_owners_alone(door: Door) -> None:
    made, gone = door.app_password(door.world.alice)
    with door.world.store.write(ADMIN) as unit:
        app_passwords.revoke(unit, door.world.alice.id, made.id)
    door.password("bob", gone)
    assert door.failures(f"user/{door.world.bob.id}") != {}, "a guess"
    for age, counted in ((app_passwords.REMEMBERED, False), (timedelta(seconds=1), True)):
        door.clock.advance(seconds=age.total_seconds())
        with door.world.store.write(ADMIN) as unit:
            app_passwords.clean_up(unit)
        assert door.password("alice", gone) == WRONG
        assert (door.failures(f"user/{door.world.alice.id}") != {}) is counted


@pytest.mark.parametrize("channel", [Channel.BROWSER, *PROTOCOLS])
def test_a_guess_counts_for_the_user_though_it_looks_like_an_app_password(door: Door, channel: Channel) -> None:
    phrases = ["correct horse battery spite", "CORRECT-HORSE-BATTERY-SPITS", "a" * 24, "7" * 24, "b " * 24]
    for number, phrase in enumerate(phrases):
        assert door.password("bob", phrase, f"2001:db8:{number}::1", channel=channel) == WRONG
    assert door.password("bob", "a" * 24, "2001:db8:99::1", channel=channel) == LOCKED


def test_an_app_password_of_somebody_else_is_a_guess(door: Door) -> None:
    _, secret = door.app_password(door.world.alice)
    assert [door.password("bob", secret, f"2001:db8:{number}::1") for number in range(6)] == [*[WRONG] * 5, LOCKED]


# What can't be guessed says nothing of who guesses.


def test_an_app_password_forgives_no_guesses_at_codes(door: Door) -> None:
    door.enrol(door.world.alice)
    paste = door.world.paste_application.id
    _, secret = door.app_password(door.world.alice, application=paste)
    challenge = door.password("alice", PASSWORD, THIEF, dialogue=True)
    assert isinstance(challenge, Challenged)
    answers = []
    for _ in range(3):
        answers += [door.answer(challenge.state, "000000", THIEF, dialogue=True) for _ in range(2)]
        assert isinstance(door.password("alice", secret, THIEF, application=paste), Admitted)
        assert isinstance(door.token(secret, THIEF, application=paste), Admitted)
    assert answers == [*[WRONG] * 5, LOCKED]


def test_an_id_token_forgives_no_guesses_at_passwords(door: Door) -> None:
    token = issued(door.world).id_token
    answers = []
    for _ in range(3):
        answers += door.fail("alice", 2, THIEF)
        assert isinstance(door.token(token, THIEF), Admitted)
    assert answers == [*[WRONG] * 5, LOCKED]


@pytest.mark.parametrize("by", ["app password", "bearer", "id token"])
def test_a_place_is_not_known_by_what_cannot_be_guessed(door: Door, by: str) -> None:
    _, secret = door.app_password(door.world.alice)
    token = issued(door.world).id_token
    answer = (
        door.password("alice", secret) if by == "app password" else door.token(token if by == "id token" else secret)
    )
    assert isinstance(answer, Admitted)
    with door.world.store.read() as unit:
        assert not unit.failures.is_familiar(door.world.alice.id, HOME, door.clock.now - timedelta(days=1))


def test_bad_tokens_count_for_their_address_alone(door: Door) -> None:
    answers = [door.token(f"token{number}", THIEF) for number in range(21)]
    assert answers == [*[WRONG] * 20, LOCKED]
    _, secret = door.app_password(door.world.alice)
    assert isinstance(door.token(secret, THIEF), Admitted), "a good one is looked at all the same"
    assert door.token("token", THIEF) == LOCKED
    assert len(door.events("locked_out")) == 1


def test_what_was_good_once_fills_no_audit_trail(door: Door) -> None:
    token = issued(door.world).id_token
    _, secret = door.app_password(door.world.alice)
    with door.world.store.write(ADMIN) as unit:
        unit.users.update(replace(door.world.alice, active=False))
    answers = [door.token(each, THIEF) for _ in range(30) for each in (token, secret)]
    assert answers == [*[WRONG] * 20, *[LOCKED] * 40]
    assert door.reasons() == ["inactive user"] * 20
