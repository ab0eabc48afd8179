"""How the application of a provider in mode proxy is reached, ready-made: connections, Host, and what answers need.

Made when config is prepared, without any I/O; connections are dialled when requests come. A backend of the same
settings is taken over by what is prepared next, connections and all.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from dataplane.config import Certificate, ConfigRefused, ProxyProvider, Upstream
from dataplane.gate import Identity
from dataplane.io.pool import PoolLimits, Target, Upstreams, targets_of
from dataplane.io.tls_client import client_context
from dataplane.io.url import UpstreamUrl, parse_upstream
from dataplane.protocols.proxy.answering import SECURITY, STRICT_TRANSPORT, Answering
from dataplane.protocols.proxy.messages import Headers
from dataplane.protocols.proxy.onward import Way
from dataplane.protocols.proxy.relay.flow import RelayLimits
from dataplane.protocols.proxy.relay.relay import Relay
from dataplane.protocols.proxy.wire import host_name, parse_host
from dataplane.sansio import PeerError

MAX_OVERRIDES = 64
"""Addresses and Hosts of single persons that are kept ready."""
_PORTS = {"http": ":80", "https": ":443"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All that a backend is made of; equal settings, equal backend."""

    upstream: Upstream
    external_host: str
    validates: bool
    certificate: Certificate | None
    pseudonym: bytes


class Backend:
    """Raises ConfigRefused for what can't be reached so."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        upstream = settings.upstream
        urls = _urls(upstream.addresses)
        path = _common_path(urls)
        self.way = Way(path.encode(), _checked_host(upstream.host_header), settings.pseudonym)
        self.relay = Relay(_upstreams(urls, settings), RelayLimits.of(upstream))
        outer = settings.external_host
        self.answering = Answering(
            _origins(urls, upstream.host_header), path, outer, _security(outer) if upstream.security_headers else ()
        )
        self._overrides: OrderedDict[tuple[str, str], Backend] = OrderedDict()

    @property
    def relays(self) -> Iterator[Relay]:
        """That of all, and those of single persons."""
        yield self.relay
        for override in self._overrides.values():
            yield override.relay

    def of(self, person: Identity) -> "Backend":
        """Where this person's requests go: here, unless attributes say otherwise. Raises ConfigRefused for bad ones."""
        if not person.backend_override and not person.host_header:
            return self
        key = person.backend_override, person.host_header
        known = self._overrides.get(key)
        if known is not None:
            self._overrides.move_to_end(key)
            return known
        made = self._overrides[key] = self._instead(*key)
        if len(self._overrides) > MAX_OVERRIDES:
            _, dropped = self._overrides.popitem(last=False)
            dropped.close()
        return made

    def close(self) -> None:
        """Let go of connections that rest; who has one still is served."""
        for relay in self.relays:
            for pool in relay.pools:
                pool.close()

    def _instead(self, address: str, host: str) -> "Backend":
        upstream = self.settings.upstream
        if address:
            upstream = replace(upstream, addresses=(address,), server_name="")
        if host:
            upstream = replace(upstream, host_header=host)
        return Backend(replace(self.settings, upstream=upstream))


def _upstreams(urls: Sequence[UpstreamUrl], settings: Settings) -> Upstreams:
    upstream = settings.upstream
    limits = PoolLimits(connections=upstream.connections, connect=upstream.connect_timeout)
    if all(url.scheme != "https" for url in urls):
        return Upstreams([Target(text=url.text, address=url.address) for url in urls], limits)
    shown = settings.certificate
    try:
        context = client_context(
            upstream.authorities,
            (shown.chain, shown.private_key) if shown is not None else None,
            verify=settings.validates,
        )
    except ValueError as error:
        raise ConfigRefused(str(error)) from error
    return Upstreams(targets_of(urls, context, upstream.server_name), limits)


def _urls(addresses: Iterable[str]) -> tuple[UpstreamUrl, ...]:
    try:
        return tuple(parse_upstream(address) for address in addresses)
    except ValueError as error:
        raise ConfigRefused(f"address {error}") from error


def pseudonym(outpost: str, provider: str) -> bytes:
    """What we call ourselves in Via: alike at all instances of an outpost, another for each application."""
    return b"garrison-" + hashlib.sha256(f"{outpost}\0{provider}".encode()).hexdigest()[:12].encode()


def prepare_backend(
    provider: ProxyProvider, outpost: str, certificate: Certificate | None, known: Backend | None
) -> Backend:
    """The backend of a provider; `known` where it is the same still. Raises ConfigRefused."""
    upstream = provider.upstream
    if upstream is None or not upstream.addresses:
        raise ConfigRefused(f"provider {provider.name!r} is in mode proxy, but came without an upstream's address")
    settings = Settings(
        upstream=_completed(upstream),
        external_host=provider.external_host,
        validates=provider.internal_host_ssl_validation,
        certificate=certificate,
        pseudonym=pseudonym(outpost, provider.id),
    )
    return known if known is not None and known.settings == settings else Backend(settings)


def _completed(upstream: Upstream) -> Upstream:
    """Nothing takes no time, and nobody is reached over no connection: zero says that nothing was said."""
    usual = Upstream(addresses=())
    return replace(
        upstream,
        connect_timeout=upstream.connect_timeout or usual.connect_timeout,
        response_timeout=upstream.response_timeout or usual.response_timeout,
        idle_timeout=upstream.idle_timeout or usual.idle_timeout,
        connections=upstream.connections or usual.connections,
    )


def _checked_host(text: str) -> bytes:
    if not text:
        return b""
    try:
        parse_host(text.encode())
    except (PeerError, UnicodeError) as error:
        raise ConfigRefused(f"host header {text!r} is not a host name with an optional port") from error
    return text.encode()


def _common_path(urls: Sequence[UpstreamUrl]) -> str:
    paths = {url.path for url in urls}
    if len(paths) > 1:
        raise ConfigRefused(f"addresses of one application have to end in the same path, not in {sorted(paths)}")
    return paths.pop()


def _origins(urls: Sequence[UpstreamUrl], host_header: str) -> frozenset[str]:
    """By what origins the application may know itself: its addresses, and the Host that it is sent."""
    own = (_spellings(url.scheme, url.host) for url in urls if url.scheme != "unix")
    called = (_spellings(scheme, host_header.lower()) for scheme in _PORTS if host_header)
    return frozenset().union(*own, *called)


def _spellings(scheme: str, host: str) -> frozenset[str]:
    """With the scheme's own port and without; another port is no matter of spelling."""
    own = _PORTS[scheme]
    bare = host.removesuffix(own)
    if host_name(bare) != bare:
        return frozenset({f"{scheme}://{host}"})
    return frozenset({f"{scheme}://{bare}", f"{scheme}://{bare}{own}"})


def _security(external_host: str) -> Headers:
    return (*SECURITY, *STRICT_TRANSPORT) if external_host.startswith("https://") else SECURITY
