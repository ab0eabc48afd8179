"""Configuration for the reverse proxy before an application, filled in with what a provider says.

The templates are the snippets of docs/protocols/proxy.md; a test keeps the two alike. What is put in has been checked
as an origin when the provider was saved, so no value can break out of its place.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

from flask import render_template

from control.domain.application import ProxyMode, ProxyProvider
from control.fleet.instances import OutpostHealth
from control.fleet.upstreams import addresses_of

UNKNOWN_OUTPOST = "outpost.example.com:9000"
UNKNOWN_APPLICATION = "127.0.0.1:3000"
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Snippet:
    """A text to copy: `key` names it in addresses, `title` on its tab."""

    key: str
    title: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What the snippets are filled in with."""

    host: str
    port: int
    tls: bool
    sign_in: str
    outpost: str
    application: str = UNKNOWN_APPLICATION
    basic: bool = False

    @property
    def site(self) -> str:
        """The address of the site as Caddy writes it; it speaks HTTPS unless told otherwise."""
        scheme = "" if self.tls else "http://"
        is_default = self.port == _DEFAULT_PORTS["https" if self.tls else "http"]
        return f"{scheme}{self.host}" if is_default else f"{scheme}{self.host}:{self.port}"


def proxy_snippets(provider: ProxyProvider, outposts: Sequence[OutpostHealth], garrison: str) -> tuple[Snippet, ...]:
    """One snippet for each reverse proxy; `garrison` is the host and port of its own outpost."""
    return snippets_at(place_of(provider, outposts, garrison))


def snippets_at(place: Place) -> tuple[Snippet, ...]:
    """The snippets for one place."""
    return (
        Snippet(key="nginx", title="nginx", text=_rendered("nginx.conf", place)),
        Snippet(key="caddy", title="Caddy", text=_rendered("Caddyfile", place)),
        Snippet(key="traefik", title="Traefik", text=_rendered("traefik.yaml", place)),
        Snippet(key="envoy", title="Envoy", text=_rendered("envoy.yaml", place)),
    )


def place_of(provider: ProxyProvider, outposts: Sequence[OutpostHealth], garrison: str) -> Place:
    """Where the provider's application lies: an example host of the domain where there are many.

    The reverse proxy finds the outpost at Garrison itself if it is the embedded one, else at an example to replace.
    """
    is_embedded = any(health.outpost.embedded for health in outposts)
    parts = urlsplit(provider.external_host)
    is_domain = provider.mode is ProxyMode.FORWARD_DOMAIN
    return Place(
        host=f"app.{provider.cookie_domain}" if is_domain else _host(provider.external_host),
        port=parts.port or _DEFAULT_PORTS.get(parts.scheme, _DEFAULT_PORTS["https"]),
        tls=parts.scheme != "http",
        sign_in=provider.external_host if is_domain else "",
        outpost=garrison if is_embedded else UNKNOWN_OUTPOST,
        application=_first_host(provider) or UNKNOWN_APPLICATION,
        basic=provider.basic_auth_enabled,
    )


def _first_host(provider: ProxyProvider) -> str:
    """Host and port of the first address of the application; empty for a socket, or where none is known."""
    return next((urlsplit(address).netloc for address in addresses_of(provider)), "")


def _host(url: str) -> str:
    parts = urlsplit(url)
    return parts.netloc.removesuffix(f":{parts.port}") if parts.port else parts.netloc


def _rendered(name: str, place: Place) -> str:
    return render_template(f"snippets/{name}", site=place.site, **asdict(place))
