"""What outposts get for credentials: a session as if signed in, bounded by what was proved."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from joserfc import jwt

from control.auth import app_passwords
from control.auth.deciding import AnswerGiven, Given, PasswordGiven, TokenGiven
from control.auth.gatekeeper import Gatekeeper, SessionClaim
from control.auth.granting import Asked, Granted
from control.auth.oidc.keys import signer
from control.domain.decision import Challenged, Channel, Refused, RefusedReason
from control.domain.grant import IssuedSession, Refusal, RefusalReason
from tests.support.attempts import HOME, Door
from tests.support.auth import EDGE, PASSWORD
from tests.support.stores import ADMIN

WRONG, DENIED = (Refused(reason=reason) for reason in (RefusedReason.INVALID_CREDENTIALS, RefusedReason.ACCESS_DENIED))
ALICE = PasswordGiven(username="alice", password=PASSWORD)

Ask = Callable[..., Granted | Refused | Challenged]


@pytest.fixture
def gatekeeper(door: Door) -> Gatekeeper:
    return Gatekeeper(door.world.store, door.world.issuer, door.world.passwords)


@pytest.fixture
def ask(door: Door, gatekeeper: Gatekeeper) -> Ask:
    def asked(given: Given, **changed: Any) -> Granted | Refused | Challenged:
        usual: dict[str, Any] = {
            "provider": door.world.wiki.id,
            "channel": Channel.HTTP,
            "given": given,
            "address": HOME,
            "request_id": "r-7",
        }
        return gatekeeper.authenticate(EDGE, Asked(**{**usual, **changed}))

    return asked


def granted(answer: object) -> Granted:
    assert isinstance(answer, Granted), answer
    return answer


def claims(door: Door, session: IssuedSession) -> dict[str, Any]:
    with door.world.store.read() as unit:
        key = signer(unit.signing_keys.all()[-1])
    return dict(jwt.decode(session.id_token, key, algorithms=["ES256"]).claims)


def claimed(door: Door, session: IssuedSession) -> SessionClaim:
    return SessionClaim(
        provider=door.world.wiki.id,
        session=session.id,
        subject=session.identity.subject,
        authenticated=session.authenticated,
        expires=session.expires,
        proof=session.proof,
    )


def test_a_password_opens_a_session_as_if_signed_in(door: Door, ask: Ask) -> None:
    answer = granted(ask(ALICE))
    session = answer.session
    assert (session.identity.username, session.identity.groups) == ("alice", ("staff",))
    assert (session.authenticated, session.clock) == (door.clock.now, door.clock.now)
    assert session.expires == door.clock.now + timedelta(hours=24)
    said = claims(door, session)
    assert (said["aud"], said["sid"], said["amr"]) == ("client-wiki", str(session.id), ["pwd"])
    assert said["auth_time"] == int(door.clock.now.timestamp())
    assert answer.lasting
    assert granted(ask(ALICE)).session.id == session.id, "the same each time"
    (event, _) = door.events()
    assert (event.actor, event.address, event.request_id) == ("outpost/edge", HOME, "r-7")


def test_the_session_is_looked_up_and_ends_like_any_other(door: Door, ask: Ask, gatekeeper: Gatekeeper) -> None:
    session = granted(ask(ALICE)).session
    again = gatekeeper.look_up_session(claimed(door, session))
    assert isinstance(again, IssuedSession)
    assert again.id == session.id
    with door.world.store.write(ADMIN) as unit:
        unit.users.update(replace(door.world.alice, active=False))
    assert gatekeeper.look_up_session(claimed(door, session)) == Refusal(RefusalReason.SESSION_ENDED)


def test_who_comes_in_after_a_revocation_is_not_ended_by_it(door: Door, ask: Ask, gatekeeper: Gatekeeper) -> None:
    with door.world.store.write(ADMIN) as unit:
        unit.users.update(replace(door.world.alice, active=False))
    with door.world.store.write(ADMIN) as unit:
        unit.users.update(door.world.alice)
    session = granted(ask(ALICE)).session
    assert isinstance(gatekeeper.look_up_session(claimed(door, session)), IssuedSession)


def test_an_app_password_bounds_its_session_and_ends_it(door: Door, ask: Ask, gatekeeper: Gatekeeper) -> None:
    soon = door.clock.now + timedelta(hours=1)
    made, secret = door.app_password(door.world.alice, expires=soon)
    answer = granted(ask(TokenGiven(secret=secret)))
    assert (answer.session.id, answer.session.expires, answer.lasting) == (made.id, soon, True)
    with door.world.store.write(ADMIN) as unit:
        app_passwords.revoke(unit, door.world.alice.id, made.id)
    assert gatekeeper.look_up_session(claimed(door, answer.session)) == Refusal(RefusalReason.SESSION_ENDED)
    with door.world.store.read() as unit:
        assert [found for found in unit.revocations.live() if found.sign_in == made.id], "every outpost is told"
    assert ask(TokenGiven(secret=answer.session.id_token)) == WRONG, "and so does the token it was given"


def test_a_token_gets_a_session_that_ends_with_it(door: Door, ask: Ask) -> None:
    first = granted(ask(ALICE)).session
    door.clock.advance(hours=20)
    second = granted(ask(TokenGiven(secret=first.id_token))).session
    assert (second.id, second.expires) == (first.id, first.expires)
    door.clock.advance(hours=4)
    assert ask(TokenGiven(secret=second.id_token)) == WRONG


def test_what_a_code_opened_is_not_to_be_kept(door: Door, ask: Ask) -> None:
    app = door.enrol(door.world.alice)
    behind = PasswordGiven(username="alice", password=f"{PASSWORD};{app.code()}")
    assert not granted(ask(behind)).lasting
    challenge = ask(ALICE, channel=Channel.RADIUS, dialogue=True)
    assert isinstance(challenge, Challenged)
    door.clock.advance(seconds=30)
    answer = granted(ask(AnswerGiven(state=challenge.state, code=app.code()), channel=Channel.RADIUS))
    assert not answer.lasting
    assert claims(door, answer.session)["amr"] == ["otp", "pwd", "mfa"]
    assert granted(ask(TokenGiven(secret=answer.session.id_token))).lasting


def test_attributes_are_those_of_the_groups_and_the_person(door: Door, ask: Ask) -> None:
    with door.world.store.write(ADMIN) as unit:
        unit.groups.update(replace(door.world.staff, attributes={"team": "blue", "floor": 1}))
        unit.users.update(replace(door.world.alice, attributes={"floor": 2}))
    assert granted(ask(ALICE)).attributes == {"team": "blue", "floor": 2}


def test_where_mode_proxy_finds_the_application_goes_with_the_identity(door: Door, ask: Ask) -> None:
    with door.world.store.write(ADMIN) as unit:
        settings = {"ak_proxy": {"backend_override": "http://10.0.0.7:3000", "host_header": "blue.internal"}}
        unit.groups.update(replace(door.world.staff, attributes={**settings, "team": "blue"}, superuser=True))
    session = granted(ask(ALICE)).session
    assert (session.identity.superuser, session.identity.backend_override) == (True, "http://10.0.0.7:3000")
    assert session.identity.host_header == "blue.internal"
    # Applications can read the token.
    assert claims(door, session)["ak_proxy"] == {"user_attributes": {"team": "blue"}, "is_superuser": True}


def test_a_provider_without_an_application_lets_nobody_in(door: Door, ask: Ask) -> None:
    assert ask(ALICE, provider=uuid4()) == DENIED
    with door.world.store.write(ADMIN) as unit:
        unit.applications.update(replace(door.world.wiki_application, provider=None))
    assert ask(ALICE) == DENIED


def test_a_provider_that_changes_hands_meanwhile_lets_nobody_in(
    door: Door, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = type(door.world.passwords).verify

    def meanwhile(self: Any, *checked: Any) -> bool:
        with door.world.store.write(ADMIN) as unit:
            unit.applications.update(replace(door.world.wiki_application, provider=None))
        return verify(self, *checked)

    monkeypatch.setattr(type(door.world.passwords), "verify", meanwhile)
    assert ask(ALICE) == DENIED


def test_secrets_are_not_in_what_is_printed(ask: Ask) -> None:
    answer = granted(ask(ALICE))
    assert answer.session.id_token not in repr(answer)
    assert PASSWORD not in repr(Asked(provider=uuid4(), channel=Channel.HTTP, given=ALICE, address=HOME))
