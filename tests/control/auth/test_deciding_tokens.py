"""App passwords and ID tokens as credentials: good for whom and where they were made for, and for nothing else."""

import base64
import hmac
import json
from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey

from control.auth import app_passwords, sessions
from control.auth.deciding import Decider
from control.auth.oidc.keys import signer
from control.auth.oidc.presented import find_presented, looks_like_token
from control.auth.oidc.tokens import MOMENT
from control.domain.application import ProxyProvider
from control.domain.decision import Admitted, Challenged, Channel, Refused, RefusedReason
from control.domain.factors import Method
from control.domain.grant import IssuedSession, Refusal
from control.domain.identity import UserKind
from control.domain.security import SigningKey
from tests.support.attempts import ELSEWHERE, HOME, PROTOCOLS, THIEF, Door
from tests.support.auth import PASSWORD, World, callback
from tests.support.fleet import deploy
from tests.support.stores import ADMIN

WRONG, DENIED, FACTOR = (
    Refused(reason=reason)
    for reason in (RefusedReason.INVALID_CREDENTIALS, RefusedReason.ACCESS_DENIED, RefusedReason.SECOND_FACTOR)
)
LOCKED = Refused(reason=RefusedReason.LOCKED_OUT, retry_after=timedelta(seconds=15))


def issued(world: World, provider: ProxyProvider | None = None, **signed_in: Any) -> IssuedSession:
    """A session of a browser at a provider, as an outpost gets it."""
    wanted = provider or world.wiki
    outcome: Any = world.ask(world.sign_in(**signed_in).secret, tuple(world.parameters(wanted).items()))
    code = outcome.url.split("code=")[1].split("&")[0]
    answer = world.redeem(code, provider=wanted.id, redirect_uri=callback(wanted))
    assert isinstance(answer, IssuedSession)
    return answer


# App passwords.


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
@pytest.mark.parametrize("is_expired", [True, False])
def test_a_device_whose_app_password_is_no_longer_good_locks_its_owner_out_of_nothing(
    door: Door, is_at_home: bool, is_expired: bool
) -> None:
    if is_at_home:
        assert isinstance(door.password("alice"), Admitted)
    paste = door.world.paste_application.id
    expires = door.clock.now + timedelta(minutes=5) if is_expired else None
    _, gone = door.app_password(door.world.alice, expires=expires, application=None if is_expired else paste)
    door.clock.advance(minutes=5)
    answers = [door.password("alice", gone) for _ in range(25)]
    assert answers == [*[WRONG] * 20, *[LOCKED] * 5]
    assert door.failures(f"user/{door.world.alice.id}", f"pair/{door.world.alice.id}/{HOME}") == {}
    assert isinstance(door.password("alice", address=HOME if is_at_home else ELSEWHERE), Admitted)
    assert door.password("bob") == LOCKED, "nobody known there"


def test_a_device_whose_app_password_is_gone_keeps_its_owner_waiting_where_it_is_alone(door: Door) -> None:
    assert isinstance(door.password("alice"), Admitted)
    made, gone = door.app_password(door.world.alice)
    with door.world.store.write(ADMIN) as unit:
        app_passwords.revoke(unit, door.world.alice.id, made.id)
    assert [door.password("alice", gone) for _ in range(6)] == [*[WRONG] * 5, LOCKED]
    assert door.password("alice") == LOCKED
    assert isinstance(door.password("alice", address=ELSEWHERE), Admitted)


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


# ID tokens.


def test_an_id_token_is_good_at_its_provider(door: Door) -> None:
    session = issued(door.world)
    answer = door.token(session.id_token)
    assert isinstance(answer, Admitted)
    assert (answer.person.user.id, answer.session) == (door.world.alice.id, session.id)
    assert answer.expires == session.expires
    assert answer.methods == (Method.PASSWORD,)
    assert door.events()[-1].name == "alice at wiki"


def test_go_2024_3179_tokens_are_good_for_their_audience_alone(door: Door) -> None:
    world = door.world
    made = {provider.id: issued(world, provider).id_token for provider in (world.wiki, world.paste)}
    places = {world.wiki.id: world.wiki_application.id, world.paste.id: world.paste_application.id}
    for token, place in product(made, places):
        answer = door.token(made[token], application=places[place])
        assert isinstance(answer, Admitted) is (token == place), (token, place)
    assert set(door.reasons()) == {"pwd", "token for another application"}


def test_a_token_that_says_two_audiences_is_for_neither(door: Door) -> None:
    claims = claims_of(door)
    for audience in ([door.world.wiki.client_id], [door.world.wiki.client_id, door.world.paste.client_id], ""):
        assert door.token(signed(door, {**claims, "aud": audience})) == WRONG


def test_a_token_of_another_issuer_is_none(door: Door) -> None:
    claims = claims_of(door)
    assert isinstance(door.token(signed(door, claims)), Admitted)
    for issuer in ("https://garrison.example.com/application/o/paste/", "https://evil.example/", ""):
        assert door.token(signed(door, {**claims, "iss": issuer})) == WRONG


def test_a_token_expires_to_the_second(door: Door) -> None:
    session = issued(door.world)
    door.clock.advance(seconds=86_399)
    assert isinstance(door.token(session.id_token), Admitted)
    door.clock.advance(seconds=1)
    assert door.token(session.id_token) == WRONG
    assert door.reasons()[-1] == "token has expired"


def test_a_validity_that_was_shortened_ends_tokens_too(door: Door) -> None:
    session = issued(door.world)
    with door.world.store.write(ADMIN) as unit:
        unit.providers.update(replace(door.world.wiki, access_token_validity=timedelta(minutes=5)))
    door.clock.advance(minutes=5)
    assert door.token(session.id_token) == WRONG


def test_a_token_ends_with_its_session_and_with_its_user(door: Door) -> None:
    session, other = issued(door.world), issued(door.world)
    with door.world.store.write(ADMIN) as unit:
        sessions.end_session(unit, session.id)
    assert door.token(session.id_token) == WRONG
    assert isinstance(door.token(other.id_token), Admitted)
    with door.world.store.write(ADMIN) as unit:
        unit.users.update(replace(door.world.alice, active=False))
    assert door.token(other.id_token) == WRONG
    with door.world.store.write(ADMIN) as unit:
        unit.users.update(door.world.alice)
    assert door.token(other.id_token) == WRONG, "what was ended stays so"


def test_a_token_made_after_its_users_sessions_were_ended_is_good_within_the_same_second(door: Door) -> None:
    before = issued(door.world)
    with door.world.store.write(ADMIN) as unit:
        unit.users.update(replace(door.world.alice, active=False))
    with door.world.store.write(ADMIN) as unit:
        unit.users.update(door.world.alice)
    after = issued(door.world)
    assert door.token(before.id_token) == WRONG
    assert isinstance(door.token(after.id_token), Admitted)


def test_a_token_of_old_that_tells_no_moment_counts_from_its_second(door: Door) -> None:
    claims = claims_of(door)
    del claims[MOMENT]
    assert isinstance(door.token(signed(door, claims)), Admitted)
    door.clock.advance(milliseconds=1)
    with door.world.store.write(ADMIN) as unit:
        unit.users.update(replace(door.world.alice, active=False))
        unit.users.update(door.world.alice)
    assert door.token(signed(door, claims)) == WRONG


def test_a_token_outlives_the_sign_in_that_ran_out(door: Door) -> None:
    session = issued(door.world)
    with door.world.store.write(ADMIN) as unit:
        unit.providers.update(replace(door.world.wiki, access_token_validity=timedelta(days=3)))
    token = issued(door.world).id_token
    door.clock.advance(days=2)
    with door.world.store.write(ADMIN) as unit:
        unit.sign_ins.drop_expired()
    assert isinstance(door.token(token), Admitted)
    assert door.token(session.id_token) == WRONG


def test_a_token_of_a_session_without_a_factor_is_not_enough_where_one_is_asked_for(door: Door) -> None:
    claims = claims_of(door)
    app = door.enrol(door.world.alice)
    assert isinstance(door.token(signed(door, claims)), Admitted), "nothing asks for one"
    with door.world.store.write(ADMIN) as unit:
        unit.groups.update(replace(door.world.staff, second_factor=True))
    assert door.token(signed(door, claims)) == WRONG, "its session was ended"
    after = {**claims, MOMENT: claims[MOMENT] + 86_400_000_000}
    assert door.token(signed(door, after)) == FACTOR
    answer = door.password("alice", f"{PASSWORD};{app.code()}")
    assert isinstance(answer, Admitted)


def test_go_2024_2965_no_secret_made_for_something_else_lets_in(door: Door) -> None:
    world, app = door.world, door.enrol(door.world.bob)
    challenge = door.password("bob", channel=Channel.RADIUS, dialogue=True)
    assert isinstance(challenge, Challenged)
    session = issued(world)
    others = {
        "cookie of a session": world.sign_in().secret,
        "authorization code": world.code(world.sign_in().secret),
        "token of an outpost": deploy(world.store, sites=("blog",)).token.secret,
        "state of a challenge": challenge.state,
        "proof of a session": session.proof,
        "id of a session": str(session.id),
        "recovery code": app.recovery[0],
        "one-time code": app.code(),
        "password": PASSWORD,
    }
    for what, secret in others.items():
        assert door.token(secret, f"2001:db8:{len(what)}::1") == WRONG, what
    for secret in {**others, "ID token": session.id_token}.values():
        if secret != PASSWORD:
            assert door.password("alice", secret, "") == WRONG
            door.clock.advance(hours=1, minutes=15)


def test_what_lets_in_at_protocols_opens_nothing_else(door: Door) -> None:
    _, secret = door.app_password(door.world.alice)
    token = issued(door.world).id_token
    with door.world.store.read() as unit:
        assert [sessions.find_session(unit, each) for each in (secret, token)] == [None, None]
    assert [door.answer(each, "123456") for each in (secret, token[:253])] == [WRONG, WRONG]
    assert isinstance(door.world.redeem(secret), Refusal)


def test_without_an_issuer_no_id_token_is_taken(door: Door) -> None:
    session = issued(door.world)
    door.decider = Decider(door.world.store, door.world.passwords)
    assert door.token(session.id_token) == WRONG


def claims_of(door: Door) -> dict[str, Any]:
    token = issued(door.world).id_token
    return dict(jwt.decode(token, signer(key_of(door)), algorithms=["ES256"]).claims)


def key_of(door: Door) -> SigningKey:
    with door.world.store.read() as unit:
        return unit.signing_keys.all()[-1]


def signed(door: Door, claims: dict[str, Any]) -> str:
    key = signer(key_of(door))
    return jwt.encode({"alg": "ES256", "kid": key.kid or ""}, claims, key, ["ES256"])


def with_mac(claims: dict[str, Any], kid: str, secret: bytes) -> str:
    """A token that takes our public key for a secret (RFC 8725 section 2.1)."""
    parts = [json.dumps(each).encode() for each in ({"alg": "HS256", "kid": kid}, claims)]
    signed_part = b".".join(map(encoded, parts))
    return (signed_part + b"." + encoded(hmac.digest(secret, signed_part, "sha256"))).decode()


def encoded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def test_only_our_keys_and_our_algorithm_count(door: Door) -> None:
    claims, key = claims_of(door), signer(key_of(door))
    foreign = ECKey.generate_key("P-256", {"kid": key.kid or ""})
    public = key.as_pem(private=False)
    plain = jwt.encode({"alg": "ES256", "kid": key.kid or ""}, claims, key, ["ES256"]).split(".")
    forged = [
        jwt.encode({"alg": "ES256", "kid": key.kid or ""}, claims, foreign, ["ES256"]),
        with_mac(claims, key.kid or "", public),
        "eyJhbGciOiJub25lIn0." + plain[1] + ".",
        ".".join([plain[0], plain[1], ""]),
        ".".join([plain[0], plain[1], plain[2][:-4] + "AAAA"]),
        ".".join([plain[0], plain[1][:-4] + "AAAA", plain[2]]),
        ".".join(plain[:2]),
        "..",
        "a.b.c",
        "." * 1000,
    ]
    assert [door.token(each) for each in forged] == [WRONG] * len(forged)
    assert door.reasons()[-len(forged) :] == ["unknown token"] * len(forged)


@given(st.text() | st.from_regex(r"[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*", fullmatch=True))
def test_garbage_is_no_token(text: str) -> None:
    key = SigningKey(id=UUID(int=1), private_key=_PEM, created=_NEVER)
    assert find_presented(text, [key]) is None


def test_what_may_be_a_token_is_bounded() -> None:
    assert looks_like_token("a.b.c")
    assert not looks_like_token("a.b")
    assert not looks_like_token("a.b.c.d")
    assert not looks_like_token("a.b.\u00e9")
    assert not looks_like_token("a.b." + "c" * 65_536)


_PEM = ECKey.generate_key("P-256").as_pem(private=True).decode()
_NEVER: Any = None
