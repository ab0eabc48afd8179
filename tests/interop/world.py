"""What the interop tests share: one installation, one outpost, and five applications behind five fronts.

alice may use everything, bob nothing; whoever a test changes, it makes for itself.
"""

import itertools
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.browser_http import Page, Visitor
from tests.support.garrison import Garrison, Outpost
from tests.support.peers import Echo, Seen, seen_by_application, start_caddy, start_nginx
from tests.support.peers_dialects import Front, Ports
from tests.support.peers_http import Answer, ask
from tests.support.peers_program import Program, free_port
from tests.support.peers_sites import (
    Addresses,
    Site,
    caddy_site,
    envoy,
    nginx_server,
    shared_map,
    traefik,
)
from tests.support.peers_tls import self_signed

PASSWORD = "correct-horse-battery"
SKIP = "^/public/\n^/healthz$"
_numbers = itertools.count(1)


@dataclass
class World:
    """Everything started once, ended in reverse."""

    folder: Path
    garrison: Garrison
    outpost: Outpost
    echo: Echo
    sites: dict[str, Site]
    programs: list[Program] = field(default_factory=list)
    fronts: list[Front] = field(default_factory=list)

    def person(self, *groups: str) -> str:
        """A new user with the password of all; returns the username."""
        name = f"person{next(_numbers)}"
        fields = {"username": name, "name": name.title(), "email": f"{name}@example.test", "password": PASSWORD}
        self.garrison.apply({"users": [{**fields, "groups": list(groups)}]})
        return name

    def signed_in(self, site: Site, username: str, path: str = "/") -> Visitor:
        """A visitor who signed in at an application."""
        visitor = Visitor()
        page = visitor.sign_in(site.url + path, username, PASSWORD)
        assert page.status == 200, f"{username} did not reach {site.url}: {page.status} {page.url}\n{page.text[:2000]}"
        assert page.url == site.url + path
        return visitor

    def asked(self, site: Site, cookies: str, path: str = "/") -> Answer:
        """What the outpost itself answers to nginx's question with these cookies."""
        return asked(self.outpost, site, cookies, path)

    def verdict(self, site: Site, visitor: Visitor, path: str = "/") -> Answer:
        """The same with the session cookies of a visitor."""
        return self.asked(site, site.cookie_header(visitor), path)

    def close(self) -> None:
        """End all; everything must end cleanly."""
        for front in self.fronts:
            front.close()
        for program in self.programs:
            program.stop()
        self.echo.close()
        self.outpost.stop()
        self.garrison.stop()


def asked(outpost: Outpost, site: Site, cookies: str, path: str = "/") -> Answer:
    """nginx's question at an outpost."""
    headers = [("X-Original-URL", site.url + path), ("Cookie", cookies)]
    host = f"{site.host}:{site.port}"
    return ask(outpost.http, "/outpost.goauthentik.io/auth/nginx", host=host, headers=headers)


def seen(page: Page) -> Seen:
    """What the application received for the page shown."""
    assert page.status == 200, f"{page.status} at {page.url}\n{page.text[:2000]}"
    return seen_by_application(page.body)


def planned_sites() -> dict[str, Site]:
    """One site a front; the two of `domain` lie below one cookie domain."""
    tls, plain = free_port(), free_port()
    domain = Site(
        provider="domain",
        host="one.apps.example.test",
        scheme="https",
        port=tls,
        mode="forward_domain",
        sign_in_host="sign-in.apps.example.test",
        cookie_domain="apps.example.test",
    )
    return {
        "nginx": Site(provider="nginx", host="wiki.example.test", scheme="https", port=tls),
        "domain": domain,
        "caddy": Site(provider="caddy", host="caddy.example.test", scheme="http", port=plain),
    }


def providers(sites: dict[str, Site]) -> list[dict[str, object]]:
    """The providers of the sites, as a blueprint has them."""
    return [
        {
            "name": site.provider, "type": "proxy", "mode": site.mode, "external_host": site.external_host,
            "cookie_domain": site.cookie_domain, "access_token_validity": "hours=24",
            "skip_path_regex": SKIP if site.mode == "forward_single" else "^https://[^/]*/public/",
        }
        for site in sites.values()
    ]  # fmt: skip


def applications(sites: dict[str, Site]) -> list[dict[str, object]]:
    """One application a provider, for the staff."""
    return [
        {
            "slug": site.provider,
            "name": site.provider.title(),
            "provider": site.provider,
            "bindings": [{"group": "staff"}],
        }
        for site in sites.values()
    ]


def people() -> dict[str, list[dict[str, object]]]:
    """The directory: staff below everyone, alice in it, bob not."""
    return {
        "groups": [
            {"name": "everyone", "attributes": {"additionalHeaders": {"X-Company": "Example"}}},
            {"name": "staff", "parents": ["everyone"], "attributes": {"additionalHeaders": {"X-Team": "blue"}}},
        ],
        "users": [
            {
                "username": "alice", "name": "Alice Doe", "email": "alice@example.test", "password": PASSWORD,
                "groups": ["staff"], "attributes": {"additionalHeaders": {"X-Desk": "12"}},
            },
            {"username": "bob", "name": "Bob", "password": PASSWORD, "groups": ["everyone"]},
        ],
    }  # fmt: skip


def build(folder: Path) -> World:
    """Start everything."""
    garrison = Garrison(folder / "garrison").start()
    echo = Echo()
    outpost = Outpost(garrison, "edge", folder / "edge", environment={"AUTHENTIK_HOST_BROWSER": garrison.url})
    ports = Ports(outpost=outpost.http, application=echo.port)
    fronts = {"traefik": Front(traefik(), ports), "envoy": Front(envoy(), ports)}
    sites = planned_sites()
    for name, front in fronts.items():
        sites[name] = Site(provider=name, host=f"{name}.example.test", scheme="http", port=front.port)
    names = [site.provider for site in sites.values()]
    garrison.apply(
        {
            **people(),
            "providers": providers(sites),
            "applications": applications(sites),
            "outposts": [{"name": "edge", "type": "proxy", "providers": names}],
        }
    )
    outpost.start()
    world = World(
        folder=folder, garrison=garrison, outpost=outpost, echo=echo, sites=sites, fronts=list(fronts.values())
    )
    world.programs += _real_fronts(folder, world)
    return world


def _real_fronts(folder: Path, world: World) -> list[Program]:
    hosts = ["wiki.example.test", "*.apps.example.test"]
    at = Addresses(
        outpost=world.outpost.address,
        application=f"127.0.0.1:{world.echo.port}",
        certificate=self_signed(folder, *hosts),
    )
    one, domain, caddy = world.sites["nginx"], world.sites["domain"], world.sites["caddy"]
    servers = [nginx_server(one, at), nginx_server(domain, at).replace(domain.host, "*.apps.example.test")]
    return [
        start_nginx(folder / "nginx", shared_map(servers), [one.port]),
        start_caddy(folder / "caddy", caddy_site(caddy, at), [caddy.port]),
    ]
