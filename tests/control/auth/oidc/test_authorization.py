"""The authorization endpoint: who gets a code, who is sent where, and what is never redirected to."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control.auth import people, sessions
from control.auth.oidc.authorization import (
    ASKED,
    AskSecondFactor,
    AskToSignIn,
    NoAccess,
    RequestProblem,
    SendBack,
    TurnDown,
    find_target,
)
from control.domain.decision import DenyReason
from control.domain.factors import Method
from tests.support import builders
from tests.support.auth import VERIFIER, World, callback, challenge_of, query_of
from tests.support.second_factors import enrol
from tests.support.stores import ADMIN, Clock


def test_a_signed_in_person_gets_a_code_and_its_state_back(world: World) -> None:
    outcome = world.authorize(world.sign_in().secret)
    assert isinstance(outcome, SendBack)
    assert outcome.url.startswith(callback(world.wiki) + "&")
    assert query_of(outcome.url).keys() == {"X-authentik-auth-callback", "code", "state"}
    assert query_of(outcome.url)["state"] == "st-123"
    assert len(query_of(outcome.url)["code"]) == 43


def test_the_bare_host_is_a_redirect_uri_too(world: World) -> None:
    bare = "https://wiki.example.com?X-authentik-auth-callback=true"
    outcome = world.authorize(world.sign_in().secret, redirect_uri=bare)
    assert isinstance(outcome, SendBack)
    assert outcome.url.startswith(bare + "&code=")


def test_the_code_lies_hashed(world: World) -> None:
    code = world.code(world.sign_in().secret)
    with world.store.read() as unit:
        (stored,) = unit.codes.all()
    assert code not in repr(stored)
    assert (stored.challenge, stored.nonce) == (challenge_of(VERIFIER), "n-123")


def test_nobody_signed_in_is_asked_to(world: World) -> None:
    outcome = world.authorize()
    assert outcome == AskToSignIn(parameters=tuple(world.parameters().items()), again=False)


def test_no_access_is_a_page_that_says_why(world: World) -> None:
    outcome = world.authorize(world.sign_in(world.bob).secret)
    assert isinstance(outcome, NoAccess)
    assert (outcome.application.slug, outcome.person.user.username) == ("wiki", "bob")
    assert outcome.reason is DenyReason.NO_BINDING_MATCHES
    with world.store.read() as unit:
        event = next(event for event in unit.audit.all() if event.action == "authorized")
        assert (event.name, event.outcome) == ("wiki", "no_binding_matches")
        assert unit.codes.all() == []


REDIRECTS = [
    "https://evil.example/outpost.goauthentik.io/callback?X-authentik-auth-callback=true",
    "https://wiki.example.com.evil.example/outpost.goauthentik.io/callback?X-authentik-auth-callback=true",
    "https://wiki.example.com@evil.example/outpost.goauthentik.io/callback?X-authentik-auth-callback=true",
    "https://wiki.example.com/outpost.goauthentik.io/callback",
    "https://wiki.example.com/outpost.goauthentik.io/callback?X-authentik-auth-callback=true&x=1",
    "https://wiki.example.com/outpost.goauthentik.io/callback?X-authentik-auth-callback=true#f",
    "https://wiki.example.com/outpost.goauthentik.io/callback/?X-authentik-auth-callback=true",
    "https://wiki.example.com/outpost.goauthentik.io/../callback?X-authentik-auth-callback=true",
    "https://WIKI.example.com/outpost.goauthentik.io/callback?X-authentik-auth-callback=true",
    "http://wiki.example.com/outpost.goauthentik.io/callback?X-authentik-auth-callback=true",
    "https://wiki.example.com:443/outpost.goauthentik.io/callback?X-authentik-auth-callback=true",
    "https://paste.example.com/outpost.goauthentik.io/callback?X-authentik-auth-callback=true",
    "https://wiki.example.com/outpost.goauthentik.io/callback?X-authentik-auth-callback=true\r\nSet-Cookie: a=b",
    "//wiki.example.com/outpost.goauthentik.io/callback?X-authentik-auth-callback=true",
    "javascript:alert(1)",
    'https://"\\é',
    "",
]


@pytest.mark.parametrize("redirect_uri", REDIRECTS)
def test_a_foreign_redirect_uri_is_never_redirected_to(world: World, redirect_uri: str) -> None:
    for secret in ("", world.sign_in().secret):
        outcome = world.authorize(secret, redirect_uri=redirect_uri)
        assert outcome == TurnDown(problem=RequestProblem.WRONG_REDIRECT_URI, found=redirect_uri)


def test_an_unknown_client_is_a_page(world: World) -> None:
    outcome = world.authorize(world.sign_in().secret, client_id="nobody")
    assert outcome == TurnDown(problem=RequestProblem.UNKNOWN_CLIENT, found="nobody")


def test_a_provider_without_application_is_a_page(world: World) -> None:
    lonely = builders.provider("lonely")
    with world.store.write(ADMIN) as unit:
        unit.providers.add(lonely)
    outcome = world.authorize(world.sign_in().secret, client_id=lonely.client_id, redirect_uri=callback(lonely))
    assert outcome == TurnDown(problem=RequestProblem.NO_APPLICATION, found="lonely")


@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
def test_a_doubled_address_is_a_page(world: World, name: str) -> None:
    pairs = (*world.parameters().items(), (name, "https://evil.example"))
    outcome = world.ask(world.sign_in().secret, pairs)
    assert outcome == TurnDown(problem=RequestProblem.REPEATED_PARAMETER, found=name)


@pytest.mark.parametrize("name", ["state", "nonce", "scope", "code_challenge", "prompt", "response_type"])
def test_a_doubled_parameter_is_an_error(world: World, name: str) -> None:
    pairs = ((name, "first"), *world.parameters().items(), (name, "last"))
    outcome = world.ask(world.sign_in().secret, pairs)
    assert isinstance(outcome, SendBack)
    assert outcome.error == "invalid_request"


ERRORS = [
    ("invalid_request", {"response_type": ""}),
    ("unsupported_response_type", {"response_type": "token"}),
    ("unsupported_response_type", {"response_type": "code id_token"}),
    ("unsupported_response_type", {"response_type": 'é"\\'}),
    ("invalid_scope", {"scope": ""}),
    ("invalid_scope", {"scope": "profile email"}),
    ("invalid_scope", {"scope": "openidx"}),
    ("invalid_request", {"nonce": ""}),
    ("invalid_request", {"nonce": "n" * 501}),
    ("invalid_request", {"state": "s" * 2001}),
    ("invalid_request", {"scope": "openid " + "s" * 500}),
    ("invalid_request", {"code_challenge": "", "code_challenge_method": ""}),
    ("invalid_request", {"code_challenge": ""}),
    ("invalid_request", {"code_challenge_method": ""}),
    ("invalid_request", {"code_challenge_method": "plain"}),
    ("invalid_request", {"code_challenge_method": "s256"}),
    ("invalid_request", {"code_challenge": "c" * 42}),
    ("invalid_request", {"code_challenge": "c" * 42 + "="}),
    ("invalid_request", {"code_challenge": "c" * 43 + "\n"}),
    ("invalid_request", {"response_mode": "fragment"}),
    ("invalid_request", {"response_mode": "form_post"}),
    ("request_not_supported", {"request": "eyJhbGciOiJub25lIn0.e30."}),
    ("request_uri_not_supported", {"request_uri": "https://evil.example/r"}),
    ("invalid_request", {"prompt": "none login"}),
    ("invalid_request", {"max_age": "-1"}),
    ("invalid_request", {"max_age": "soon"}),
    ("invalid_request", {"max_age": "٣"}),
    ("invalid_request", {"max_age": "9" * 400}),
]


@pytest.mark.parametrize(("error", "changed"), ERRORS)
def test_other_errors_go_back_to_the_application(world: World, error: str, changed: dict[str, str]) -> None:
    outcome = world.authorize(world.sign_in().secret, **changed)
    assert isinstance(outcome, SendBack)
    assert outcome.url.startswith(callback(world.wiki) + "&error=")
    told = query_of(outcome.url)
    assert (told["error"], told["state"]) == (error, changed.get("state", "st-123"))
    with world.store.read() as unit:
        assert unit.codes.all() == []


def test_prompt_none_never_shows_a_page(world: World) -> None:
    anonymous = world.authorize(prompt="none")
    stranger = world.authorize(world.sign_in(world.bob).secret, prompt="none")
    known = world.authorize(world.sign_in().secret, prompt="none")
    assert isinstance(anonymous, SendBack)
    assert isinstance(stranger, SendBack)
    assert isinstance(known, SendBack)
    assert (anonymous.error, stranger.error, known.error) == ("login_required", "access_denied", "")


@pytest.mark.parametrize("asked", [{"prompt": "login"}, {"max_age": "0"}, {"prompt": "select_account"}])
def test_a_fresh_sign_in_is_asked_for_once(world: World, clock: Clock, asked: dict[str, str]) -> None:
    secret = world.sign_in().secret
    clock.advance(seconds=5)
    outcome = world.authorize(secret, **asked)
    assert isinstance(outcome, AskToSignIn)
    assert outcome.again
    clock.advance(seconds=30)
    assert isinstance(world.ask(secret, outcome.parameters), AskToSignIn)
    again = world.sign_in().secret
    assert isinstance(world.ask(again, outcome.parameters), SendBack)


def test_max_age_counts_from_the_password(world: World, clock: Clock) -> None:
    secret = world.sign_in().secret
    clock.advance(seconds=60)
    assert isinstance(world.authorize(secret, max_age="60"), SendBack)
    clock.advance(seconds=1)
    assert isinstance(world.authorize(secret, max_age="60"), AskToSignIn)
    silent = world.authorize(secret, max_age="60", prompt="none")
    assert isinstance(silent, SendBack)
    assert silent.error == "login_required"


def test_the_mark_of_a_fresh_sign_in_cannot_be_made_up_or_moved(world: World, clock: Clock) -> None:
    secret = world.sign_in().secret
    clock.advance(seconds=5)
    outcome = world.authorize(secret, prompt="login")
    assert isinstance(outcome, AskToSignIn)
    mark = dict(outcome.parameters)[ASKED]
    clock.advance(seconds=5)
    fresh = world.sign_in().secret
    for forged in ("0.", "0.0", "x.y", "", "." + mark.split(".")[1], "0." + mark.split(".")[1]):
        assert isinstance(world.authorize(fresh, prompt="login", **{ASKED: forged}), AskToSignIn)
    assert isinstance(world.authorize(fresh, prompt="login", nonce="other", **{ASKED: mark}), AskToSignIn)
    assert isinstance(world.authorize(fresh, prompt="login", **{ASKED: mark}), SendBack)
    clock.advance(minutes=11)
    assert isinstance(world.authorize(fresh, prompt="login", **{ASKED: mark}), AskToSignIn)


def test_a_deactivated_person_gets_no_code(world: World) -> None:
    secret = world.sign_in().secret
    with world.store.write(ADMIN) as unit:
        people.set_active(unit, world.alice.id, active=False)
    assert isinstance(world.authorize(secret), AskToSignIn)


def test_ghsa_x883_2vmg_xwf7_a_group_change_counts_at_once(world: World) -> None:
    secret = world.sign_in().secret
    assert isinstance(world.authorize(secret), SendBack)
    with world.store.write(ADMIN) as unit:
        people.set_user_groups(unit, world.alice.id, [])
    assert isinstance(world.authorize(secret), NoAccess)


def test_an_expired_session_gets_no_code(world: World, clock: Clock) -> None:
    opened = world.sign_in()
    clock.now = opened.sign_in.expires - timedelta(microseconds=1)
    assert isinstance(world.authorize(opened.secret), SendBack)
    clock.now = opened.sign_in.expires
    assert isinstance(world.authorize(opened.secret), AskToSignIn)


def test_the_target_of_a_sign_in_is_named_only_when_it_is_right(world: World) -> None:
    with world.store.read() as unit:
        found = find_target(unit, tuple(world.parameters().items()))
        assert found == (world.wiki_application, world.wiki)
        assert find_target(unit, tuple(world.parameters(redirect_uri="https://evil.example").items())) is None
        assert find_target(unit, ()) is None


def test_a_trailing_slash_of_the_external_host_does_not_matter(world: World) -> None:
    with world.store.write(ADMIN) as unit:
        unit.proxy_providers.update(replace(world.wiki, external_host="https://wiki.example.com/"))
    assert isinstance(world.authorize(world.sign_in().secret), SendBack)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=150)
@given(data=st.data())
def test_no_request_leads_elsewhere(world: World, data: st.DataObject) -> None:
    usual = list(world.parameters().items())
    noise = st.tuples(st.sampled_from([*dict(usual), "prompt", "max_age", ASKED, "x"]), st.text(max_size=20))
    pairs = tuple(data.draw(st.lists(st.one_of(st.sampled_from(usual), noise), max_size=14)))
    outcome = world.ask(data.draw(st.sampled_from(["", world.sign_in().secret])), pairs)
    if isinstance(outcome, SendBack):
        assert outcome.url.startswith((callback(world.wiki) + "&", "https://wiki.example.com?X-authentik"))


def ask_at_wiki(world: World) -> None:
    with world.store.write(ADMIN) as unit:
        unit.applications.update(replace(world.wiki_application, second_factor=True))


def ask_of_staff(world: World) -> None:
    with world.store.write(ADMIN) as unit:
        unit.groups.update(replace(world.staff, second_factor=True))


def have_an_app(world: World) -> None:
    enrol(world.store, world.alice.id)


@pytest.mark.parametrize("reason", [ask_at_wiki, ask_of_staff, have_an_app])
def test_there_is_no_code_before_a_second_factor_that_is_due(world: World, reason: Callable[[World], None]) -> None:
    opened = world.sign_in()
    reason(world)
    outcome = world.authorize(opened.secret)
    assert outcome == AskSecondFactor(parameters=tuple(world.parameters().items()))
    silent = world.authorize(opened.secret, prompt="none")
    assert isinstance(silent, SendBack)
    assert query_of(silent.url)["error"] == "interaction_required"
    with world.store.read() as unit:
        assert unit.codes.all() == []
    with world.store.write(ADMIN) as unit:
        stepped = sessions.step_up(unit, opened.sign_in.id, Method.ONE_TIME_CODE)
    assert isinstance(world.authorize(stepped.secret), SendBack)


def test_an_application_asks_for_itself_alone(world: World) -> None:
    ask_at_wiki(world)
    paste = world.parameters(world.paste)
    assert isinstance(world.ask(world.sign_in().secret, tuple(paste.items())), SendBack)


def test_who_may_not_in_learns_it_after_the_second_factor(world: World) -> None:
    ask_at_wiki(world)
    opened = world.sign_in(world.bob)
    assert isinstance(world.authorize(opened.secret), AskSecondFactor)
    with world.store.write(ADMIN) as unit:
        stepped = sessions.step_up(unit, opened.sign_in.id, Method.RECOVERY_CODE)
    assert isinstance(world.authorize(stepped.secret), NoAccess)
