"""ID tokens as credentials: good for whom and where they were made for, and for nothing else."""

import base64
import hmac
import json
from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey

from control.auth import sessions
from control.auth.deciding import Decider
from control.auth.oidc.keys import signer
from control.auth.oidc.presented import find_presented, looks_like_token
from control.auth.oidc.tokens import MOMENT
from control.domain.application import ProxyProvider
from control.domain.decision import Admitted, Challenged, Channel, Refused, RefusedReason
from control.domain.factors import Method
from control.domain.grant import IssuedSession, Refusal
from control.domain.security import SigningKey
from tests.support.attempts import Door
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
        unit.proxy_providers.update(replace(door.world.wiki, access_token_validity=timedelta(minutes=5)))
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
        unit.proxy_providers.update(replace(door.world.wiki, access_token_validity=timedelta(days=3)))
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


def test_a_token_of_an_app_password_is_worth_what_that_is(door: Door) -> None:
    claims = claims_of(door)
    made = [door.app_password(door.world.alice, str(used), second_factor=used)[0] for used in (False, True)]
    tokens = [signed(door, {**claims, "sid": str(each.id), MOMENT: claims[MOMENT] + 86_400_000_000}) for each in made]
    assert all(isinstance(door.token(token), Admitted) for token in tokens)
    with door.world.store.write(ADMIN) as unit:
        unit.groups.update(replace(door.world.staff, second_factor=True))
    assert door.token(tokens[0]) == FACTOR
    assert isinstance(door.token(tokens[1]), Admitted)


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
