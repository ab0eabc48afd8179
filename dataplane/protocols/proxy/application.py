"""One provider, compiled when its config arrives: everything a request needs is ready-made here.

Also the cache of opened cookies: it lives and dies with the compiled provider, so a change of the provider drops it.
"""

import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from dataplane.config import Changed, ConfigRefused, Options, ProxyMode, ProxyProvider, SessionKey
from dataplane.gate import ProxySession, SessionReference
from dataplane.metering import Histogram
from dataplane.protocols.proxy.backend import Backend
from dataplane.protocols.proxy.cookies import Scope, Sealer, cookie_name
from dataplane.protocols.proxy.identity import (
    AUTHORIZATION,
    NOBODY,
    Introduction,
    authorization_header,
    identity_headers,
    introduce,
    meta_headers,
)
from dataplane.protocols.proxy.messages import Headers
from dataplane.protocols.proxy.skip import SkipPaths
from dataplane.protocols.proxy.wire import encode_head, host_name, parse_host
from dataplane.sansio import PeerError

OUTPOST_PATH = "/outpost.goauthentik.io"
MAX_CACHED = 10_000
"""Sessions held opened per provider and worker, about 4 kB each."""

MAX_CACHED_HEADERS = 2_000
MAX_HEADER = 4096
"""Bytes of a Cookie header worth keeping whole."""

_KEY_SIZE = 32
_DOMAIN = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
_Key = TypeVar("_Key", bound=Hashable)
_UNSAFE_IN_URL = re.compile(r"[\x00-\x20\x7f\\]")


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A session cookie, opened and judged. Compared by identity: what is counted by it is looked up on each check."""

    session: ProxySession
    denied: bool
    head: bytes
    """The whole answer to a check but for its last lines; empty when denied, and in mode proxy."""
    until: float
    """When it is over, by what it was given and by what the provider allows now."""
    change: Changed | None
    """What overrode the cookie when it was judged."""
    introduction: Introduction | None = None
    """What the application is told in mode proxy; None when denied, and in other modes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Scheme and canonical host of an external URL."""

    scheme: str
    host: str

    @property
    def name(self) -> str:
        """The host without its port."""
        return host_name(self.host)


class Application:
    """A provider, with its `backend` in mode proxy. Raises ConfigRefused for what can't be served."""

    def __init__(
        self,
        provider: ProxyProvider,
        options: Options,
        version: str,
        random: Callable[[int], bytes],
        backend: Backend | None = None,
    ) -> None:
        if (backend is None) is (provider.mode is ProxyMode.PROXY):
            raise ConfigRefused(f"provider {provider.name!r} in mode {provider.mode}: mode proxy alone has an upstream")
        self.provider = provider
        self.backend = backend
        """What it stands before; None where another proxy does."""
        self.browser_url = options.browser_url.rstrip("/")
        self.origin = parse_origin(provider.external_host)
        self.is_domain = provider.mode is ProxyMode.FORWARD_DOMAIN
        self.domain = self._cookie_domain()
        self.sealer = Sealer(provider.id, _checked_keys(provider), random)
        self.skip = SkipPaths(provider.skip_path_regex)
        self.cookie = cookie_name(provider.client_id)
        self.secure = self.origin.scheme == "https"
        self.session_scope = Scope(path="/", domain=self.domain, secure=self.secure)
        self.flow_scope = Scope(path=f"{OUTPOST_PATH}/", domain="", secure=self.secure)
        self.opened: dict[bytes, Opened] = {}
        """By the session's token."""
        self.opened_by_header: dict[bytes, Opened] = {}
        """By the whole Cookie header, where the other cookies stayed as they were too."""
        self.opened_by_session: dict[ProxySession, Opened] = {}
        """Those that came by credentials, which come anew with each request."""
        self.timers: dict[bytes, Histogram] = {}
        """Durations of checks by method, at hand."""
        self._meta = meta_headers(
            {
                "jwks": f"{self.browser_url}/application/o/{provider.application_slug}/jwks/",
                "outpost": options.outpost_name,
                "provider": provider.name,
                "app": provider.application_slug,
                "version": f"goauthentik.io/outpost/{version}",
            }
        )
        self.open_head = self.encode_pass((*NOBODY, *self._meta))
        """The answer where nobody needs to be signed in."""
        self.nobody = introduce(self._meta)
        """The same in mode proxy: nobody is introduced."""

    @property
    def redirect_uri(self) -> str:
        """Where control sends the browser back to."""
        return f"{self.provider.external_host}{OUTPOST_PATH}/callback?X-authentik-auth-callback=true"

    @property
    def start_url(self) -> str:
        """Where a sign-in begins."""
        return f"{self.provider.external_host}{OUTPOST_PATH}/start"

    @property
    def end_session_url(self) -> str:
        """Where a browser goes after it was signed out here."""
        return f"{self.browser_url}/application/o/{self.provider.application_slug}/end-session/"

    def ends(self, session: ProxySession | SessionReference) -> float:
        """When a session is over: a validity that was lowered since counts for it too."""
        return min(session.expires, session.authenticated + self.provider.access_token_validity)

    def allow(self, session: ProxySession, change: Changed | None, *, by_credentials: bool = False) -> Opened:
        """The answer for a session that may pass. Credentials it came by are kept from the application."""
        is_told = by_credentials or self.provider.basic_auth_enabled
        authorization = authorization_header(session) if is_told else ()
        headers = (*identity_headers(session), *authorization, *self._meta)
        if self.backend is not None:
            return Opened(session, False, b"", self.ends(session), change, introduce(headers))
        return Opened(session, False, self.encode_pass(headers), self.ends(session), change)

    def deny(self, session: ProxySession, change: Changed | None) -> Opened:
        """The same for one that may not."""
        return Opened(session, True, b"", self.ends(session), change)

    def open_answer(self, authorization: bytes) -> bytes:
        """The answer where nobody needs to be signed in: a client's own Authorization is for the application.

        It is told where the application is sent one from us, for then the proxy in front takes it from the answer.
        """
        if not self.provider.basic_auth_enabled:
            return self.open_head
        return self.encode_pass((*NOBODY, (AUTHORIZATION, authorization), *self._meta))

    @staticmethod
    def encode_pass(headers: Headers) -> bytes:
        """A 200 up to where Date and the connection's headers follow."""
        return encode_head(200, (*headers, (b"Cache-Control", b"no-store"), (b"Content-Length", b"0")))[:-2]

    def remember(self, token: bytes, opened: Opened) -> Opened:
        """Keep what a token holds; when full, the oldest goes."""
        _keep(self.opened, token, opened, MAX_CACHED)
        return opened

    def remember_session(self, session: ProxySession, opened: Opened) -> Opened:
        """Keep what a session that came by credentials came to."""
        _keep(self.opened_by_session, session, opened, MAX_CACHED)
        return opened

    def remember_header(self, cookies: bytes, opened: Opened) -> None:
        """Keep what a whole Cookie header came to."""
        if len(cookies) <= MAX_HEADER:
            _keep(self.opened_by_header, cookies, opened, MAX_CACHED_HEADERS)

    @property
    def other_scopes(self) -> tuple[Scope, ...]:
        """Where session cookies may lie that this application set while it was configured otherwise."""
        if self.is_domain:
            return (Scope(path="/", domain="", secure=self.secure),)
        labels = self.origin.name.split(".")
        domains = (".".join(labels[start:]) for start in range(len(labels) - 1))
        return tuple(
            Scope(path="/", domain=domain, secure=self.secure) for domain in domains if _DOMAIN.fullmatch(domain)
        )

    def original_url(self, scheme: str, host: str, target: bytes) -> str:
        """What the browser asked for, as a URL to come back to."""
        path = target.decode("latin-1")
        if not self.is_domain:
            return self.provider.external_host + path
        return f"{scheme or self.origin.scheme}://{host}{path}"

    def find_return_url(self, wanted: str) -> str | None:
        """`wanted` made absolute, if this application may send a browser there; judged by its parsed origin."""
        if _UNSAFE_IN_URL.search(wanted) or not wanted.isascii():
            return None
        if wanted.startswith("/") and not wanted.startswith("//"):
            return self.provider.external_host + wanted
        try:
            parts = urlsplit(wanted)
            origin = parse_origin(f"{parts.scheme}://{parts.netloc}")
        except (ValueError, ConfigRefused):
            return None
        if origin.host == self.origin.host:
            # Our own scheme in place of theirs: a proxy behind one that ends TLS takes everything for http.
            return self.provider.external_host + wanted[len(f"{parts.scheme}://{parts.netloc}") :]
        return wanted if self.is_domain and is_within(origin.name, self.domain) else None

    def _cookie_domain(self) -> str:
        if not self.is_domain:
            return ""
        domain = self.provider.cookie_domain.lower().removeprefix(".")
        if not _DOMAIN.fullmatch(domain):
            raise ConfigRefused(f"cookie_domain {self.provider.cookie_domain!r} is not a domain such as example.com")
        if not is_within(self.origin.name, domain):
            raise ConfigRefused(
                f"external_host {self.provider.external_host} lies outside cookie_domain {domain}: "
                "browsers would refuse its cookies"
            )
        return domain


def _keep(cache: dict[_Key, Opened], key: _Key, opened: Opened, limit: int) -> None:
    if len(cache) >= limit:
        cache.pop(next(iter(cache)), None)
    cache[key] = opened


def is_within(host: str, domain: str) -> bool:
    """Whether `host` is `domain` or lies below it, at a dot."""
    return host == domain or host.endswith(f".{domain}")


def parse_origin(url: str) -> Origin:
    """The origin of a URL that has no path. Raises ConfigRefused."""
    try:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or "@" in parts.netloc or not parts.netloc.isascii():
            raise ConfigRefused(f"{url!r} is not scheme and host, such as https://app.example.com")
        if parts.path or parts.query or parts.fragment:
            raise ConfigRefused(f"{url!r} has more than scheme, host and port")
        return Origin(scheme=parts.scheme, host=parse_host(parts.netloc.encode()))
    except (ValueError, PeerError) as error:
        raise ConfigRefused(f"{url!r} is not scheme and host, such as https://app.example.com: {error}") from error


def _checked_keys(provider: ProxyProvider) -> tuple[SessionKey, ...]:
    if not provider.session_keys:
        raise ConfigRefused(f"provider {provider.name!r} has no session key")
    for key in provider.session_keys:
        if len(key.secret) != _KEY_SIZE:
            raise ConfigRefused(f"session key {key.id} has {len(key.secret)} bytes, {_KEY_SIZE} are expected")
    return provider.session_keys
