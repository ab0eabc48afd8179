"""The fronts of the interop tests: each a real reverse proxy (or its exact questions) before the echo application.

Configurations are the snippets of docs/protocols/proxy.md with addresses put in. A `Site` is what a test needs to
know of an application behind one of them.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from tests.support.browser_http import Visitor
from tests.support.garrison_docs import snippet
from tests.support.peers_dialects import Envoy, Traefik

PAGE = "docs/protocols/proxy.md"
# After what the lines that pass credentials on belong.
_LAST_OF_IDENTITY = {
    "nginx": "        proxy_set_header X-authentik-meta-version  $authentik_meta_version;\n",
    "caddy": " X-Authentik-Meta-Version\n",
    "traefik": "          - X-authentik-meta-version\n",
    "envoy": "          - {prefix: x-authentik-, ignore_case: true}\n",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """An application behind a front; `provider` is also the application's slug. `scheme` is what browsers use."""

    provider: str
    host: str
    scheme: str
    port: int
    mode: str = "forward_single"
    sign_in_host: str = ""
    cookie_domain: str = ""
    sends_credentials: bool = False

    @property
    def url(self) -> str:
        """The application's address, without a trailing slash."""
        return f"{self.scheme}://{self.host}:{self.port}"

    @property
    def external_host(self) -> str:
        """What the provider is told."""
        return f"{self.scheme}://{self.sign_in_host or self.host}:{self.port}"

    def own(self, name: str) -> str:
        """An address of the outpost's own on this host."""
        return f"{self.url}/outpost.goauthentik.io/{name}"

    def cookies(self, visitor: Visitor) -> dict[str, str]:
        """The session cookies that a visitor holds for it."""
        held = visitor.cookies(self.host)
        return {name: value for name, value in held.items() if re.fullmatch(r"authentik_proxy_[0-9a-f]{8}(_\d)?", name)}

    def cookie_header(self, visitor: Visitor) -> str:
        """The same as a Cookie header."""
        return "; ".join(f"{name}={value}" for name, value in self.cookies(visitor).items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where a front finds outpost, application and its certificate."""

    outpost: str
    application: str
    certificate: tuple[Path, Path]


def nginx_server(site: Site, at: Addresses) -> str:
    """The server block of the nginx snippet for a site; the domain snippet's redirect in domain mode."""
    text = front_snippet("nginx", site)
    certificate, key = at.certificate
    replaced = _replace_all(
        text,
        {
            "listen 443 ssl;": f"listen 127.0.0.1:{site.port} ssl;",
            "server_name app.example.com;": f"server_name {site.host};",
            "set $site $host;": f"set $site $host:{site.port};",
            "/etc/ssl/certs/app.example.com.pem": str(certificate),
            "/etc/ssl/private/app.example.com.key": str(key),
            "http://outpost.example.com:9000": f"http://{at.outpost}",
            "http://127.0.0.1:3000": f"http://{at.application}",
        },
    )
    if site.mode != "forward_domain":
        return replaced
    redirect = _replace_all(snippet(PAGE, "nginx-domain"), {"https://sign-in.example.com": site.external_host})
    return _replace_all(replaced, {line(text, "/outpost.goauthentik.io/start?rd="): redirect.strip()})


def shared_map(servers: list[str]) -> str:
    """Server blocks of several sites with the one `map` that they share."""
    head, _, first = servers[0].partition("server {")
    return head + "".join("server {" + block.partition("server {")[2] for block in servers) if first else servers[0]


def caddy_site(site: Site, at: Addresses) -> str:
    """The Caddy snippet for a site, without TLS."""
    return _replace_all(
        front_snippet("caddy", site),
        {
            "app.example.com {": f"http://{site.host}:{site.port} {{\n\tbind 127.0.0.1",
            "http://outpost.example.com:9000": f"http://{at.outpost}",
            "http://127.0.0.1:3000": f"http://{at.application}",
        },
    )


def traefik(site: Site | None = None) -> Traefik:
    """The Traefik snippet."""
    return Traefik.configured(front_snippet("traefik", site))


def envoy(site: Site | None = None) -> Envoy:
    """The Envoy snippet."""
    return Envoy.configured(front_snippet("envoy", site))


def front_snippet(front: str, site: Site | None = None) -> str:
    """The snippet of a front, with the lines that pass credentials on where the site's provider sends them."""
    text = snippet(PAGE, front)
    if site is None or not site.sends_credentials:
        return text
    last = _LAST_OF_IDENTITY[front]
    return _replace_all(text, {last: last + snippet(PAGE, f"{front}-basic")})


def line(text: str, part: str) -> str:
    """The one line that contains `part`, stripped."""
    (found,) = [line.strip() for line in text.splitlines() if part in line]
    return found


def _replace_all(text: str, replacements: dict[str, str]) -> str:
    for old, new in replacements.items():
        assert old in text, f"the snippet no longer has {old!r}"
        text = text.replace(old, new)
    return text
