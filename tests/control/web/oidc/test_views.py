"""OpenID Connect end to end in a browser: authorize, sign in, redeem; and the pages when it goes otherwise."""

from urllib.parse import urlencode, urlsplit

import pytest
from flask import Flask
from joserfc import jwt
from joserfc.jwk import KeySet

from control.auth import people
from control.auth.gatekeeper import Gatekeeper
from control.auth.oidc.issuer import Issuer
from control.domain.grant import IssuedSession, Refusal, RefusalReason
from control.store import Store
from control.web import identity
from tests.support import builders
from tests.support.auth import EDGE, PASSWORD, World, callback, cheap_passwords, make_world, query_of
from tests.support.stores import ADMIN, Clock
from tests.support.web import URL, Browser, forms_of, make_app

AUTHORIZE = "/application/o/authorize/"


@pytest.fixture
def world(store: Store) -> World:
    world = make_world(store)
    world.issuer = Issuer(url=URL)
    return world


@pytest.fixture
def app(world: World, clock: Clock) -> Flask:
    app = make_app(world.store, clock)
    identity.install(app, cheap_passwords())
    return app


@pytest.fixture
def browser(app: Flask) -> Browser:
    return Browser(app)


def authorize(world: World, **changed: str) -> str:
    return f"{AUTHORIZE}?{urlencode(world.parameters(**changed))}"


def test_the_whole_way_from_an_outpost_s_redirect_to_a_verified_token(browser: Browser, world: World) -> None:
    to_sign_in = browser.get(authorize(world))
    assert to_sign_in.status_code == 302
    where = to_sign_in.headers["Location"]
    assert where.startswith("/sign-in?next=/application/o/authorize/%3F")
    back = browser.submit(where, "/sign-in", username="alice", password=PASSWORD)
    assert (back.status_code, urlsplit(back.headers["Location"]).path) == (303, AUTHORIZE)
    answer = browser.get(back.headers["Location"])
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith(callback(world.wiki) + "&")
    assert answer.headers["Cache-Control"] == "no-store"
    told = query_of(answer.headers["Location"])
    assert told["state"] == "st-123"

    session = world.redeem(told["code"])
    assert isinstance(session, IssuedSession)
    keys = KeySet.import_key_set(browser.get("/application/o/wiki/jwks/").get_json())
    document = browser.get("/application/o/wiki/.well-known/openid-configuration").get_json()
    claims = jwt.decode(session.id_token, keys, algorithms=document["id_token_signing_alg_values_supported"]).claims
    jwt.JWTClaimsRegistry(
        now=int(session.authenticated.timestamp()),
        iss={"essential": True, "value": document["issuer"]},
        aud={"essential": True, "value": "client-wiki"},
        nonce={"essential": True, "value": "n-123"},
        sub={"essential": True, "value": str(world.alice.id)},
    ).validate(claims)
    assert claims["sid"] == str(session.id)


def test_with_a_session_there_is_nothing_to_type(browser: Browser, world: World) -> None:
    browser.sign_in("alice", PASSWORD)
    assert browser.get(authorize(world)).headers["Location"].startswith(callback(world.wiki))


def test_a_post_becomes_a_get(browser: Browser, world: World) -> None:
    browser.sign_in("alice", PASSWORD)
    answer = browser.client.post(AUTHORIZE, data=world.parameters())
    assert answer.status_code == 303
    assert browser.get(answer.headers["Location"]).headers["Location"].startswith(callback(world.wiki))


def test_no_access_names_who_what_and_why(browser: Browser, world: World) -> None:
    browser.sign_in("bob", PASSWORD)
    page = browser.get(authorize(world))
    assert page.status_code == 403
    assert "No access to Wiki" in page.text
    assert "<strong>bob</strong> (Bob)" in page.text
    assert "None of the rules of this application lets you in" in page.text
    assert 'href="/"' in page.text


def test_somebody_else_may_sign_in_from_there(browser: Browser, world: World) -> None:
    browser.sign_in("bob", PASSWORD)
    page = browser.get(authorize(world))
    (form,) = [form for form in forms_of(page.text) if form.action == "/sign-out"]
    where = browser.client.post(form.action, data=form.fields).headers["Location"]
    assert where.startswith("/sign-in?next=/application/o/authorize/%3F")
    back = browser.submit(where, "/sign-in", username="alice", password=PASSWORD)
    assert browser.get(back.headers["Location"]).headers["Location"].startswith(callback(world.wiki))


WRONG = [
    ({"client_id": "nobody"}, "No provider here has the client id"),
    ({"redirect_uri": "https://evil.example/<script>"}, "is not the provider&#39;s own"),
    ({"redirect_uri": "https://evil.example/\r\nX: y"}, "is not the provider&#39;s own"),
    ({"redirect_uri": ""}, "is not the provider&#39;s own"),
]


@pytest.mark.parametrize(("changed", "words"), WRONG)
def test_what_cannot_be_trusted_is_a_page_and_no_redirect(
    browser: Browser, world: World, changed: dict[str, str], words: str
) -> None:
    for _ in range(2):
        page = browser.get(authorize(world, **changed))
        assert page.status_code == 400
        assert words.replace("&#39;", "'") in page.text.replace("&#39;", "'")
        assert "Location" not in page.headers
        assert "<script>" not in page.text
        if not identity_cookie(browser):
            browser.sign_in("alice", PASSWORD)


def identity_cookie(browser: Browser) -> bool:
    return browser.client.get_cookie("garrison_session") is not None


def test_an_empty_request_is_a_page(browser: Browser) -> None:
    assert browser.get(AUTHORIZE).status_code == 400


def test_errors_for_the_application_go_there(browser: Browser, world: World) -> None:
    for changed, error in (
        ({"prompt": "none"}, "login_required"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
    ):
        answer = browser.get(authorize(world, **changed))
        told = query_of(answer.headers["Location"])
        assert answer.headers["Location"].startswith(callback(world.wiki) + "&")
        assert (told["error"], told["state"]) == (error, "st-123")


def test_state_cannot_break_out_of_the_redirect(browser: Browser, world: World) -> None:
    browser.sign_in("alice", PASSWORD)
    state = "a\r\nSet-Cookie: x=y#&code=forged&ü"
    answer = browser.get(authorize(world, state=state))
    assert "\n" not in answer.headers["Location"]
    assert len(answer.headers.getlist("Set-Cookie")) == 0
    assert query_of(answer.headers["Location"])["state"] == state
    assert query_of(answer.headers["Location"])["code"] != "forged"


def test_a_fresh_sign_in_is_asked_for_and_then_enough(browser: Browser, world: World, clock: Clock) -> None:
    browser.sign_in("alice", PASSWORD)
    clock.advance(seconds=5)
    asked = browser.get(authorize(world, prompt="login"))
    where = asked.headers["Location"]
    assert where.endswith("&again=1")
    assert browser.get(where).status_code == 200
    clock.advance(seconds=5)
    back = browser.submit(where, "/sign-in", username="alice", password=PASSWORD)
    assert browser.get(back.headers["Location"]).headers["Location"].startswith(callback(world.wiki))


def test_strangers_cannot_make_the_database_write(browser: Browser, world: World) -> None:
    with world.store.read() as unit:
        before = (unit.revision(), unit.audit.count())
    for changed in ({}, {"client_id": "nobody"}, {"redirect_uri": "https://evil.example"}, {"prompt": "none"}):
        browser.get(authorize(world, **changed))
    with world.store.read() as unit:
        assert (unit.revision(), unit.audit.count(), unit.codes.all()) == (*before, [])


@pytest.mark.parametrize("step", ["authorize", "redeem"])
def test_a_deactivated_person_is_refused_at_each_step(browser: Browser, world: World, step: str) -> None:
    browser.sign_in("alice", PASSWORD)
    code = query_of(browser.get(authorize(world)).headers["Location"])["code"]
    with world.store.write(ADMIN) as unit:
        people.set_active(unit, world.alice.id, active=False)
    if step == "authorize":
        assert browser.get(authorize(world)).headers["Location"].startswith("/sign-in")
    else:
        assert isinstance(world.redeem(code), Refusal)


def test_keys_are_there_before_the_first_sign_in(browser: Browser) -> None:
    answer = browser.get("/application/o/wiki/jwks/")
    assert len(answer.get_json()["keys"]) == 1
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert answer.headers["Cache-Control"] == "public, max-age=300"
    assert browser.get("/application/o/wiki/jwks/").get_json() == answer.get_json()


def test_discovery_agrees_with_the_addresses_that_are_served(browser: Browser) -> None:
    document = browser.get("/application/o/wiki/.well-known/openid-configuration").get_json()
    assert document["issuer"] == f"{URL}/application/o/wiki/"
    assert browser.get(document["jwks_uri"].removeprefix(URL)).status_code == 200
    assert browser.get(document["end_session_endpoint"].removeprefix(URL)).status_code == 200
    assert browser.get(document["authorization_endpoint"].removeprefix(URL)).status_code == 400


@pytest.mark.parametrize("path", ["jwks/", ".well-known/openid-configuration", "end-session/"])
def test_an_unknown_application_is_not_found(browser: Browser, world: World, path: str) -> None:
    with world.store.write(ADMIN) as unit:
        unit.applications.add(builders.application("bookmark"))
        directory = unit.providers.add(builders.ldap_provider("directory"))
        unit.applications.add(builders.application("directory", provider=directory.id))
    for slug in ("nobody", "bookmark", "directory"):
        assert browser.get(f"/application/o/{slug}/{path}").status_code == 404


def test_after_an_outpost_ended_the_session_nothing_is_asked(browser: Browser, world: World) -> None:
    browser.sign_in("alice", PASSWORD)
    session = world.redeem(query_of(browser.get(authorize(world)).headers["Location"])["code"])
    assert isinstance(session, IssuedSession)
    Gatekeeper(world.store, world.issuer).end_session(EDGE, session.id)
    page = browser.get("/application/o/wiki/end-session/")
    assert "You are signed out" in page.text
    assert 'href="https://wiki.example.com"' in page.text
    assert not identity_cookie(browser)


def test_a_session_that_lives_is_ended_only_when_confirmed(browser: Browser, world: World) -> None:
    browser.sign_in("alice", PASSWORD)
    code = query_of(browser.get(authorize(world)).headers["Location"])["code"]
    url = "/application/o/wiki/end-session/"
    page = browser.get(f"{url}?id_token_hint=whatever")
    assert "Sign out?" in page.text
    assert browser.client.post(url).status_code == 400, "no token, no sign-out"
    assert identity_cookie(browser)
    answer = browser.submit(url)
    assert (answer.status_code, answer.headers["Location"]) == (303, url)
    assert "You are signed out" in browser.get(url).text
    assert world.redeem(code) == Refusal(RefusalReason.INVALID_CODE)
