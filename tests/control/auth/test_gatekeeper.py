"""Codes for sessions: each code fits one provider, redirect URI, verifier and moment, and fits once."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from control.auth import people
from control.auth.gatekeeper import SessionClaim
from control.auth.oidc.keys import public_keys
from control.domain.application import Binding
from control.domain.grant import IssuedSession, Refusal, RefusalReason
from control.store import Unit
from tests.support.auth import EDGE, World, callback
from tests.support.stores import ADMIN, Clock

INVALID, ENDED, DENIED = (Refusal(reason) for reason in RefusalReason)


def issued(world: World, **signed_in: Any) -> IssuedSession:
    answer = world.redeem(world.code(world.sign_in(**signed_in).secret))
    assert isinstance(answer, IssuedSession)
    return answer


def claim(session: IssuedSession, world: World, /, **changed: Any) -> SessionClaim:
    fields: dict[str, Any] = {
        "provider": world.wiki.id,
        "session": session.id,
        "subject": session.identity.subject,
        "authenticated": session.authenticated,
        "expires": session.expires,
        "proof": session.proof,
    }
    return SessionClaim(**{**fields, **changed})


def change(world: World, act: Callable[[Unit], object]) -> None:
    with world.store.write(ADMIN) as unit:
        act(unit)


def read_claims(world: World, session: IssuedSession) -> dict[str, Any]:
    with world.store.read() as unit:
        keys = KeySet.import_key_set(public_keys(unit))
    return jwt.decode(session.id_token, keys, ["ES256"]).claims


def test_a_code_becomes_a_session(world: World, clock: Clock) -> None:
    opened = world.sign_in()
    clock.advance(minutes=5)
    session = world.redeem(world.code(opened.secret))
    assert isinstance(session, IssuedSession)
    assert (session.id, session.identity.subject) == (opened.sign_in.id, world.alice.id)
    assert (session.identity.username, session.identity.groups) == ("alice", ("staff",))
    assert (session.authenticated, session.expires) == (clock.now, clock.now + timedelta(hours=24))


def test_the_id_token_verifies_by_the_published_keys(world: World, clock: Clock) -> None:
    opened = world.sign_in()
    clock.advance(minutes=5)
    session = world.redeem(world.code(opened.secret))
    assert isinstance(session, IssuedSession)
    with world.store.read() as unit:
        keys = public_keys(unit)
    assert "d" not in keys["keys"][0]
    token = jwt.decode(session.id_token, KeySet.import_key_set(keys), algorithms=["ES256"])
    assert (token.header["alg"], token.header["kid"]) == ("ES256", keys["keys"][0]["kid"])
    assert token.claims == {
        "iss": "https://garrison.example.com/application/o/wiki/",
        "aud": "client-wiki",
        "sub": str(world.alice.id),
        "sid": str(opened.sign_in.id),
        "iat": int(clock.now.timestamp()),
        "exp": int(clock.now.timestamp()) + 86_400,
        "auth_time": int(clock.now.timestamp()) - 300,
        "amr": ["pwd"],
        "nonce": "n-123",
        "preferred_username": "alice",
        "name": "Alice",
        "email": "alice@example.com",
        "email_verified": True,
        "groups": ["staff"],
        "entitlements": [],
        "ak_proxy": {"user_attributes": {}, "is_superuser": False},
        "garrison_moment": int(clock.now.timestamp() * 1_000_000),
    }


def test_a_code_is_good_once(world: World) -> None:
    code = world.code(world.sign_in().secret)
    assert isinstance(world.redeem(code), IssuedSession)
    assert world.redeem(code) == INVALID


def test_a_code_shown_by_many_at_once_is_good_once(world: World) -> None:
    code = world.code(world.sign_in().secret)
    together = threading.Barrier(8)

    def show() -> bool:
        together.wait(30)
        return isinstance(world.redeem(code), IssuedSession)

    with ThreadPoolExecutor(8) as threads:
        shown = [threads.submit(show) for _ in range(8)]
        assert sum(answer.result(60) for answer in shown) == 1


def test_a_code_shown_twice_leaves_the_session_it_gave(world: World) -> None:
    code = world.code(world.sign_in().secret)
    session = world.redeem(code)
    assert isinstance(session, IssuedSession)
    assert world.redeem(code) == INVALID
    assert isinstance(world.gatekeeper.look_up_session(claim(session, world)), IssuedSession)


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("redirect_uri", {"redirect_uri": "https://wiki.example.com?X-authentik-auth-callback=true"}),
    ("redirect_uri", {"redirect_uri": ""}),
    ("redirect_uri", {"redirect_uri": 'https://evil.example/"\\é'}),
    ("verifier", {"verifier": "w" * 43}),
    ("verifier", {"verifier": ""}),
    ("verifier", {"verifier": "v" * 44}),
    ("verifier", {"verifier": "v" * 43 + "\n"}),
    ("verifier", {"verifier": "é" * 43}),
    ("code", {"code": ""}),
    ("code", {"code": "0" * 43}),
]


@pytest.mark.parametrize(("what", "changed"), WRONG)
def test_cve_2022_23555_a_code_fits_only_the_flow_it_was_made_for(
    world: World, what: str, changed: dict[str, Any]
) -> None:
    code = world.code(world.sign_in().secret)
    assert world.redeem(**{"code": code, **changed}) == INVALID
    if what != "code":
        assert world.redeem(code) == INVALID, "a code that was shown is used up"


def test_go_2024_3179_a_code_for_one_provider_is_none_for_another(world: World) -> None:
    providers = {"wiki": world.wiki, "paste": world.paste}
    for made_for in providers.values():
        for shown_by in providers.values():
            pairs = tuple(world.parameters(made_for).items())
            outcome: Any = world.ask(world.sign_in().secret, pairs)
            code = outcome.url.split("code=")[1].split("&")[0]
            for redirect_uri in (callback(made_for), callback(shown_by)):
                answer = world.redeem(code, provider=shown_by.id, redirect_uri=redirect_uri)
                fits = made_for is shown_by
                assert isinstance(answer, IssuedSession) is fits
                if fits:
                    break


def test_an_id_token_names_its_application_alone(world: World) -> None:
    secret = world.sign_in().secret
    outcome: Any = world.ask(secret, tuple(world.parameters(world.paste).items()))
    code = outcome.url.split("code=")[1].split("&")[0]
    other = world.redeem(code, provider=world.paste.id, redirect_uri=callback(world.paste))
    assert isinstance(other, IssuedSession)
    with world.store.read() as unit:
        keys = KeySet.import_key_set(public_keys(unit))
    claims = jwt.decode(other.id_token, keys, algorithms=["ES256"]).claims
    assert (claims["aud"], claims["iss"]) == ("client-paste", "https://garrison.example.com/application/o/paste/")


def test_a_session_secret_or_id_token_is_no_code(world: World) -> None:
    opened = world.sign_in()
    session = issued(world)
    for credential in (opened.secret, session.id_token, str(opened.sign_in.id), opened.sign_in.fingerprint):
        assert world.redeem(credential) == INVALID


def test_a_code_lives_one_minute(world: World, clock: Clock) -> None:
    secret = world.sign_in().secret
    early, late = world.code(secret), world.code(secret)
    clock.advance(seconds=59, milliseconds=999)
    assert isinstance(world.redeem(early), IssuedSession)
    clock.advance(milliseconds=1)
    assert world.redeem(late) == INVALID


def test_a_provider_that_is_gone_redeems_nothing(world: World) -> None:
    code = world.code(world.sign_in().secret)
    assert world.redeem(code, provider=uuid4()) == INVALID


def test_signing_out_before_the_redemption_ends_it(world: World) -> None:
    opened = world.sign_in()
    code = world.code(opened.secret)
    world.gatekeeper.end_session(EDGE, opened.sign_in.id)
    assert world.redeem(code) == INVALID


def test_a_deactivated_person_redeems_nothing(world: World) -> None:
    code = world.code(world.sign_in().secret)
    change(world, lambda unit: unit.users.update(replace(world.alice, active=False)))
    assert world.redeem(code) == ENDED


def test_ghsa_x883_2vmg_xwf7_a_group_change_counts_at_redemption(world: World) -> None:
    code = world.code(world.sign_in().secret)
    change(world, lambda unit: people.set_user_groups(unit, world.alice.id, []))
    assert world.redeem(code) == DENIED


def test_redemptions_are_audited(world: World) -> None:
    code = world.code(world.sign_in().secret)
    world.redeem(code)
    world.redeem(code)
    with world.store.read() as unit:
        events = [event for event in unit.audit.all() if event.action == "redeemed"]
    assert sorted((event.actor, event.name, event.outcome) for event in events) == [
        ("outpost/edge", "alice at wiki", "success"),
        ("outpost/edge", "wiki", "invalid_code"),
    ]
    assert code not in repr(events)


def test_a_redemption_wakes_nobody_but_a_new_key_once(world: World) -> None:
    issued(world)
    with world.store.read() as unit:
        before = unit.revision()
    secret = world.sign_in().secret
    with world.store.read() as unit:
        signed_in = unit.revision()
    world.redeem(world.code(secret))
    with world.store.read() as unit:
        assert (unit.revision(), signed_in) == (signed_in, before + 1)


def test_a_session_is_looked_up_with_the_identity_as_it_is_now(world: World) -> None:
    session = issued(world)
    change(world, lambda unit: people.update_user(unit, replace(world.alice, name="Alice Doe")))
    found = world.gatekeeper.look_up_session(claim(session, world))
    assert isinstance(found, IssuedSession)
    assert (found.id, found.identity.name) == (session.id, "Alice Doe")
    assert (found.authenticated, found.expires) == (session.authenticated, session.expires)


def test_where_mode_proxy_finds_applications_is_told_at_the_sign_in_and_looked_up(world: World) -> None:
    def lead(address: str) -> None:
        attributes = {"ak_proxy": {"backend_override": address}}
        change(world, lambda unit: people.update_user(unit, replace(world.alice, attributes=attributes)))

    lead("http://10.0.0.7")
    session = issued(world)
    assert (session.identity.backend_override, session.identity.superuser) == ("http://10.0.0.7", False)
    lead("http://10.0.0.8")
    change(world, lambda unit: unit.groups.update(replace(world.staff, superuser=True)))
    found = world.gatekeeper.look_up_session(claim(session, world))
    assert isinstance(found, IssuedSession)
    assert (found.identity.backend_override, found.identity.superuser) == ("http://10.0.0.8", True)
    assert "10.0.0.8" not in json.dumps(read_claims(world, found))


def test_a_session_looked_up_has_a_token_that_applications_can_verify(world: World) -> None:
    session = issued(world)
    found = world.gatekeeper.look_up_session(claim(session, world))
    assert isinstance(found, IssuedSession)
    first, again = read_claims(world, session), read_claims(world, found)
    assert first.pop("nonce")
    assert again == first


def test_a_proxy_session_outlives_a_sign_in_that_ran_out(world: World, clock: Clock) -> None:
    change(
        world, lambda unit: unit.proxy_providers.update(replace(world.wiki, access_token_validity=timedelta(days=30)))
    )
    session = issued(world)
    clock.advance(days=2)
    world.sign_in(world.bob)
    with world.store.read() as unit:
        assert unit.sign_ins.find(session.id) is None
    assert isinstance(world.gatekeeper.look_up_session(claim(session, world)), IssuedSession)


def test_a_shorter_validity_shortens_sessions_that_are_about(world: World, clock: Clock) -> None:
    session = issued(world)
    change(
        world, lambda unit: unit.proxy_providers.update(replace(world.wiki, access_token_validity=timedelta(hours=1)))
    )
    found = world.gatekeeper.look_up_session(claim(session, world))
    assert isinstance(found, IssuedSession)
    assert found.expires == session.authenticated + timedelta(hours=1)
    clock.advance(hours=1)
    assert world.gatekeeper.look_up_session(claim(session, world)) == ENDED


def test_an_ended_session_stays_ended_when_the_validity_grows_back(world: World, clock: Clock) -> None:
    month = replace(world.wiki, access_token_validity=timedelta(days=30))
    change(world, lambda unit: unit.proxy_providers.update(month))
    clock.advance(minutes=1)
    stolen = claim(issued(world), world, expires=clock.now + timedelta(days=30))
    clock.advance(minutes=5)
    change(world, lambda unit: unit.proxy_providers.update(replace(month, access_token_validity=timedelta(minutes=10))))
    change(world, lambda unit: people.set_password(unit, world.alice.id, "another hash"))
    clock.advance(minutes=20)
    change(world, lambda unit: unit.proxy_providers.update(month))
    assert isinstance(world.gatekeeper.look_up_session(stolen), Refusal)


ENDINGS: list[tuple[str, Refusal, Callable[[World], Callable[[Unit], object]]]] = [
    ("deactivated", ENDED, lambda w: lambda unit: people.set_active(unit, w.alice.id, active=False)),
    ("removed", ENDED, lambda w: lambda unit: people.remove_user(unit, w.alice.id)),
    ("password", ENDED, lambda w: lambda unit: people.set_password(unit, w.alice.id, "$argon2id$other")),
    ("group", DENIED, lambda w: lambda unit: people.set_user_groups(unit, w.alice.id, [])),
    ("group from its side", DENIED, lambda w: lambda unit: people.set_group_users(unit, w.staff.id, [])),
    (
        "rules",
        ENDED,
        lambda w: lambda unit: unit.bindings.add(Binding(id=uuid4(), application=w.wiki_application.id, user=w.bob.id)),
    ),
    ("application", ENDED, lambda w: lambda unit: unit.applications.remove(w.wiki_application)),
]


@pytest.mark.parametrize(("what", "refusal", "ending"), ENDINGS, ids=[what for what, _, _ in ENDINGS])
def test_ghsa_x883_2vmg_xwf7_what_changes_counts_at_the_next_look(
    world: World, clock: Clock, what: str, refusal: Refusal, ending: Callable[[World], Callable[[Unit], object]]
) -> None:
    session = issued(world)
    clock.advance(milliseconds=1)
    change(world, ending(world))
    assert world.gatekeeper.look_up_session(claim(session, world)) == refusal, what


def test_a_clock_that_is_set_back_saves_no_session_and_ends_no_new_one(world: World, clock: Clock) -> None:
    before = issued(world)
    clock.advance(minutes=-10)
    change(world, lambda unit: people.set_password(unit, world.alice.id, "$argon2id$other"))
    assert world.gatekeeper.look_up_session(claim(before, world)) == ENDED
    after = issued(world)
    assert isinstance(world.gatekeeper.look_up_session(claim(after, world)), IssuedSession)
    assert (after.clock, after.expires) == (clock.now, clock.now + timedelta(hours=24))


def test_a_session_made_after_a_revocation_is_not_ended_by_it(world: World, clock: Clock) -> None:
    change(world, lambda unit: people.set_active(unit, world.alice.id, active=False))
    change(world, lambda unit: people.set_active(unit, world.alice.id, active=True))
    clock.advance(milliseconds=1)
    session = issued(world)
    assert isinstance(world.gatekeeper.look_up_session(claim(session, world)), IssuedSession)


def test_a_session_ended_stays_ended(world: World) -> None:
    session = issued(world)
    for _ in range(2):
        world.gatekeeper.end_session(EDGE, session.id)
        assert world.gatekeeper.look_up_session(claim(session, world)) == ENDED
    with world.store.read() as unit:
        assert [found.sign_in for found in unit.revocations.live() if found.sign_in] == [session.id]


def test_a_claim_must_hang_together(world: World, clock: Clock) -> None:
    session = issued(world)
    look = world.gatekeeper.look_up_session
    assert isinstance(look(claim(session, world)), IssuedSession)
    assert look(claim(session, world, subject=world.bob.id)) == ENDED
    assert look(claim(session, world, subject=uuid4())) == ENDED
    assert look(claim(session, world, provider=uuid4())) == ENDED
    assert look(claim(session, world, expires=clock.now)) == ENDED
    assert look(claim(session, world, authenticated=clock.now - timedelta(days=2))) == ENDED


def test_a_session_that_was_never_there_can_be_ended_too(world: World) -> None:
    session = issued(world)
    world.gatekeeper.end_session(EDGE, uuid4())
    assert isinstance(world.gatekeeper.look_up_session(claim(session, world)), IssuedSession)
