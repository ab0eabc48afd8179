"""Changing the own password over LDAP: by the present one alone, within the rules of the application."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from control.auth import people
from control.auth.gatekeeper import Gatekeeper
from control.auth.password_change import ChangeAsked
from control.auth.passwords import HashLimits, Passwords
from control.domain.application import LdapProvider
from control.domain.decision import Admitted, Channel
from control.domain.grant import PasswordRefusal, PasswordRefused, PasswordSet
from control.domain.identity import UserKind
from tests.support import builders
from tests.support.attempts import ELSEWHERE, THIEF, Door, count_hashes
from tests.support.auth import EDGE, PASSWORD, cheap_passwords
from tests.support.stores import ADMIN

NEW = "a-brand-new-password"
WRONG, DENIED, UNSUITABLE = (
    PasswordRefused(reason=reason)
    for reason in (PasswordRefusal.INVALID_CREDENTIALS, PasswordRefusal.ACCESS_DENIED, PasswordRefusal.UNSUITABLE)
)


@pytest.fixture
def directory(door: Door) -> LdapProvider:
    """A provider that is for staff."""
    provider = builders.ldap_provider("dir")
    with door.world.store.write(ADMIN) as unit:
        unit.providers.add(provider)
        application = unit.applications.add(builders.application("dir", provider=provider.id))
        (rule,) = unit.bindings.of_application(door.world.wiki_application.id)
        unit.bindings.add(replace(rule, id=provider.id, application=application.id))
    return provider


def change(
    door: Door, directory: LdapProvider, /, wanted: str = NEW, passwords: Passwords | None = None, **changed: Any
) -> PasswordSet | PasswordRefused:
    usual: dict[str, Any] = {
        "provider": directory.id,
        "channel": Channel.LDAP,
        "username": "alice",
        "present": PASSWORD,
        "address": THIEF,
        "request_id": "r-9",
    }
    gatekeeper = Gatekeeper(door.world.store, door.world.issuer, passwords or door.world.passwords)
    return gatekeeper.change_password(EDGE, ChangeAsked(**{**usual, "wanted": wanted, **changed}))


def can_sign_in(door: Door, password: str) -> bool:
    return isinstance(door.password("alice", password, ELSEWHERE), Admitted)


def test_who_knows_the_present_password_sets_another(door: Door, directory: LdapProvider) -> None:
    session = door.world.sign_in()
    door.clock.advance(hours=1)
    assert change(door, directory) == PasswordSet()
    assert (can_sign_in(door, NEW), can_sign_in(door, PASSWORD)) == (True, False)
    with door.world.store.read() as unit:
        alice = unit.users.get(door.world.alice.id)
        assert (alice.password_changed, alice.updated) == (door.clock.now, door.clock.now)
        assert unit.sign_ins.find(session.sign_in.id) is None
        # Every session at outposts ends too.
        assert any(each.user == alice.id and not each.changed for each in unit.revocations.live())
        told = next(event for event in unit.audit.latest(10) if event.kind == "user" and event.action == "updated")
    assert (told.actor, told.address, told.request_id) == ("outpost/edge", THIEF, "r-9")
    assert "password_hash" in told.fields


def test_a_password_is_made_up_where_none_is_wanted(door: Door, directory: LdapProvider) -> None:
    answer = change(door, directory, "")
    assert isinstance(answer, PasswordSet)
    assert len(answer.generated) == 27
    assert answer.generated not in repr(answer)
    assert can_sign_in(door, answer.generated)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"present": "wrong"}, WRONG),
        ({"present": ""}, WRONG),
        ({"username": "nobody"}, WRONG),
        ({"username": "bob"}, DENIED),
        ({"username": "bob", "present": "wrong"}, WRONG),
        ({"wanted": "short"}, UNSUITABLE),
        ({"wanted": "x" * 1025}, UNSUITABLE),
        ({"present": "wrong", "wanted": "short"}, WRONG),
        ({"username": "bob", "wanted": "short"}, DENIED),
        ({"channel": Channel.HTTP}, DENIED),
        ({"provider": uuid4()}, DENIED),
    ],
)
def test_who_may_not(door: Door, directory: LdapProvider, fields: dict[str, Any], expected: PasswordRefused) -> None:
    assert change(door, directory, **fields) == expected
    assert can_sign_in(door, PASSWORD)


def test_the_username_is_no_password(door: Door, directory: LdapProvider) -> None:
    user = door.account("long-enough")
    assert change(door, directory, "LONG-enough", username=user.username) == UNSUITABLE


def test_no_password_is_changed_at_a_proxy_provider(door: Door, directory: LdapProvider) -> None:
    assert change(door, directory, provider=door.world.wiki.id) == DENIED


def test_accounts_that_sign_in_otherwise_change_none(door: Door, directory: LdapProvider) -> None:
    robot = door.account("robot", UserKind.SERVICE)
    gone = door.account("gone")
    with door.world.store.write(ADMIN) as unit:
        people.set_active(unit, gone.id, active=False)
    assert (change(door, directory, username=robot.username), change(door, directory, username=gone.username)) == (
        WRONG,
        WRONG,
    )


def test_an_app_password_changes_nothing(door: Door, directory: LdapProvider) -> None:
    _, secret = door.app_password(door.world.alice)
    assert change(door, directory, present=secret) == WRONG


def test_a_code_behind_the_password_was_the_binds(door: Door, directory: LdapProvider) -> None:
    app = door.enrol(door.world.alice)
    code = app.code()
    assert change(door, directory, present=f"{PASSWORD};{code}") == PasswordSet()
    assert change(door, directory, "another-password", present=NEW) == PasswordSet()
    with door.world.store.write(ADMIN) as unit:
        unit.ldap_providers.update(replace(directory, mfa_support=False))
    assert change(door, directory, present=f"another-password;{code}") == WRONG


def test_failures_count_and_lock(door: Door, directory: LdapProvider) -> None:
    assert [change(door, directory, present="wrong") for _ in range(5)] == [WRONG] * 5
    locked = change(door, directory)
    assert isinstance(locked, PasswordRefused)
    assert (locked.reason, locked.retry_after > timedelta()) == (PasswordRefusal.LOCKED_OUT, True)
    (failures,) = door.failures(f"user/{door.world.alice.id}").values()
    assert failures.count == 5
    told = door.events("changed_password")
    assert [(event.name, event.actor, event.outcome) for event in told] == [("alice", "outpost/edge", "failure")] * 5


def test_names_that_nobody_has_count_alike(door: Door, directory: LdapProvider) -> None:
    for _ in range(5):
        assert change(door, directory, username="nobody", present="wrong") == WRONG
    locked = change(door, directory, username="nobody")
    assert isinstance(locked, PasswordRefused)
    assert locked.reason is PasswordRefusal.LOCKED_OUT


@pytest.mark.parametrize("username", ["alice", "nobody", "robot"])
def test_the_work_is_the_same_whoever_is_meant(
    door: Door, directory: LdapProvider, username: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    door.account("robot", UserKind.SERVICE)
    checked = count_hashes(monkeypatch)
    assert change(door, directory, username=username, present="wrong") == WRONG
    assert [password for _, password in checked] == ["wrong"]


def test_too_many_hashes_are_told_to_come_back(door: Door, directory: LdapProvider) -> None:
    full = cheap_passwords(HashLimits(of_one_source=0))
    assert change(door, directory, passwords=full) == PasswordRefused(
        reason=PasswordRefusal.BUSY, retry_after=timedelta(seconds=5)
    )


def test_a_password_that_changed_meanwhile_was_the_wrong_one(
    door: Door, directory: LdapProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Passwords.hash

    def meanwhile(self: Passwords, password: str) -> str:
        monkeypatch.setattr(Passwords, "hash", plain)
        hashed = plain(self, "set-by-an-admin")
        with door.world.store.write(ADMIN) as unit:
            people.set_password(unit, door.world.alice.id, hashed)
        return plain(self, password)

    monkeypatch.setattr(Passwords, "hash", meanwhile)
    assert change(door, directory) == WRONG
    assert can_sign_in(door, "set-by-an-admin")


def test_rules_that_changed_meanwhile_count(
    door: Door, directory: LdapProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Passwords.hash

    def meanwhile(self: Passwords, password: str) -> str:
        monkeypatch.setattr(Passwords, "hash", plain)
        with door.world.store.write(ADMIN) as unit:
            people.set_user_groups(unit, door.world.alice.id, [])
        return plain(self, password)

    monkeypatch.setattr(Passwords, "hash", meanwhile)
    assert change(door, directory) == DENIED
    with door.world.store.read() as unit:
        assert unit.users.get(door.world.alice.id).password_hash == door.world.alice.password_hash
