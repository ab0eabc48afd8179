"""A request line that names one host above a Host header that names another (RFC 9112 3.2.2), at real proxies.

The proxy serves by the first; what it asks the outpost must not be about the second. Whoever has a session at one
application would reach the others with it.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.interop.world import World
from tests.support.garrison import Outpost
from tests.support.garrison_docs import snippet
from tests.support.peers import start_nginx
from tests.support.peers_http import Answer, send
from tests.support.peers_program import free_port
from tests.support.peers_sites import PAGE, Site

pytestmark = pytest.mark.interop

# What authentik's documentation gives its users, as far as it matters here; they bring it unchanged.
AUTHENTIK = """
server {
    listen 127.0.0.1:PORT;
    server_name NAME;
    location / {
        proxy_pass          http://APPLICATION/NAME/;
        auth_request        /outpost.goauthentik.io/auth/nginx;
        error_page          401 = @goauthentik_proxy_signin;
        auth_request_set $authentik_username $upstream_http_x_authentik_username;
        proxy_set_header X-authentik-username $authentik_username;
    }
    location /outpost.goauthentik.io {
        proxy_pass              http://OUTPOST/outpost.goauthentik.io;
        proxy_set_header        Host $host;
        proxy_set_header        X-Original-URL $scheme://$http_host$request_uri;
        proxy_pass_request_body off;
        proxy_set_header        Content-Length "";
    }
    location @goauthentik_proxy_signin {
        internal;
        return 302 /outpost.goauthentik.io/start?rd=$request_uri;
    }
}
"""


def absolute(line: Site, host: Site, cookies: str, port: int, *, tls: bool) -> Answer:
    """One site in the request line, another one in Host."""
    head = [
        f"GET {line.url}/ HTTP/1.1", f"Host: {host.host}:{host.port}", f"Cookie: {cookies}", "Accept: text/html",
        "Connection: close",
    ]  # fmt: skip
    return send(port, "\r\n".join([*head, "", ""]).encode(), tls=tls)


@pytest.fixture
def brought(world: World) -> Iterator[int]:
    """nginx as an authentik user has it, before wiki and one host of the domain; wiki is the default."""
    port = free_port()
    text = AUTHENTIK.replace("PORT", str(port)).replace("OUTPOST", world.outpost.address)
    text = text.replace("APPLICATION", f"127.0.0.1:{world.echo.port}")
    hosts = [world.sites[name].host for name in ("nginx", "domain")]
    program = start_nginx(world.folder / "brought", "".join(text.replace("NAME", host) for host in hosts), [port])
    yield port
    program.stop()


@pytest.mark.parametrize(("served", "session"), [("domain", "nginx"), ("nginx", "domain"), ("caddy", "nginx")])
def test_a_session_of_one_application_opens_no_other(world: World, served: str, session: str) -> None:
    target, own = world.sites[served], world.sites[session]
    cookies = own.cookie_header(world.signed_in(own, "alice"))
    assert absolute(own, own, cookies, own.port, tls=True).status == 200
    answer = absolute(target, own, cookies, target.port, tls=target.scheme == "https")
    assert answer.status in (302, 400, 401, 500), answer.text
    assert b'"application": "echo"' not in answer.body


def test_authentiks_snippet_works_and_opens_no_other_application(world: World, brought: int) -> None:
    wiki, domain = world.sites["nginx"], world.sites["domain"]
    cookies = wiki.cookie_header(world.signed_in(wiki, "alice"))
    own = absolute(wiki, wiki, cookies, brought, tls=False)
    assert (own.status, b'"path": "/wiki.example.test/"' in own.body) == (200, True), own.text
    other = absolute(domain, wiki, cookies, brought, tls=False)
    assert (other.status, b"echo" in other.body) == (500, False), other.text


def test_authentiks_snippet_does_not_serve_the_default_block_to_others(world: World, brought: int) -> None:
    domain = world.sites["domain"]
    cookies = domain.cookie_header(world.signed_in(domain, "alice"))
    assert absolute(domain, domain, cookies, brought, tls=False).status == 200
    nobody = Site(provider="", host="nobody.test", scheme="http", port=80)
    answer = absolute(nobody, domain, cookies, brought, tls=False)
    assert (answer.status, b"echo" in answer.body) == (500, False), answer.text


def test_ingress_nginx_with_the_line_of_the_documentation(world: World, folder: Path) -> None:
    """Its `auth-url` location as its template has it, with the annotation's line in it; an outpost that is a pod."""
    wiki, domain = world.sites["nginx"], world.sites["domain"]
    line = yaml.safe_load(snippet(PAGE, "ingress-nginx"))["nginx.ingress.kubernetes.io/auth-snippet"]
    setting, _, service = snippet(PAGE, "service-hosts").strip().partition("=")
    headers = f"Host {service}; proxy_set_header X-Sent-From nginx-ingress-controller; {line}"
    pod = Outpost(
        world.garrison, "edge", folder / "pod",
        environment={"AUTHENTIK_HOST_BROWSER": world.garrison.url, setting: service},
    )  # fmt: skip
    pod.start()
    port = free_port()
    text = AUTHENTIK.replace("Host $host;", headers).replace("PORT", str(port)).replace("OUTPOST", pod.address)
    text = text.replace("APPLICATION", f"127.0.0.1:{world.echo.port}")
    nginx = start_nginx(folder / "ingress", "".join(text.replace("NAME", site.host) for site in (wiki, domain)), [port])
    try:
        cookies = wiki.cookie_header(world.signed_in(wiki, "alice"))
        assert absolute(wiki, wiki, cookies, port, tls=False).status == 200
        other = absolute(domain, wiki, cookies, port, tls=False)
        assert (other.status, b"echo" in other.body) == (500, False), other.text
    finally:
        nginx.stop()
        pod.stop()
