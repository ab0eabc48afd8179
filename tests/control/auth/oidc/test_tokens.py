"""ID tokens tell by what somebody signed in: the words of RFC 8176."""

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from control.auth import sessions
from control.auth.oidc.keys import public_keys
from control.auth.oidc.tokens import authentication_methods
from control.domain.factors import Method
from control.domain.grant import IssuedSession
from tests.support.auth import World
from tests.support.stores import ADMIN

WORDS = {
    (Method.PASSWORD,): ["pwd"],
    (Method.PASSWORD, Method.ONE_TIME_CODE): ["otp", "pwd", "mfa"],
    (Method.PASSWORD, Method.RECOVERY_CODE): ["otp", "pwd", "mfa"],
    (Method.PASSWORD, Method.ONE_TIME_CODE, Method.RECOVERY_CODE): ["otp", "pwd", "mfa"],
    (Method.APP_PASSWORD,): ["pwd"],
}


@pytest.mark.parametrize("methods", WORDS)
def test_methods_in_words(methods: tuple[Method, ...]) -> None:
    assert authentication_methods(methods) == WORDS[methods]


def test_every_method_has_a_word() -> None:
    assert all(authentication_methods([method]) for method in Method)


def amr(world: World, session: IssuedSession) -> object:
    with world.store.read() as unit:
        keys = KeySet.import_key_set(public_keys(unit))
    return jwt.decode(session.id_token, keys, algorithms=["ES256"]).claims.get("amr")


def test_a_session_s_tokens_say_how_it_was_opened(world: World) -> None:
    opened = world.sign_in()
    first = world.redeem(world.code(opened.secret))
    assert isinstance(first, IssuedSession)
    with world.store.write(ADMIN) as unit:
        stepped = sessions.step_up(unit, opened.sign_in.id, Method.ONE_TIME_CODE)
    second = world.redeem(world.code(stepped.secret))
    assert isinstance(second, IssuedSession)
    assert (amr(world, first), amr(world, second)) == (["pwd"], ["otp", "pwd", "mfa"])
    assert first.id == second.id
