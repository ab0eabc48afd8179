"""Who may bind at an LDAP provider, and what an outpost is told of who does: no token, no attributes, no headers."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from control.auth import people, totp
from control.auth.deciding import Given, PasswordGiven, TokenGiven
from control.auth.gatekeeper import Gatekeeper, Redemption, SessionClaim
from control.auth.granting import Asked, Granted
from control.domain.application import BindMode, LdapProvider
from control.domain.decision import Challenged, Channel, Refused, RefusedReason
from control.domain.grant import Refusal, RefusalReason
from control.domain.identity import UserKind
from tests.support import builders
from tests.support.attempts import HOME, Door
from tests.support.auth import EDGE, PASSWORD
from tests.support.stores import ADMIN

WRONG, DENIED, FACTOR = (
    Refused(reason=reason)
    for reason in (RefusedReason.INVALID_CREDENTIALS, RefusedReason.ACCESS_DENIED, RefusedReason.SECOND_FACTOR)
)


@dataclass
class Directory:
    """An LDAP provider whose application is for staff."""

    door: Door
    provider: LdapProvider
    gatekeeper: Gatekeeper

    def ask(self, given: Given, **changed: Any) -> Granted | Refused | Challenged:
        usual: dict[str, Any] = {"provider": self.provider.id, "channel": Channel.LDAP, "given": given, "address": HOME}
        return self.gatekeeper.authenticate(EDGE, Asked(**{**usual, **changed}))

    def bind(self, username: str, password: str = PASSWORD, **changed: Any) -> Granted | Refused | Challenged:
        return self.ask(PasswordGiven(username=username, password=password), **changed)

    def change(self, **fields: Any) -> None:
        with self.door.world.store.write(ADMIN) as unit:
            unit.ldap_providers.update(replace(unit.ldap_providers.get(self.provider.id), **fields))


@pytest.fixture
def directory(door: Door) -> Directory:
    world = door.world
    provider = builders.ldap_provider("dir")
    with world.store.write(ADMIN) as unit:
        unit.providers.add(provider)
        application = unit.applications.add(builders.application("dir", provider=provider.id))
        (rule,) = unit.bindings.of_application(world.wiki_application.id)
        unit.bindings.add(replace(rule, id=provider.id, application=application.id))
    return Directory(door, provider, Gatekeeper(world.store, world.issuer, world.passwords))


def granted(answer: object) -> Granted:
    assert isinstance(answer, Granted), answer
    return answer


def test_a_bind_is_a_session_of_a_day(directory: Directory) -> None:
    with directory.door.world.store.write(ADMIN) as unit:
        secrets = {"salary": 7, "additionalHeaders": {"X-A": "b"}, "ak_proxy": {"backend_override": "http://a"}}
        unit.groups.update(replace(directory.door.world.staff, superuser=True))
        people.update_user(unit, replace(directory.door.world.alice, attributes=secrets))
    answer = granted(directory.bind("alice"))
    session = answer.session
    assert (session.identity.username, session.identity.groups) == ("alice", ("staff",))
    assert (session.identity.subject, dict(session.identity.additional_headers)) == (directory.door.world.alice.id, {})
    assert (session.identity.backend_override, session.identity.superuser) == ("", False)
    assert (session.id_token, session.proof, session.basic, dict(answer.attributes)) == ("", "", None, {})
    assert session.expires == directory.door.clock.now + timedelta(hours=24)
    assert answer.lasting
    assert granted(directory.bind("alice")).session.id == session.id


@pytest.mark.parametrize(
    ("username", "password", "expected"),
    [("alice", "wrong", WRONG), ("nobody", PASSWORD, WRONG), ("alice", "", WRONG), ("bob", PASSWORD, DENIED)],
)
def test_who_may_not_bind(directory: Directory, username: str, password: str, expected: Refused) -> None:
    assert directory.bind(username, password) == expected


def test_where_each_bind_asks_control_no_answer_is_kept(directory: Directory) -> None:
    directory.change(bind_mode=BindMode.DIRECT)
    assert not granted(directory.bind("alice")).lasting


def test_inactive_people_may_not_bind(directory: Directory) -> None:
    with directory.door.world.store.write(ADMIN) as unit:
        people.set_active(unit, directory.door.world.bob.id, active=False)
    assert directory.bind("bob") == WRONG


def test_an_app_password_binds_people_and_services(directory: Directory) -> None:
    door = directory.door
    robot = door.account("robot", UserKind.SERVICE)
    ends = door.clock.now + timedelta(hours=1)
    for user in (door.world.alice, robot):
        made, secret = door.app_password(user, expires=ends)
        answer = granted(directory.bind(user.username, secret))
        assert (answer.session.id, answer.session.expires, answer.lasting) == (made.id, ends, True)


def test_a_code_stands_behind_the_password(directory: Directory) -> None:
    app = directory.door.enrol(directory.door.world.alice)
    answer = granted(directory.bind("alice", f"{PASSWORD};{app.code()}"))
    # The code is spent.
    assert not answer.lasting
    assert directory.bind("alice") == FACTOR
    assert directory.bind("alice", f"{PASSWORD};000000") == WRONG


def test_a_provider_without_codes_takes_none(directory: Directory) -> None:
    app = directory.door.enrol(directory.door.world.alice)
    directory.change(mfa_support=False)
    assert directory.bind("alice") == FACTOR
    # Nor is one asked for, whatever the outpost says it could do.
    assert directory.bind("alice", dialogue=True) == FACTOR
    # What stands behind the last semicolon is part of the password.
    assert directory.bind("alice", f"{PASSWORD};{app.code()}") == WRONG
    _, secret = directory.door.app_password(directory.door.world.alice)
    granted(directory.bind("alice", secret))
    with directory.door.world.store.read() as unit:
        mine = unit.authenticators.of_user(directory.door.world.alice.id)
    # Nobody has looked at the code.
    assert mine[0].last_step < totp.step_of(directory.door.clock.now)


def test_who_needs_no_factor_binds_without_codes(directory: Directory) -> None:
    directory.change(mfa_support=False)
    granted(directory.bind("alice"))


def test_an_application_that_asks_for_a_factor_lets_nobody_in_without(directory: Directory) -> None:
    with directory.door.world.store.write(ADMIN) as unit:
        application = unit.applications.get_named("dir")
        unit.applications.update(replace(application, second_factor=True))
    assert directory.bind("alice") == FACTOR


def test_an_ldap_provider_has_no_tokens_and_no_codes(directory: Directory) -> None:
    world = directory.door.world
    session = granted(directory.bind("alice")).session
    assert directory.ask(TokenGiven(secret="a.b.c")) == WRONG
    redemption = Redemption(provider=directory.provider.id, code="x", redirect_uri="y", verifier="z")
    assert directory.gatekeeper.redeem_code(EDGE, redemption) == Refusal(RefusalReason.INVALID_CODE)
    sign_in = world.sign_in().sign_in
    for key in (session.id, sign_in.id):
        claim = SessionClaim(
            provider=directory.provider.id,
            session=key,
            subject=world.alice.id,
            authenticated=session.authenticated,
            expires=session.expires,
        )
        assert directory.gatekeeper.look_up_session(claim) == Refusal(RefusalReason.SESSION_ENDED)


def test_an_id_token_of_another_application_does_not_bind(directory: Directory) -> None:
    world = directory.door.world
    asked = Asked(
        provider=world.wiki.id,
        channel=Channel.HTTP,
        given=PasswordGiven(username="alice", password=PASSWORD),
        address=HOME,
    )
    token = granted(directory.gatekeeper.authenticate(EDGE, asked)).session.id_token
    assert directory.ask(TokenGiven(secret=token)) == WRONG


@pytest.mark.parametrize(
    "act",
    [
        lambda directory, unit: people.set_password(unit, directory.door.world.alice.id, "other"),
        lambda directory, unit: people.set_active(unit, directory.door.world.alice.id, active=False),
        lambda directory, unit: unit.bindings.remove(unit.bindings.get(directory.provider.id)),
    ],
)
def test_what_ends_binds(directory: Directory, act: Callable[..., object]) -> None:
    session = granted(directory.bind("alice")).session
    directory.door.clock.advance(seconds=5)
    with directory.door.world.store.write(ADMIN) as unit:
        act(directory, unit)
    with directory.door.world.store.read() as unit:
        about = unit.revocations.about(session.id, directory.door.world.alice.id, directory.provider.id)
        assert any(each.ends(session.id, session.authenticated) for each in about)
        # Outposts are told for as long as a bind may count.
        assert all(each.until >= session.authenticated + timedelta(hours=24) for each in about)
