"""What an application behind mode proxy receives of a request, and a browser of its answer."""

import json
from urllib.parse import urlsplit

import pytest

from tests.interop.proxy.asking import BROWSER, PROGRAM, authority, curl, get, seen, stranger
from tests.interop.proxy.world import ProxyWorld
from tests.interop.world import PASSWORD
from tests.support.browser_http import SCRIPT, Visitor

pytestmark = pytest.mark.interop

PATHS = [
    "/", "/a/b?x=1&y=%20", "/a%2Fb", "/a%2fb", "/%61", "/a//b", "/a;b=c/d", "/a+b%20c", "/%C3%A4", "/a?b?c", "/a?",
    "/'()*!$&,:@~", "/a%3fb%23c", "/" + "x" * 4000,
]  # fmt: skip


def test_a_browser_signs_in_and_comes_to_the_page_it_asked_for(world: ProxyWorld) -> None:
    site = world.sites["gunicorn"]
    deep = "/wiki/page?one=1&two=a%20b&next=/x%26y"
    visitor = Visitor()
    page = visitor.get(site.url + deep)
    assert urlsplit(page.url).netloc == urlsplit(world.garrison.url).netloc
    arrived = visitor.submit(page, {"username": "alice", "password": PASSWORD})
    assert (arrived.status, arrived.url) == (200, site.url + deep)
    answer = json.loads(arrived.body)
    assert (answer["application"], answer["method"], answer["path"]) == ("echo", "GET", deep)


def test_who_has_no_access_is_refused_with_a_page(world: ProxyWorld) -> None:
    page = Visitor().sign_in(world.sites["gunicorn"].url + "/", "bob", PASSWORD)
    assert page.status == 403
    assert "text/html" in page.headers["content-type"]
    assert "Gunicorn" in page.text


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
@pytest.mark.parametrize("name", ["gunicorn", "socket"])
def test_methods_and_bodies_pass(world: ProxyWorld, name: str, method: str) -> None:
    body = b"" if method in ("GET", "HEAD", "DELETE", "OPTIONS") else b"something=1&other=\x00\xff"
    arguments = ["-I"] if method == "HEAD" else ["-X", method, *(["--data-binary", "@-"] if body else [])]
    reply = curl(world, name, *arguments, path="/x?y=z", data=body)
    assert (reply.code, reply.status) == (0, 200), reply
    if method == "HEAD":
        assert (reply.body, int(reply.header("Content-Length")) > 0) == (b"", True)
        return
    answer = json.loads(reply.body)
    assert (answer["method"], answer["path"], answer["bytes"]) == (method, "/x?y=z", len(body))


@pytest.mark.parametrize("path", PATHS)
def test_a_path_arrives_as_it_was_sent(world: ProxyWorld, path: str) -> None:
    assert seen(world, "echo", path).path == path


def test_the_application_learns_who_it_is(world: ProxyWorld) -> None:
    identity = seen(world, "echo").identity
    token, uid, version = identity.pop("jwt"), identity.pop("uid"), identity.pop("meta-version")
    assert identity.pop("entitlements", "") == ""
    assert identity == {
        "username": "alice",
        "groups": "everyone|staff",
        "email": "alice@example.test",
        "name": "Alice Doe",
        "meta-jwks": f"{world.garrison.url}/application/o/echo/jwks/",
        "meta-outpost": "edge",
        "meta-provider": "echo",
        "meta-app": "echo",
    }
    assert (token.count("."), len(uid)) == (2, 36)
    assert version.startswith("goauthentik.io/outpost/")


def test_additional_headers_of_groups_and_user(world: ProxyWorld) -> None:
    received = seen(world, "echo")
    assert [received.header(name) for name in ("X-Company", "X-Team", "X-Desk")] == ["Example", "blue", "12"]


def test_additional_headers_take_the_place_of_the_clients(world: ProxyWorld) -> None:
    received = seen(world, "echo", "/", ("X-Team", "red"), ("x-team", "black"))
    assert received.all("X-Team") == ["blue"]


@pytest.mark.parametrize(
    "forged",
    [
        [("X-authentik-username", "akadmin")],
        [("X-Authentik-Username", "akadmin"), ("x-authentik-username", "root")],
        [("X_Authentik_Username", "akadmin")],
        [("X.authentik.username", "akadmin")],
        [("X-authentik-entitlements", "everything"), ("X-authentik-jwt", "e30.e30.")],
        [("Connection", "close, X-authentik-username")],
        [("Connection", "X-authentik-username, X-authentik-jwt"), ("X-authentik-username", "akadmin")],
        [("Connection", "Cookie, Host, X-Forwarded-For, X-Forwarded-Host")],
    ],
    ids=["plain", "twice", "underscores", "dots", "others", "connection", "connection-forged", "connection-others"],
)
@pytest.mark.parametrize("name", ["echo", "gunicorn"])
def test_nobody_says_themselves_who_they_are(world: ProxyWorld, name: str, forged: list[tuple[str, str]]) -> None:
    answer = get(world, name, "/", *forged)
    if answer.status == 400:
        return
    assert answer.status == 200
    headers = {key.lower(): value for key, value in json.loads(answer.body)["headers"]}
    assert (headers["x-authentik-username"], headers["x-authentik-groups"]) == ("alice", "everyone|staff")
    assert headers.get("x-authentik-entitlements", "") == ""
    assert headers["x-authentik-jwt"].count(".") == 2
    assert headers["x-forwarded-host"] == authority(world.sites[name])
    anonymous = stranger(world, name, "/", BROWSER, *forged)
    assert anonymous.status in (302, 400)


def test_cookies_of_the_session_stay_here(world: ProxyWorld) -> None:
    cookies = world.cookies("echo")
    assert seen(world, "echo").all("Cookie") == []
    answer = stranger(world, "echo", "/", ("Cookie", f"theme=dark; {cookies}; authentik_proxy_0=x; last=1"))
    headers = {key.lower(): value for key, value in json.loads(answer.body)["headers"]}
    assert headers["cookie"] == "theme=dark; last=1"
    assert "authentik_proxy" not in answer.text


def test_an_application_sets_cookies_of_its_own_and_none_of_ours(world: ProxyWorld) -> None:
    (name,) = (pair.split("=")[0] for pair in world.cookies("gunicorn").split("; ")[:1])
    answer = get(world, "gunicorn", f"/answer?cookie=a%3D1&cookie={name}%3Devil&cookie=b%3D2;%20Path%3D/")
    assert answer.all("Set-Cookie") == ["a=1", "b=2; Path=/"]


def test_the_application_is_told_where_it_was_asked(world: ProxyWorld) -> None:
    site = world.sites["echo"]
    received = seen(world, "echo", "/", ("X-Forwarded-For", "198.51.100.7"), ("X-Request-Id", "one-of-mine"))
    assert received.header("Host") == authority(site)
    assert received.header("X-Forwarded-Host") == authority(site)
    assert received.header("X-Forwarded-Proto") == "http"
    assert received.header("X-Forwarded-Port") == str(site.port)
    # The test is at a trusted address, so that it may say who asks it in turn.
    assert received.header("X-Forwarded-For") == "198.51.100.7, 127.0.0.1"
    assert received.header("X-Real-IP") == "198.51.100.7"
    assert received.header("Via")
    assert received.header("X-Request-Id")


def test_over_tls_it_is_told_so(world: ProxyWorld) -> None:
    site = world.sites["secure"]
    reply = curl(world, "secure")
    assert reply.seen.header("X-Forwarded-Proto") == "https"
    assert reply.seen.header("X-Forwarded-Port") == str(site.port)


def test_hop_by_hop_headers_end_here(world: ProxyWorld) -> None:
    received = seen(
        world, "echo", "/", ("Connection", "close, X-Mine"), ("X-Mine", "1"), ("Keep-Alive", "timeout=5"),
        ("TE", "trailers"), ("Proxy-Authorization", "Basic YTpi"), ("X-Other", "2"),
    )  # fmt: skip
    assert [received.all(name) for name in ("X-Mine", "Keep-Alive", "Proxy-Authorization")] == [[], [], []]
    assert received.header("X-Other") == "2"


CLIMBING = [
    "/../other/x", "/%2e%2e/other/x", "/..%2fother/x", "/a/../../other/x", "/a//../../other/x", "/./../other/x",
    "/.%2e/other/x", "/%2e%2e%2fother%2fx",
]  # fmt: skip


@pytest.mark.parametrize("path", CLIMBING)
def test_nobody_leaves_the_path_of_the_internal_host(world: ProxyWorld, path: str) -> None:
    """nginx, as others, follows what leads up before it looks whose it is."""
    assert get(world, "nginx", f"/tenant{path}").text == "/other/x of another's\n"
    assert get(world, "tenant", "/x").text == "/tenant/x of the tenant's\n"
    answer = get(world, "tenant", path, PROGRAM)
    assert (answer.status, json.loads(answer.body)["error"]) == (400, "path_outside")


def test_a_path_of_the_internal_host_comes_before_the_clients(world: ProxyWorld) -> None:
    assert seen(world, "deep", "/x/y?z=1").path == "/base/path/x/y?z=1"
    assert seen(world, "deep", "/").path == "/base/path/"


def test_that_path_is_nowhere_in_answers(world: ProxyWorld) -> None:
    internal = f"http://127.0.0.1:{world.ports.gunicorn}/base/there"
    for location in (internal, "/base/there"):
        answer = get(world, "below", f"/answer?status=302&location={location}&cookie=a%3D1;%20Path%3D/base")
        assert answer.header("Location").removeprefix(world.sites["below"].url) == "/there"
        assert answer.header("Set-Cookie").replace(" ", "") == "a=1;Path=/"


def test_an_internal_host_header(world: ProxyWorld) -> None:
    received = seen(world, "host")
    assert received.header("Host") == "wiki.internal.test:8080"
    assert received.header("X-Forwarded-Host") == authority(world.sites["host"])


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_to_the_internal_address_lead_to_the_external_one(world: ProxyWorld, status: int) -> None:
    internal = f"http://127.0.0.1:{world.ports.gunicorn}/there?x=1"
    answer = get(world, "gunicorn", f"/answer?status={status}&location={internal}")
    assert (answer.status, answer.header("Location")) == (status, world.sites["gunicorn"].url + "/there?x=1")


@pytest.mark.parametrize("location", ["/there", "there", "https://elsewhere.example.test/x", "//elsewhere.test/x", ""])
def test_other_redirects_stay_as_they_are(world: ProxyWorld, location: str) -> None:
    answer = get(world, "gunicorn", f"/answer?status=302&location={location}")
    assert (answer.status, answer.header("Location")) == (302, location)


def test_nginx_redirects_a_folder_to_where_the_browser_is(world: ProxyWorld) -> None:
    answer = get(world, "nginx", "/folder?x=1")
    assert answer.status == 301
    host = urlsplit(answer.header("Location"))
    assert (host.hostname, host.path, host.query) == (world.sites["nginx"].host, "/folder/", "x=1")


def test_each_server_answers(world: ProxyWorld) -> None:
    (world.pages / "page.txt").write_text("from Apache\n")
    assert get(world, "apache", "/page.txt").text == "from Apache\n"
    host = authority(world.sites["nginx"])
    assert get(world, "nginx", "/answer?x").text == f"GET /answer?x {host} alice\n"
    assert json.loads(get(world, "socket", "/x").body)["path"] == "/x"


def test_security_headers_only_where_they_are_asked_for(world: ProxyWorld) -> None:
    names = {"x-content-type-options", "x-frame-options", "referrer-policy", "content-security-policy"}
    plain = {name.lower() for name, _ in get(world, "gunicorn").headers}
    assert not names & plain
    careful = {name.lower() for name, _ in get(world, "careful").headers}
    assert names & careful
    kept = get(world, "careful", "/answer?x-frame-options=ALLOWALL")
    assert kept.all("X-Frame-Options") == ["ALLOWALL"]


def test_a_skip_path_is_open_and_carries_no_identity(world: ProxyWorld) -> None:
    answer = stranger(world, "echo", "/public/page?x=1")
    assert answer.status == 200
    headers = {key.lower(): value for key, value in json.loads(answer.body)["headers"]}
    assert not [
        value for name, value in headers.items() if name.startswith("x-authentik-") and "meta" not in name and value
    ]


@pytest.mark.parametrize(
    "path",
    ["/public/../admin", "/public/%2e%2e/admin", "/public/..%2fadmin", "//public/page", "/public/;/../admin",
     "/public/..;/admin", "/admin?x=/public/", "/admin%23/public/", "/admin/%5c../public/", "/Public/page",
     "/public/..\\admin", "/public%2f..%2f..%2fadmin"],
)  # fmt: skip
def test_no_spelling_opens_what_a_skip_path_does_not_name(world: ProxyWorld, path: str) -> None:
    assert stranger(world, "echo", path, BROWSER).status in (302, 400)


def test_a_script_is_told_401_and_a_person_is_sent_to_sign_in(world: ProxyWorld) -> None:
    assert stranger(world, "echo", "/api", *SCRIPT.items()).status == 401
    assert stranger(world, "echo", "/", BROWSER).status == 302
    assert stranger(world, "echo", "/x", PROGRAM, method="POST").status == 401


def test_basic_credentials_of_attributes(world: ProxyWorld) -> None:
    attributes = {"wiki_user": "wiki-carol", "wiki_password": "s3cret"}
    user = {"username": "carol", "password": PASSWORD, "groups": ["staff"], "attributes": attributes}
    world.garrison.apply({"users": [user]})
    cookies = world.session("basic", "carol")
    reply = curl(world, "basic", "-H", "Authorization: Bearer mine", cookies=cookies)
    assert reply.seen.all("Authorization") == ["Basic d2lraS1jYXJvbDpzM2NyZXQ="]


def test_whoever_has_a_session_may_send_credentials_to_the_application(world: ProxyWorld) -> None:
    assert seen(world, "echo", "/", ("Authorization", "Bearer mine")).header("Authorization") == "Bearer mine"


def test_a_person_may_have_an_application_of_their_own(world: ProxyWorld) -> None:
    attributes = {
        "ak_proxy": {"backend_override": f"http://127.0.0.1:{world.echo.port}", "host_header": "own.internal.test"}
    }
    user = {"username": "dave", "password": PASSWORD, "groups": ["staff"], "attributes": attributes}
    world.garrison.apply({"users": [user]})
    reply = curl(world, "gunicorn", path="/x", cookies=world.session("gunicorn", "dave"))
    assert (reply.seen.header("Host"), reply.seen.identity["username"]) == ("own.internal.test", "dave")
    # http.server of the echo; gunicorn says its own name.
    assert "gunicorn" not in reply.header("Server").lower()


def test_a_backend_override_that_is_none_is_refused_where_it_is_written(world: ProxyWorld) -> None:
    attributes = {"ak_proxy": {"backend_override": "gopher://example.test"}}
    with pytest.raises(AssertionError, match=r"attributes\.ak_proxy\.backend_override"):
        world.garrison.apply({"users": [{"username": "erin", "password": PASSWORD, "attributes": attributes}]})


def test_our_own_paths_never_reach_the_application(world: ProxyWorld) -> None:
    assert stranger(world, "echo", "/outpost.goauthentik.io/ping").status == 204
    for path in ("/outpost.goauthentik.io/", "/outpost.goauthentik.io/nothing", "/outpost.goauthentik.io/auth/nginx"):
        assert '"application": "echo"' not in get(world, "echo", path).text
