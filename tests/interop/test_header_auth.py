"""Programs that sign in with each request, by curl through each front: who gets in, what bites, and an outage."""

import base64
import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.interop.world import PASSWORD
from tests.support.browser_http import SCRIPT, Visitor
from tests.support.garrison import Garrison, Outpost, short_folder
from tests.support.garrison_docs import snippet
from tests.support.peers import Echo, Seen, seen_by_application, start_caddy, start_nginx
from tests.support.peers_dialects import Front, Ports
from tests.support.peers_http import Answer, ask
from tests.support.peers_program import Program, eventually, free_port
from tests.support.peers_sites import PAGE, Addresses, Site, caddy_site, envoy, nginx_server, shared_map, traefik
from tests.support.peers_tls import self_signed

pytestmark = pytest.mark.interop
FRONTS = ["nginx", "caddy", "traefik", "envoy"]
SENT = "Basic d2lraTpmb3ItdGhlLWFwcA=="
"""wiki:for-the-app"""
AT_ONCE, LIMIT = 0.25, 5.0


@dataclass
class Reply:
    """What curl got."""

    status: int
    headers: dict[str, list[str]]
    body: bytes

    @property
    def seen(self) -> Seen:
        """The request as the application received it."""
        assert self.status == 200, f"{self.status}: {self.headers}\n{self.body[:1000]!r}"
        return seen_by_application(self.body)


@dataclass
class Place:
    """An installation with one outpost that runs twice, and an application behind each front."""

    folder: Path
    garrison: Garrison
    outposts: tuple[Outpost, Outpost]
    sites: dict[str, Site]
    number: int = 0

    def person(self, *groups: str) -> str:
        """A new user, known from nowhere yet."""
        self.number += 1
        name = f"program{self.number}"
        fields = {"username": name, "email": f"{name}@example.test", "password": PASSWORD, "groups": list(groups)}
        self.garrison.apply({"users": [fields]})
        return name

    def app_password(self, username: str) -> str:
        """A new app password, made as its owner makes one."""
        visitor = Visitor()
        page = visitor.sign_in(f"{self.garrison.url}/account/app-passwords/new", username, PASSWORD)
        made = visitor.submit(page, {"name": "curl"})
        found = re.search(r'id="app-password" value="([^"]+)"', made.text)
        assert found, made.text[:3000]
        return found[1]

    def curl(self, name: str, *arguments: str, path: str = "/") -> Reply:
        """curl at a site."""
        site = self.sites[name]
        command = ["curl", "-sS", "-k", "-i", "--max-time", "20", "--resolve", f"{site.host}:{site.port}:127.0.0.1"]
        done = subprocess.run(
            [*command, *arguments, site.url + path], capture_output=True, timeout=30, check=False, cwd=self.folder
        )
        assert done.returncode == 0, done.stderr
        return read_reply(done.stdout)

    def ask(self, outpost: Outpost, credentials: str, name: str = "nginx") -> Answer:
        """nginx's question, straight to an outpost."""
        site = self.sites[name]
        headers = [("X-Original-URL", site.url + "/"), ("Authorization", basic(credentials))]
        return ask(outpost.http, "/outpost.goauthentik.io/auth/nginx", host=f"{site.host}:{site.port}", headers=headers)

    def both(self, credentials: str, name: str = "nginx") -> list[int]:
        """The status at both."""
        return [self.ask(outpost, credentials, name).status for outpost in self.outposts]


def basic(credentials: str) -> str:
    """The header that a program sends."""
    return "Basic " + base64.b64encode(credentials.encode()).decode()


def read_reply(raw: bytes) -> Reply:
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers: dict[str, list[str]] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers.setdefault(name.lower(), []).append(value.strip())
    return Reply(status=int(first.split()[1]), headers=headers, body=body)


def planned() -> dict[str, Site]:
    tls = free_port()
    nginx = Site(provider="nginx", host="wiki.example.test", scheme="https", port=tls, sends_credentials=True)
    plain = Site(provider="plain", host="plain.example.test", scheme="https", port=tls)
    caddy = Site(provider="caddy", host="caddy.example.test", scheme="http", port=free_port(), sends_credentials=True)
    return {"nginx": nginx, "plain": plain, "caddy": caddy}


def blueprint(sites: dict[str, Site]) -> dict[str, object]:
    sending = {
        "basic_auth_enabled": True, "basic_auth_user_attribute": "app_user", "basic_auth_password_attribute": "app_pw",
    }  # fmt: skip
    return {
        "groups": [{"name": "staff", "attributes": {"app_user": "wiki", "app_pw": "for-the-app"}}],
        "users": [{"username": "alice", "name": "Alice", "password": PASSWORD, "groups": ["staff"]}],
        "providers": [
            {
                "name": site.provider, "type": "proxy", "mode": "forward_single", "external_host": site.external_host,
                "intercept_header_auth": site.provider != "quiet", **(sending if site.sends_credentials else {}),
            }
            for site in sites.values()
        ],
        "applications": [
            {"slug": each, "name": each.title(), "provider": each, "bindings": [{"group": "staff"}]} for each in sites
        ],
        "outposts": [{"name": "edge", "type": "proxy", "providers": list(sites)}],
    }  # fmt: skip


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    """All of it, started once."""
    with short_folder() as folder:
        garrison, echo = Garrison(folder / "garrison").start(), Echo()
        outposts = (Outpost(garrison, "edge", folder / "one"), Outpost(garrison, "edge", folder / "two"))
        ports, sites, fronts = Ports(outpost=outposts[0].http, application=echo.port), planned(), []
        for name in ("traefik", "envoy", "quiet"):
            host, sends = f"{name}.example.test", name != "quiet"
            site = Site(provider=name, host=host, scheme="http", port=0, sends_credentials=sends)
            front = Front(envoy(site) if name == "envoy" else traefik(site), ports)
            fronts.append(front)
            sites[name] = Site(provider=name, host=host, scheme="http", port=front.port, sends_credentials=sends)
        garrison.apply(blueprint(sites))
        for outpost in outposts:
            outpost.start()
        programs = real_fronts(folder, sites, outposts[0], echo)
        yield Place(folder=folder, garrison=garrison, outposts=outposts, sites=sites)
        for front in fronts:
            front.close()
        echo.close()
        for program in programs:
            program.stop()
        for outpost in outposts:
            outpost.stop()
        garrison.stop()


def real_fronts(folder: Path, sites: dict[str, Site], outpost: Outpost, echo: Echo) -> list[Program]:
    certificate = self_signed(folder, "wiki.example.test", "plain.example.test")
    at = Addresses(outpost=outpost.address, application=f"127.0.0.1:{echo.port}", certificate=certificate)
    servers = shared_map([nginx_server(sites[name], at) for name in ("nginx", "plain")])
    return [
        start_nginx(folder / "nginx", servers, [sites["nginx"].port]),
        start_caddy(folder / "caddy", caddy_site(sites["caddy"], at), [sites["caddy"].port]),
    ]


@pytest.fixture(scope="module")
def secret(place: Place) -> str:
    """An app password of alice's."""
    return place.app_password("alice")


@pytest.mark.parametrize("front", FRONTS)
def test_curl_gets_in_and_the_application_is_sent_its_own_credentials(place: Place, secret: str, front: str) -> None:
    command = shlex.split(snippet(PAGE, "curl").replace("app-password", secret))
    assert command[0] == "curl"
    assert command[-1] == "https://app.example.com/api"
    seen = place.curl(front, *command[1:-1], path="/api").seen
    assert (seen.path, seen.identity["username"], seen.identity["groups"]) == ("/api", "alice", "staff")
    assert seen.identity["jwt"].count(".") == 2
    assert seen.all("Authorization") == [SENT]


@pytest.mark.parametrize("front", FRONTS)
def test_somebody_signed_in_by_a_browser_sends_the_same(place: Place, front: str) -> None:
    visitor = Visitor()
    page = visitor.sign_in(place.sites[front].url + "/", "alice", PASSWORD)
    assert seen_by_application(page.body).all("Authorization") == [SENT]


def test_elsewhere_the_header_reaches_the_application_as_it_is(place: Place, secret: str) -> None:
    seen = place.curl("plain", "-u", f"alice:{secret}").seen
    assert seen.identity["username"] == "alice"
    assert seen.all("Authorization") == [basic(f"alice:{secret}")]


@pytest.mark.parametrize("front", [*FRONTS, "plain"])
def test_wrong_ones_are_asked_again(place: Place, front: str) -> None:
    reply = place.curl(front, "-u", f"nobody-{front}:wrong")
    assert reply.status == 401
    (asked,) = reply.headers["www-authenticate"]
    assert asked == f'Basic realm="{front.title()}", charset="UTF-8"'


@pytest.mark.parametrize("front", FRONTS)
def test_who_may_not_is_refused(place: Place, front: str) -> None:
    assert place.curl(front, "-u", f"{place.person()}:{PASSWORD}").status == 403


def test_tokens(place: Place, secret: str) -> None:
    token = place.curl("nginx", "-u", f"alice:{secret}").seen.identity["jwt"]
    for credentials in (["-H", f"Authorization: Bearer {token}"], ["-u", f"goauthentik.io/token:{token}"]):
        assert place.curl("nginx", *credentials).seen.identity["username"] == "alice"
        assert place.curl("caddy", *credentials).status == 401, "it names the other application"
    assert place.curl("caddy", "--oauth2-bearer", secret).seen.identity["username"] == "alice"


def test_without_intercepting_wrong_ones_are_nobody(place: Place, secret: str) -> None:
    assert place.curl("quiet", "-u", "nobody-quiet:wrong").status == 302
    script = [each for name, value in SCRIPT.items() for each in ("-H", f"{name}: {value}")]
    refused = place.curl("quiet", "-u", "nobody-quiet:wrong", *script)
    assert (refused.status, refused.headers["www-authenticate"][0].split()[0]) == (401, "Garrison")
    assert place.curl("quiet", "-u", f"alice:{secret}", *script).seen.identity["username"] == "alice"


def test_doubled_headers_are_refused(place: Place, secret: str) -> None:
    for front in ("caddy", "traefik", "envoy"):
        two = ["-H", f"Authorization: {basic(f'alice:{secret}')}", "-H", "Authorization: Basic eDp5"]
        assert place.curl(front, *two).status == 400
    assert place.curl("nginx", *two).status in {400, 500}


def last_let_in(place: Place, credentials: str, status: int = 401) -> float:
    """How many seconds from now the last question is asked that is still answered yes, at whichever outpost.

    Not when the no is there: control takes its time for what may be a password.
    """
    began = time.monotonic()

    def last_at(outpost: Outpost) -> float:
        last = 0.0
        while True:
            asked = time.monotonic() - began
            answer = place.ask(outpost, credentials).status
            if answer == status:
                return last
            assert (answer, asked < LIMIT) == (200, True)
            last = asked

    with ThreadPoolExecutor(2) as pool:
        return max(pool.map(last_at, place.outposts))


def test_a_revoked_app_password_is_refused_at_once_at_every_outpost(place: Place) -> None:
    name = place.person("staff")
    visitor = Visitor()
    secret = place.app_password(name)
    assert place.both(f"{name}:{secret}") == [200, 200]
    page = visitor.sign_in(f"{place.garrison.url}/account/app-passwords", name, PASSWORD)
    (action,) = re.findall(r'action="([^"]*/revoke)"', page.text)
    (token,) = set(re.findall(r'name="csrf_token"[^>]*value="([^"]+)"', page.text))
    url = f"{place.garrison.url}{action}" if action.startswith("/") else action
    assert visitor.post(url, [("csrf_token", token)], follow=0).status == 303
    assert last_let_in(place, f"{name}:{secret}") < AT_ONCE


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"password": "another-horse-battery", "password_policy": "enforce"}, 401),
        ({"active": False}, 401),
        ({"groups": []}, 403),
    ],
    ids=["password", "deactivated", "group"],
)
def test_what_changes_a_person_drops_what_was_kept(place: Place, change: dict[str, object], status: int) -> None:
    name = place.person("staff")
    assert place.both(f"{name}:{PASSWORD}") == [200, 200]
    place.garrison.apply({"users": [{"username": name, **change}]})
    assert last_let_in(place, f"{name}:{PASSWORD}", status) < AT_ONCE


def test_other_credentials_for_the_application_are_sent_at_once(place: Place) -> None:
    name = place.person("staff")
    assert place.ask(place.outposts[0], f"{name}:{PASSWORD}").header("Authorization") == SENT
    own = {"app_user": "own", "app_pw": "of mine"}
    place.garrison.apply({"users": [{"username": name, "attributes": own}]})
    for outpost in place.outposts:
        eventually(partial(sends, place, outpost, f"{name}:{PASSWORD}", basic("own:of mine")), "the new ones")


def sends(place: Place, outpost: Outpost, credentials: str, expected: str) -> bool:
    """Whether this is what the application is sent."""
    return place.ask(outpost, credentials).header("Authorization") == expected


def counted(outpost: Outpost, outcome: str) -> float:
    """How often credentials came to that at an outpost."""
    text = ask(outpost.metrics, "/metrics").text
    found = re.search(rf'^garrison_proxy_header_auth_total{{outcome="{outcome}"}} (\S+)$', text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def asks_control(place: Place, outpost: Outpost, credentials: str) -> bool:
    """Whether the outpost asks control about what it was just told about."""
    assert place.ask(outpost, credentials).status == 200
    before = counted(outpost, "control")
    assert place.ask(outpost, credentials).status == 200
    return counted(outpost, "control") > before


def test_how_long_answers_are_kept_is_an_option(place: Place, secret: str) -> None:
    outpost, alice = place.outposts[0], f"alice:{secret}"
    assert not asks_control(place, outpost, alice)
    place.garrison.apply({"outposts": [{"name": "edge", "config": {"garrison_bind_cache": ""}}]})
    eventually(lambda: asks_control(place, outpost, alice), "nothing is kept")
    place.garrison.apply({"outposts": [{"name": "edge", "config": {}}]})
    eventually(lambda: not asks_control(place, outpost, alice), "answers are kept again")


def test_with_control_away_who_came_before_comes_in_and_nobody_else(place: Place, secret: str) -> None:
    name, alice = place.person("staff"), f"alice:{secret}"
    # At once too old to count while control can be asked.
    place.garrison.apply({"outposts": [{"name": "edge", "config": {"garrison_bind_cache": "milliseconds=1"}}]})
    for outpost in place.outposts:
        eventually(partial(asks_control, place, outpost, alice), "control is asked each time")
    place.garrison.stop()
    try:
        assert place.both(alice) == [200, 200]
        assert [counted(outpost, "offline") for outpost in place.outposts] == [1.0, 1.0]
        assert place.both(f"{name}:{PASSWORD}") == [503, 503]
        assert place.both("alice:other") == [503, 503]
        refused = place.curl("caddy", "-u", f"{name}:{PASSWORD}")
        assert (refused.status, refused.headers["retry-after"]) == (503, ["5"])
        assert place.curl("quiet", "-u", f"{name}:{PASSWORD}").status == 302
    finally:
        place.garrison.start()
    for outpost in place.outposts:
        eventually(partial(comes_in, place, outpost, f"{name}:{PASSWORD}"), "control is asked again", within=40)


def comes_in(place: Place, outpost: Outpost, credentials: str) -> bool:
    """Whether the outpost lets these in."""
    return place.ask(outpost, credentials).status == 200
