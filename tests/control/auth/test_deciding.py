"""One answer for every protocol, and the same work whatever was wrong."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from control.auth.attempts import split
from control.auth.deciding import PasswordGiven, TokenGiven
from control.auth.passwords import HashLimits, Passwords
from control.auth.people import set_password
from control.domain.application import Binding, PolicyMode
from control.domain.decision import Admitted, Challenged, Channel, Refused, RefusedReason, Verdict
from control.domain.factors import Method
from control.domain.identity import UserKind
from control.store import Store
from control.store.crowds import FREE, OTHERS
from tests.support.attempts import ELSEWHERE, HOME, PROTOCOLS, THIEF, Door, count_hashes
from tests.support.auth import PASSWORD, cheap_passwords
from tests.support.stores import ADMIN

WRONG, DENIED, FACTOR = (
    Refused(reason=reason)
    for reason in (RefusedReason.INVALID_CREDENTIALS, RefusedReason.ACCESS_DENIED, RefusedReason.SECOND_FACTOR)
)


def methods(answer: Verdict) -> tuple[Method, ...]:
    assert isinstance(answer, Admitted), answer
    return answer.methods


@pytest.mark.parametrize("channel", PROTOCOLS)
def test_whom_the_rules_let_in_comes_in_by_every_protocol(door: Door, channel: Channel) -> None:
    answer = door.password("alice", channel=channel)
    assert isinstance(answer, Admitted)
    assert (answer.person.user.id, answer.methods) == (door.world.alice.id, (Method.PASSWORD,))
    assert (answer.app_password, answer.expires) == (None, None)
    assert door.password("bob", channel=channel) == DENIED
    assert door.password("bob", channel=channel, application=door.world.paste_application.id) != DENIED
    events = [(event.actor, event.name, event.outcome, event.reason) for event in door.events()]
    assert events == [
        ("outpost/edge", "alice at wiki", "success", "pwd"),
        ("outpost/edge", "bob at wiki", "failure", "access denied: no rule lets the user in"),
        ("outpost/edge", "bob at paste", "success", "pwd"),
    ]


def test_the_session_of_a_person_at_a_provider_is_one(door: Door) -> None:
    first, again = door.password("alice"), door.password("alice", address=ELSEWHERE, channel=Channel.LDAP)
    paste = door.password("alice", application=door.world.paste_application.id)
    assert isinstance(first, Admitted)
    assert isinstance(again, Admitted)
    assert isinstance(paste, Admitted)
    assert first.session == again.session != paste.session


@pytest.mark.parametrize("mode", list(PolicyMode))
def test_the_rules_are_those_of_the_application(door: Door, mode: PolicyMode) -> None:
    wiki = door.world.wiki_application
    with door.world.store.write(ADMIN) as unit:
        unit.applications.update(replace(wiki, policy_mode=mode))
        unit.bindings.add(Binding(id=UUID(int=7), application=wiki.id, user=door.world.alice.id, negate=True, order=1))
    answer = door.password("alice")
    if mode is PolicyMode.ANY:
        assert isinstance(answer, Admitted)
    else:
        assert answer == DENIED
        assert door.reasons() == ["access denied: not every rule lets the user in"]


def test_without_an_application_nobody_gets_in(door: Door) -> None:
    for application in (None, UUID(int=1)):
        assert door.password("alice", application=application) == DENIED
        assert door.reasons()[-1] == "no such application"


# Who may come how.

KINDS = [
    (UserKind.INTERNAL, True, True),
    (UserKind.SERVICE, False, True),
    (UserKind.OUTPOST, False, False),
]


@pytest.mark.parametrize("channel", [Channel.BROWSER, *PROTOCOLS])
@pytest.mark.parametrize(("kind", "by_password", "by_app_password"), KINDS)
def test_who_may_come_how(
    door: Door, channel: Channel, kind: UserKind, by_password: bool, by_app_password: bool
) -> None:
    user = door.account("somebody")
    _, secret = door.app_password(user)
    with door.world.store.write(ADMIN) as unit:
        unit.users.update(replace(user, kind=kind))
    assert isinstance(door.password("somebody", channel=channel), Admitted) is by_password
    expected = by_app_password and channel is not Channel.BROWSER
    assert isinstance(door.password("somebody", secret, channel=channel), Admitted) is expected


# The same work for everybody.


WHO = ["alice", "bob", "asleep", "robot", "ak-outpost-x", "nobody", "", "x" * 5_000]


def executed(store: Store, door: Door, username: str, **changed: Any) -> tuple[Verdict, list[str]]:
    """The answer to a wrong password, and the statements that it took."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        seen.append(statement)

    engine = store._engine
    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        return door.password(username, "wrong", **changed), seen
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)


@pytest.mark.parametrize("channel", [Channel.BROWSER, *PROTOCOLS])
def test_cve_2026_85595_unknown_users_cost_what_known_ones_do(
    door: Door, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    door.account("asleep", active=False)
    door.account("robot", UserKind.SERVICE)
    door.account("ak-outpost-x", UserKind.OUTPOST)
    with door.world.store.write(ADMIN) as unit:
        unit.users.update(replace(door.world.bob, password_hash=None))
    checked = count_hashes(monkeypatch)
    door.password("warm", "up")
    checked.clear()
    work = [executed(door.world.store, door, username, channel=channel) for username in WHO]
    assert [answer for answer, _ in work] == [WRONG] * len(WHO)
    assert len(checked) == len(WHO), "one hash each"
    for (_, one), (_, other) in pairwise(work):
        assert one == other, "the same statements in the same order"


def test_a_locked_name_costs_the_same_whether_it_is_known(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    for username in ("alice", "nobody"):
        door.fail(username, 6)
    checked = count_hashes(monkeypatch)
    known, unknown = (executed(door.world.store, door, username) for username in ("alice", "nobody"))
    assert known == unknown
    assert checked == []


def test_having_a_factor_is_not_seen_before_the_password_is_right(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    door.enrol(door.world.alice)
    checked = count_hashes(monkeypatch)
    for password in ("wrong", "wrong;123456", "wrong;abcd-efgh-ijkl"):
        assert {door.password(username, password) for username in ("alice", "bob", "nobody")} == {WRONG}
    assert len(checked) == 9


# The password and the code behind it.


@given(st.text(), st.text())
def test_only_what_has_the_shape_of_a_code_is_split_off(password: str, behind: str) -> None:
    whole = f"{password};{behind}"
    before, code = split(whole)
    assert (before, code) in {(whole, ""), (whole.rpartition(";")[0], whole.rpartition(";")[2])}


@pytest.mark.parametrize(
    ("typed", "parts"),
    [
        ("pass;123456", ("pass", "123456")),
        ("a;b;123456", ("a;b", "123456")),
        ("pass;123456;654321", ("pass;123456", "654321")),
        ("pass;abcd-efgh-ijkl", ("pass", "abcd-efgh-ijkl")),
        ("pass;12345", ("pass;12345", "")),
        ("pass;1234567", ("pass;1234567", "")),
        ("pass;", ("pass;", "")),
        (";123456", (";123456", "")),
        ("123456", ("123456", "")),
        ("", ("", "")),
    ],
)
def test_the_code_stands_behind_the_last_semicolon(typed: str, parts: tuple[str, str]) -> None:
    assert split(typed) == parts


@pytest.mark.parametrize("channel", PROTOCOLS)
@pytest.mark.parametrize("dialogue", [False, True])
def test_a_code_behind_the_password_does_where_no_dialogue_is(door: Door, channel: Channel, dialogue: bool) -> None:
    app = door.enrol(door.world.alice)
    given: dict[str, Any] = {"channel": channel, "dialogue": dialogue}
    answer = door.password("alice", f"{PASSWORD};{app.code()}", **given)
    assert methods(answer) == (Method.PASSWORD, Method.ONE_TIME_CODE)
    assert door.password("alice", f"{PASSWORD};{app.code()}", **given) == WRONG, "good once"
    answer = door.password("alice", f"{PASSWORD};{app.recovery[0]}", **given)
    assert methods(answer) == (Method.PASSWORD, Method.RECOVERY_CODE)
    assert door.password("alice", f"{PASSWORD};{app.recovery[0]}", **given) == WRONG


def test_without_the_code_it_is_said_that_one_is_due_and_counted_as_no_failure(door: Door) -> None:
    door.enrol(door.world.alice)
    assert [door.password("alice") for _ in range(7)] == [FACTOR] * 7
    assert isinstance(door.password("alice", dialogue=True), Challenged)
    assert set(door.reasons()) == {"second factor is due"}


def test_a_wrong_code_is_a_failure_like_any_other(door: Door) -> None:
    app = door.enrol(door.world.alice)
    for number in range(5):
        assert door.password("alice", f"{PASSWORD};00000{number}") == WRONG
    locked = door.password("alice", f"{PASSWORD};{app.code()}")
    assert locked == Refused(reason=RefusedReason.LOCKED_OUT, retry_after=timedelta(seconds=15))


def test_a_password_that_ends_like_a_code_is_whole_where_no_factor_is_due(door: Door) -> None:
    odd = f"{PASSWORD};123456"
    with door.world.store.write(ADMIN) as unit:
        set_password(unit, door.world.alice.id, door.world.passwords.hash(odd))
    assert methods(door.password("alice", odd)) == (Method.PASSWORD,)
    assert door.password("alice") == WRONG
    app = door.enrol(door.world.alice)
    assert methods(door.password("alice", f"{odd};{app.code()}")) == (Method.PASSWORD, Method.ONE_TIME_CODE)


def test_an_application_or_a_group_that_asks_for_a_factor_lets_nobody_in_without(door: Door) -> None:
    wiki = door.world.wiki_application
    with door.world.store.write(ADMIN) as unit:
        unit.applications.update(replace(wiki, second_factor=True))
    assert door.password("alice") == FACTOR
    assert door.reasons() == ["second factor is due, there is none"]
    with door.world.store.write(ADMIN) as unit:
        unit.applications.update(wiki)
        unit.groups.update(replace(door.world.staff, second_factor=True))
    assert door.password("alice") == FACTOR
    app = door.enrol(door.world.alice)
    assert isinstance(door.password("alice", f"{PASSWORD};{app.code()}"), Admitted)


@pytest.mark.parametrize("dialogue", [False, True])
def test_a_code_shown_by_many_at_once_is_good_once(door: Door, dialogue: bool) -> None:
    app = door.enrol(door.world.alice)
    code = app.code()
    states = [door.password("alice", channel=Channel.RADIUS, dialogue=True) for _ in range(4)]
    together = threading.Barrier(4)

    def show(challenge: Verdict) -> Verdict:
        together.wait(30)
        if not dialogue:
            return door.password("alice", f"{PASSWORD};{code}", ELSEWHERE)
        assert isinstance(challenge, Challenged)
        return door.answer(challenge.state, code, ELSEWHERE, channel=Channel.RADIUS)

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(show, states))
    assert sum(isinstance(answer, Admitted) for answer in answers) == 1
    assert [answer for answer in answers if not isinstance(answer, Admitted)] == [WRONG] * 3


# Many at once, and changes meanwhile.


def test_guesses_at_the_same_moment_get_no_more_than_the_free_ones(door: Door) -> None:
    door.decider = door.another(cheap_passwords(HashLimits(at_once=8, waiting=16, of_one_source=24)))
    together = threading.Barrier(16)

    def guess(number: int) -> Verdict:
        together.wait(30)
        return door.password("alice", "wrong", f"192.0.2.{number}")

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(guess, range(16)))
    tried = [answer for answer in answers if answer == WRONG]
    assert len(tried) == 5
    assert all(
        isinstance(answer, Refused) and answer.reason is RefusedReason.LOCKED_OUT
        for answer in answers
        if answer not in tried
    )
    (failures,) = door.failures(f"user/{door.world.alice.id}").values()
    assert failures.count == 5, "who came too late makes the wait no longer"


def test_the_right_password_at_the_moment_of_a_lock_does_not_open(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    verify = Passwords.verify

    def meanwhile(self: Passwords, *checked: Any) -> bool:
        answer = verify(self, *checked)
        monkeypatch.setattr(Passwords, "verify", verify)
        door.fail("alice", 5, THIEF)
        return answer

    monkeypatch.setattr(Passwords, "verify", meanwhile)
    answer = door.password("alice")
    assert isinstance(answer, Refused)
    assert answer.reason is RefusedReason.LOCKED_OUT


def test_too_many_at_once_are_told_to_come_back(door: Door) -> None:
    busy = cheap_passwords(HashLimits(at_once=1, waiting=0, retry_after=7))
    door.decider = door.another(busy)
    with busy._turn():
        assert door.password("alice") == Refused(reason=RefusedReason.BUSY, retry_after=timedelta(seconds=7))
    assert isinstance(door.password("alice"), Admitted)
    assert door.reasons() == ["pwd"], "nothing was tried"


def test_an_app_password_waits_for_no_hash(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    _, secret = door.app_password(door.world.alice)
    checked = count_hashes(monkeypatch)
    busy = cheap_passwords(HashLimits(at_once=1, waiting=0))
    door.decider = door.another(busy)
    with busy._turn():
        assert isinstance(door.password("alice", secret), Admitted)
        assert isinstance(door.token(secret), Admitted)
    assert checked == []


@pytest.mark.parametrize("change", [{"active": False}, {"password_hash": "$other"}, {"kind": UserKind.SERVICE}])
def test_who_changes_while_the_hash_is_computed_does_not_get_in(
    door: Door, change: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = Passwords.verify

    def meanwhile(self: Passwords, *checked: Any) -> bool:
        answer = verify(self, *checked)
        with door.world.store.write(ADMIN) as unit:
            unit.users.update(replace(door.world.alice, **change))
        return answer

    monkeypatch.setattr(Passwords, "verify", meanwhile)
    assert door.password("alice") == WRONG
    assert door.reasons() == ["changed meanwhile"]


# What is told.


@pytest.mark.parametrize("channel", [Channel.BROWSER, Channel.HTTP])
def test_what_was_typed_cannot_write_log_lines(door: Door, channel: Channel) -> None:
    door.password("alice\r\n2026-01-01 akadmin signed_in success\x1b[2J\u202e", "x", channel=channel)
    (event,) = door.events()
    assert event.name.isprintable()
    assert event.name.startswith("alice\ufffd\ufffd2026-01-01 akadmin")


def test_no_secret_is_told_or_printed(door: Door) -> None:
    app, (_, secret) = door.enrol(door.world.alice), door.app_password(door.world.alice)
    code = app.code()
    door.password("alice", f"{PASSWORD};{code}")
    door.password("alice", secret)
    door.token(secret)
    door.token("nonsense-token")
    door.password("alice", "hush-hush")
    with door.world.store.read() as unit:
        told = "".join(map(repr, unit.audit.latest(100)))
    for hidden in (PASSWORD, code, secret, "nonsense-token", "hush-hush"):
        assert hidden not in told
    assert "hush" not in repr(door.attempt(PasswordGiven(username="alice", password="hush")))
    assert "hush" not in repr(door.attempt(TokenGiven(secret="hush")))


def test_a_flood_of_names_and_tokens_that_are_nobodys_does_not_fill_the_audit_trail(door: Door) -> None:
    for number in range(300):
        door.token(f"token{number}", f"2001:db8:{number:x}::1")
    door.fail("alice", 1, THIEF)
    assert Counter(door.reasons()) == {"unknown token": FREE, "wrong password": 1}, (
        "whom it is about is told all the same"
    )
    door.clock.advance(seconds=1)
    door.fail("nobody", 1, ELSEWHERE)
    *_, event, others = door.events()
    assert (event.reason, event.count) == ("unknown user", 1)
    assert (others.name, others.reason, others.outcome, others.count) == (OTHERS, "", "failure", 100)
    door.clock.advance(hours=1)
    assert [door.token(f"again{number}", f"2001:db8:{number:x}::1") for number in range(FREE)] == [WRONG] * FREE
    assert sum(event.count for event in door.events()) == 300 + 1 + 1 + FREE


def test_the_last_sign_in_is_noted(door: Door) -> None:
    door.password("alice")
    door.password("bob")
    with door.world.store.read() as unit:
        assert unit.users.get(door.world.alice.id).last_sign_in == door.clock.now
        assert unit.users.get(door.world.bob.id).last_sign_in is None, "not let in"
        assert unit.failures.is_familiar(door.world.bob.id, HOME, door.clock.now), "but known to come from there"
