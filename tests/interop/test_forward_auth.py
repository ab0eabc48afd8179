"""Forward authentication as browsers and applications meet it, behind each reverse proxy."""

import json
from urllib.parse import urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.interop.world import PASSWORD, World, seen
from tests.support.browser_http import SCRIPT, Visitor
from tests.support.peers import seen_by_application
from tests.support.peers_http import ask
from tests.support.peers_sites import Site

pytestmark = pytest.mark.interop

NOT_SKIPPED = [
    "/admin?x=/public/",
    "/admin?/public/page",
    "/public/../admin",
    "/public/%2e%2e/admin",
    "/public/.%2E/admin",
    "/public/..%2fadmin",
    "/public//../admin",
    "//public/page",
    "/public/;/../admin",
    "/public/..;/admin",
    "/admin%23/public/",
    "/admin%3f/public/",
    "/admin/%5c../public/",
    "/Public/page",
    "/healthz/more",
]


def test_anonymous_is_sent_to_sign_in_and_comes_back_to_the_page_asked_for(world: World, site: Site) -> None:
    deep = "/wiki/page?one=1&two=a%20b&next=/x%26y"
    visitor = Visitor()
    page = visitor.get(site.url + deep)
    assert urlsplit(page.url).netloc == urlsplit(world.garrison.url).netloc
    assert any("/outpost.goauthentik.io/start" in address for address in page.via)
    arrived = visitor.submit(page, {"username": "alice", "password": PASSWORD})
    assert arrived.url == site.url + deep
    assert seen(arrived).path == deep


def test_the_application_learns_who_it_is_to_the_letter(world: World, site: Site) -> None:
    identity = seen(world.signed_in(site, "alice").get(site.url + "/")).identity
    token, uid = identity.pop("jwt"), identity.pop("uid")
    version = identity.pop("meta-version")
    # Whether a front passes an empty header on is its own affair.
    assert identity.pop("entitlements", "") == ""
    assert identity == {
        "username": "alice",
        "groups": "everyone|staff",
        "email": "alice@example.test",
        "name": "Alice Doe",
        "meta-jwks": f"{world.garrison.url}/application/o/{site.provider}/jwks/",
        "meta-outpost": "edge",
        "meta-provider": site.provider,
        "meta-app": site.provider,
    }
    assert version.startswith("goauthentik.io/outpost/")
    assert len(uid) == 36
    assert token.count(".") == 2


def test_the_token_is_verifiable_at_the_jwks_it_names(world: World, site: Site) -> None:
    visitor = world.signed_in(site, "alice")
    identity = seen(visitor.get(site.url + "/")).identity
    keys = KeySet.import_key_set(json.loads(Visitor().get(identity["meta-jwks"]).body))
    token = jwt.decode(identity["jwt"], keys, algorithms=["ES256"])
    assert token.header["alg"] == "ES256"
    claims = token.claims
    assert claims["iss"] == f"{world.garrison.url}/application/o/{site.provider}/"
    assert (claims["sub"], claims["preferred_username"]) == (identity["uid"], "alice")
    assert (claims["email"], claims["name"], claims["groups"]) == (
        "alice@example.test",
        "Alice Doe",
        ["everyone", "staff"],
    )
    assert claims["exp"] > claims["iat"] >= claims["auth_time"]


def test_additional_headers_of_groups_and_user(world: World) -> None:
    site = world.sites["nginx"]
    answer = world.verdict(site, world.signed_in(site, "alice"))
    assert answer.status == 200
    assert (answer.header("X-Company"), answer.header("X-Team"), answer.header("X-Desk")) == ("Example", "blue", "12")


def test_who_has_no_access_is_refused_with_a_page_that_says_so(site: Site) -> None:
    page = Visitor().sign_in(site.url + "/", "bob", PASSWORD)
    assert page.status == 403
    assert "text/html" in page.headers["content-type"]
    assert site.provider.title() in page.text
    assert "bob" in page.text.lower()


def test_a_script_without_a_session_gets_401(site: Site) -> None:
    assert Visitor().get(site.url + "/api/data", headers=SCRIPT, follow=0).status == 401


def test_a_script_with_a_session_gets_through(world: World, site: Site) -> None:
    visitor = world.signed_in(site, "alice")
    assert seen(visitor.get(site.url + "/api/data", headers=SCRIPT)).identity["username"] == "alice"


def test_a_skip_path_is_open_and_carries_no_identity(site: Site) -> None:
    page = Visitor().get(site.url + "/public/page?x=1", follow=0)
    assert nobody(seen(page).identity)


def test_a_forged_identity_on_a_skip_path_reaches_nobody(site: Site) -> None:
    forged = {"X-authentik-username": "akadmin", "X-authentik-groups": "authentik Admins"}
    page = Visitor().get(site.url + "/public/page", headers={"Accept": "text/html", **forged}, follow=0)
    if page.status == 200:
        assert nobody(seen(page).identity)
    else:
        # Traefik's and nginx's questions carry the forged names: who sends them has to sign in.
        assert page.status in (302, 401)


def nobody(identity: dict[str, str]) -> bool:
    return not any(value for name, value in identity.items() if not name.startswith("meta-"))


@pytest.mark.parametrize("path", NOT_SKIPPED)
def test_bug_3_4_10_no_spelling_opens_what_a_skip_path_does_not_name(site: Site, path: str) -> None:
    answer = Visitor().get(site.url + path, follow=0)
    assert answer.status in (302, 400, 401, 403), f"{path} was let through: {answer.body[:200]!r}"


@pytest.mark.parametrize(
    "name",
    ["X-Forwarded-Uri", "X-Original-Uri", "X-Original-Url", "X-Forwarded-Path", "X-Rewrite-Url", "X-Forwarded-Host"],
)
def test_bug_1_no_header_of_a_client_chooses_what_is_asked_about(world: World, site: Site, name: str) -> None:
    value = {"X-Original-Url": site.url + "/public/page", "X-Forwarded-Host": world.sites["caddy"].host}.get(
        name, "/public/page"
    )
    answer = Visitor().get(site.url + "/admin", headers={"Accept": "text/html", name: value}, follow=0)
    assert answer.status != 200, f"{name} opened /admin: {answer.text[:300]}"


@pytest.mark.parametrize(
    "agent", ["kube-probe/1.29", "GoogleHC/1.0", "ELB-HealthChecker/2.0", "goauthentik.io/outpost"]
)
def test_bug_5_no_user_agent_opens_anything(site: Site, agent: str) -> None:
    assert Visitor().get(site.url + "/", headers={"Accept": "*/*", "User-Agent": agent}, follow=0).status != 200


@pytest.mark.parametrize(
    "forged",
    [
        [("X-authentik-username", "akadmin")],
        [("X-Authentik-Username", "akadmin"), ("x-authentik-username", "root")],
        [("X_Authentik_Username", "akadmin")],
        [("X-authentik_username", "akadmin")],
        [("X.authentik.username", "akadmin")],
        [("X-authentik-groups", "authentik Admins"), ("X-authentik-jwt", "e30.e30."), ("X-authentik-uid", "1")],
        [("X-authentik-meta-app", "other"), ("X-authentik-entitlements", "everything")],
        [("Connection", "close, X-authentik-username")],
        [("Connection", "X-authentik-username, X-authentik-jwt, X-authentik-uid"), ("X-authentik-username", "akadmin")],
    ],
    ids=["plain", "twice", "underscores", "underscore", "dots", "others", "meta", "connection", "connection-forged"],
)
def test_bugs_6_7_8_forged_identity_never_reaches_the_application(
    world: World, site: Site, forged: list[tuple[str, str]]
) -> None:
    visitor = world.signed_in(site, "alice")
    cookies = site.cookie_header(visitor)
    headers = [("Accept", "text/html"), *forged]
    host, tls = f"{site.host}:{site.port}", site.scheme == "https"
    answer = ask(site.port, "/", host=host, headers=[*headers, ("Cookie", cookies)], tls=tls)
    if answer.status == 200:
        identity = seen_by_application(answer.body).identity
        assert (identity["username"], identity["groups"], identity["meta-app"]) == (
            "alice",
            "everyone|staff",
            site.provider,
        )
        assert identity["jwt"].count(".") == 2
        assert len(identity["uid"]) == 36
        assert identity.get("entitlements", "") == ""
    else:
        assert answer.status == 400
    anonymous = ask(site.port, "/", host=host, headers=headers, tls=tls)
    assert anonymous.status in (302, 400, 401)


@pytest.mark.parametrize(
    "target",
    ["https://evil.example.net/", "//evil.example.net/", "/\\evil.example.net", "https://evilapps.example.test/",
     "https://wiki.example.test@evil.example.net/", "javascript:alert(1)", "https:evil.example.net"],
)  # fmt: skip
def test_start_never_leads_to_a_foreign_host(world: World, site: Site, target: str) -> None:
    visitor = Visitor()
    first = visitor.get(f"{site.external_host}/outpost.goauthentik.io/start?rd={target}")
    if first.status == 200:
        last = visitor.submit(first, {"username": "alice", "password": PASSWORD})
        allowed = {site.host, site.sign_in_host, urlsplit(world.garrison.url).hostname}
        assert {urlsplit(address).hostname for address in (*last.via, last.url)} <= allowed
    else:
        assert first.status in (400, 403)


def test_a_second_application_asks_for_no_password(world: World) -> None:
    visitor = world.signed_in(world.sites["nginx"], "alice")
    page = visitor.get(world.sites["caddy"].url + "/second")
    assert seen(page).identity["meta-app"] == "caddy"


def test_one_sign_in_serves_every_host_of_a_domain(world: World) -> None:
    site = world.sites["domain"]
    visitor = world.signed_in(site, "alice")
    other = visitor.get(site.url.replace("one.apps", "two.apps") + "/x")
    assert other.via == ()
    assert seen(other).identity["username"] == "alice"


def test_a_cookie_of_one_provider_opens_no_other(world: World) -> None:
    visitor = world.signed_in(world.sites["nginx"], "alice")
    visitor.get(world.sites["caddy"].url + "/")
    (mine,) = world.sites["nginx"].cookies(visitor).values()
    (name,) = world.sites["caddy"].cookies(visitor)
    site = world.sites["caddy"]
    assert world.asked(site, f"{name}={mine}").status == 401


def test_a_tampered_cookie_is_a_missing_one(world: World, site: Site) -> None:
    visitor = world.signed_in(site, "alice")
    ((name, value),) = site.cookies(visitor).items()
    for bad in (value[:-1], value[:-2] + ("A" if value[-2] != "A" else "B") + value[-1], "", "x" * 3000, value + value):
        assert world.asked(site, f"{name}={bad}").status == 401, f"{bad[:80]!r} opened it"


def test_the_session_cookie_is_shut_to_scripts_and_other_sites(site: Site) -> None:
    visitor = Visitor()
    visitor.sign_in(site.url + "/", "alice", PASSWORD)
    (cookie,) = [cookie for cookie in visitor.jar if cookie.name in site.cookies(visitor)]
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert (cookie.get_nonstandard_attr("SameSite") or "").lower() == "lax"
    assert (cookie.path, cookie.secure) == ("/", site.scheme == "https")
    assert cookie.domain.lstrip(".") == (site.cookie_domain or site.host)
