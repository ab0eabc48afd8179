"""How each reverse proxy asks: a fixed set of headers per dialect becomes one canonical Check.

Which dialect it is follows from the path alone, never from the headers. What is missing, doubled or malformed is
refused with PeerError(400): an answer other than 2xx, so the proxy in front lets nothing through.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from dataplane.protocols.proxy.messages import Request
from dataplane.protocols.proxy.wire import parse_host
from dataplane.sansio import PeerError

PREFIX = b"/outpost.goauthentik.io"
ENVOY_PATH = PREFIX + b"/auth/envoy"

# Printable, without space and fragment; bytes above ASCII are what lax proxies pass on.
_TARGET = re.compile(rb"/[!-\"$-~\x80-\xff]*")
_URL = re.compile(rb"(https?)://([^/?#\s@]+)(/[!-\"$-~\x80-\xff]*)?", re.IGNORECASE)
_MAX_KEPT = 512
"""Bytes of a URL of which it is remembered what it came to: anybody may ask, so all together are 4 MiB at most."""
_METHOD = re.compile(rb"[A-Z][A-Z-]{0,31}")


class Check(NamedTuple):
    """The question: may this browser send this request to that application."""

    method: bytes
    scheme: str
    """The scheme, http or https; empty where nobody says."""
    host: str
    """Canonical, as routes know it."""
    target: bytes
    """Path and query as sent."""
    redirects: bool
    """Whether the proxy in front passes a redirect on to the browser."""
    rivals: tuple[str, ...] = ()
    """Other hosts that the proxy in front named besides. See `Routes.confuses`."""

    @property
    def path(self) -> bytes:
        """The target up to the query."""
        return self.target.partition(b"?")[0]

    @property
    def query(self) -> bytes:
        """What stands behind the first question mark."""
        return self.target.partition(b"?")[2]


def forwarded(request: Request) -> Check:
    """Traefik's forwardAuth and Caddy's forward_auth: X-Forwarded-Proto, -Host and -Uri; -Method where sent."""
    host = parse_host(_required(request, b"x-forwarded-host"))
    scheme = _scheme(_required(request, b"x-forwarded-proto"))
    target = _target(_required(request, b"x-forwarded-uri"), "X-Forwarded-Uri")
    return Check(_method(request, b"x-forwarded-method"), scheme, host, target, True)  # a tuple's field


def nginx(request: Request) -> Check:
    """The auth_request of nginx: X-Original-URL whole, or X-Original-URI with the Host header.

    Either may be the client's own when the configuration sets only the other: both count only where they agree.
    The usual X-Original-URL holds $http_host, the client's word; the usual Host is $host, by which nginx chose the
    application (RFC 9112 3.2.2: the request line counts). Where they differ, the question may be about the wrong one;
    so it may where X-Forwarded-Host differs, which a configuration can set to $host when Host is not its to set.
    """
    fields = request.fields
    url = fields.get(b"x-original-url")
    if url is None or b"x-original-uri" in fields or b"x-original-method" in fields or request.repeated:
        return _nginx_in_full(request)
    scheme, host, target = _split_url(url)
    return Check(request.method, scheme, host, target, False, _rivals(request, host))


def _nginx_in_full(request: Request) -> Check:
    """The same with everything that may be there besides."""
    method = _method(request, b"x-original-method")
    uri = _optional(request, b"x-original-uri")
    url = _optional(request, b"x-original-url")
    if url is None:
        if uri is None:
            raise PeerError(400, "neither X-Original-URL nor X-Original-URI is there; nginx has to set the first")
        scheme = _optional(request, b"x-forwarded-proto")
        target = _target(uri, "X-Original-URI")
        return Check(method, _scheme(scheme) if scheme else "", request.host, target, False)
    scheme_told, host, target = _split_url(url)
    if uri is not None and (uri != target or host != request.host):
        raise PeerError(400, "X-Original-URI and Host contradict X-Original-URL; nginx has to set or clear both")
    return Check(method, scheme_told, host, target, False, _rivals(request, host))


def _rivals(request: Request, host: str) -> tuple[str, ...]:
    told = request.fields.get(b"x-forwarded-host")
    if host == request.host and (told is None or (told.decode("latin-1") == host and not request.repeated)):
        return ()
    if not request.host:
        raise PeerError(400, "no Host header beside X-Original-URL; nginx has to set it to $host")
    forwarded_hosts = [value for name, value in request.headers if name == b"x-forwarded-host"]
    others = (parse_host(each.strip()) for value in forwarded_hosts for each in value.split(b","))
    return tuple(each for each in (request.host, *others) if each != host)


def _split_url(url: bytes) -> tuple[str, str, bytes]:
    return _split_again(url) if len(url) <= _MAX_KEPT else _split(url)


def _split(url: bytes) -> tuple[str, str, bytes]:
    match = _URL.fullmatch(url)
    if match is None:
        raise PeerError(400, "X-Original-URL is not an absolute http or https URL")
    scheme = "https" if match[1].lower() == b"https" else "http"
    return scheme, parse_host(match[2]), match[3] or b"/"


_split_again = lru_cache(maxsize=4096)(_split)


def envoy(request: Request) -> Check:
    """Envoy's HTTP ext_authz: its own request line and Host, with the original path behind our prefix."""
    target = request.target[len(ENVOY_PATH) :]
    if target[:1] in {b"", b"?"}:
        target = b"/" + target
    scheme = _optional(request, b"x-forwarded-proto")
    if not request.host:
        raise PeerError(400, "no Host header")
    return Check(request.method, _scheme(scheme) if scheme else "", request.host, _target(target, "path"), True)


Dialect = Callable[[Request], Check]

DIALECTS: dict[bytes, Dialect] = {
    PREFIX + b"/auth/traefik": forwarded,
    PREFIX + b"/auth/caddy": forwarded,
    PREFIX + b"/auth/nginx": nginx,
    ENVOY_PATH: envoy,
}


def find_dialect(target: bytes) -> Dialect | None:
    """The dialect that this request target addresses; Envoy's is a prefix, the others are exact."""
    dialect = DIALECTS.get(target) or DIALECTS.get(target.partition(b"?")[0])
    if dialect is None and target.startswith(ENVOY_PATH + b"/"):
        return envoy
    return dialect


def _required(request: Request, name: bytes) -> bytes:
    value = request.fields.get(name)
    if value is None:
        raise PeerError(400, f"no {_shown(name)} header; the proxy in front has to set it")
    if request.repeated and name in request.repeated:
        raise PeerError(400, f"more than one {_shown(name)} header")
    return value


def _optional(request: Request, name: bytes) -> bytes | None:
    return _required(request, name) if name in request.fields else None


def _method(request: Request, name: bytes) -> bytes:
    value = request.fields.get(name)
    if value is None:
        return request.method
    if not _METHOD.fullmatch(_required(request, name)):
        raise PeerError(400, f"{_shown(name)} is not a request method")
    return value


def _scheme(value: bytes) -> str:
    if value == b"https":
        return "https"
    if value == b"http":
        return "http"
    match value.lower():
        case b"https" | b"wss":
            return "https"
        case b"http" | b"ws":
            return "http"
    raise PeerError(400, "X-Forwarded-Proto is neither http nor https")


def _target(value: bytes, name: str) -> bytes:
    if not _TARGET.fullmatch(value):
        raise PeerError(400, f"{name} is not a path that begins with / and has neither spaces nor a fragment")
    return value


def _shown(name: bytes) -> str:
    return name.decode("ascii").title()
