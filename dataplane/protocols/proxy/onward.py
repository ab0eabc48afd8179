"""The head that an application gets of a request in mode proxy. Pure.

What only we may say (who it is, from where, by which name) is written here, and everything of those names that a client
sent is gone before, in whatever spelling; nothing that it lists in Connection can take ours away. Method, target and
body are the client's as they came: what was judged is what goes on.
"""

import re
from functools import lru_cache
from typing import NamedTuple

from dataplane.protocols.proxy.asking import cookie_header
from dataplane.protocols.proxy.identity import Introduction
from dataplane.protocols.proxy.messages import Request
from dataplane.protocols.proxy.paths import find_destination
from dataplane.protocols.proxy.trust import Seen
from dataplane.protocols.proxy.wire import HOP_BY_HOP, is_managed

_OUR_COOKIES = b"authentik_proxy_"
_OUR_COOKIE = re.compile(rb'(?:^|[\s,"])=*authentik_proxy_', re.IGNORECASE)
"""At the beginning of a cookie, or where a lenient reader might see one begin."""

_DROPPED = HOP_BY_HOP | {
    b"host", b"cookie", b"content-length", b"expect", b"via", b"max-forwards", b"http2-settings",
    b"proxy",  # CGI makes HTTP_PROXY of it (CVE-2016-5385)
    b"x-rewrite-url",  # some frameworks route by it instead of the path
    # Where somebody is and what was asked for, in the words of other proxies: some applications believe any of them.
    b"client-ip", b"x-client-ip", b"true-client-ip", b"x-cluster-client-ip", b"cf-connecting-ip", b"fastly-client-ip",
    b"x-host", b"x-scheme", b"x-url-scheme", b"front-end-https",
}  # fmt: skip

_CLAIMS = (b"remote-", b"x-remote-", b"x-webauth-", b"x-auth-request-", b"ssl-client-", b"x-ssl-client-")
"""Beginnings of names by which applications are told by a proxy who somebody is: `additionalHeaders` may set them, and
who has none of those can't say it either."""
_NOTHING: frozenset[bytes] = frozenset()
_MAX_KEPT = 4096
"""Bytes of a Cookie header of which it is remembered what is left: browsers send the same with every request. All
together are 8 MiB at most, with what is left."""
_MAX_NAME = 64
"""Bytes of a header's name of which it is remembered whether it passes; all together are 256 KiB at most."""


class Way(NamedTuple):
    """Where a request goes on to, as far as its head is concerned."""

    path: bytes
    """Of the address: joined before the target, without a slash at its end."""
    host: bytes
    """The Host header; empty for the client's."""
    pseudonym: bytes
    """What this proxy calls itself in Via (RFC 9110 7.6.3)."""


def onward_line(request: Request, way: Way) -> bytes:
    """The request line."""
    path = way.path if request.target != b"*" else b""  # of the server as a whole (RFC 9110 section 9.3.7)
    return b"%s %s%s HTTP/1.1\r\n" % (request.method, path, request.target)


def onward_lines(request: Request, seen: Seen, peer: str, introduction: Introduction, way: Way) -> bytes:
    """The header lines, without what is another for each request, and without the empty line.

    Of equal headers and version they are the same, whatever the request's method and target.
    """
    host = seen.host.encode()
    lines = [b"Host: %s\r\n" % (way.host or host)]
    left_out = introduction.left_out | _listed(request)
    destination = destination_of(request, seen, way)
    if destination is not None:
        left_out |= {b"destination"}
        lines.append(b"Destination: %s\r\n" % destination)
    lines += [b"%s: %s\r\n" % header for header in request.headers if header[0] not in left_out and may_pass(header[0])]
    cookies = foreign_cookies(cookie_header(request))
    if cookies:
        lines.append(b"Cookie: %s\r\n" % cookies)
    client = seen.client.encode()
    hops = client if seen.client == peer and not seen.hops else ", ".join((seen.client, *seen.hops, peer)).encode()
    via = b", ".join((*(value for name, value in request.headers if name == b"via"), _received(request, way)))
    lines.append(
        b"X-Forwarded-For: %s\r\nX-Forwarded-Host: %s\r\nX-Forwarded-Proto: %s\r\nX-Forwarded-Port: %s\r\n"
        b"X-Real-IP: %s\r\nVia: %s\r\n" % (hops, host, seen.scheme.encode(), _port(seen), client, via)
    )
    lines.append(introduction.lines)
    return b"".join(lines)


def destination_of(request: Request, seen: Seen, way: Way) -> bytes | None:
    """Where MOVE and COPY lead (RFC 4918), if it is to be said otherwise to the application; empty for nowhere."""
    if not way.path or b"destination" not in request.fields:
        return None
    if b"destination" in request.repeated:
        return b""
    return find_destination(request.fields[b"destination"], seen.host, way.path, way.host) or b""


def has_been_here(request: Request, way: Way) -> bool:
    """Whether a request has passed here before: it goes round in circles."""
    if b"via" not in request.fields:
        return False
    values = (value for name, value in request.headers if name == b"via")
    # received-protocol RWS received-by [RWS comment] (RFC 9110 7.6.3); comments may hold commas, ours has none.
    return any(way.pseudonym in hop.split() for value in values for hop in value.split(b","))


def foreign_cookies(cookies: bytes) -> bytes:
    """A Cookie header without the cookies of outposts: whoever has those is signed in."""
    return _foreign_again(cookies) if len(cookies) <= _MAX_KEPT else _foreign(cookies)


def _foreign(cookies: bytes) -> bytes:
    if _OUR_COOKIES not in cookies.lower():
        return cookies
    kept = [piece.strip(b" \t") for piece in cookies.split(b";") if not _OUR_COOKIE.search(piece)]
    return b"; ".join(piece for piece in kept if piece)


_foreign_again = lru_cache(maxsize=1024)(_foreign)


def _listed(request: Request) -> frozenset[bytes]:
    """What Connection lists: for us alone (RFC 9110 7.6.1)."""
    usual = request.fields.get(b"connection", b"close").lower() in {b"keep-alive", b"upgrade", b"close"}
    if usual and b"connection" not in request.repeated:
        return _NOTHING
    values = (value for name, value in request.headers if name == b"connection")
    return frozenset(option.strip().lower() for value in values for option in value.split(b","))


def may_pass(name: bytes) -> bool:
    """Whether a client's header of this name, in lower case, may go on."""
    return _passes_again(name) if len(name) <= _MAX_NAME else _passes(name)


def _passes(name: bytes) -> bool:
    if name in _DROPPED or name.startswith(_CLAIMS):
        return False
    return name == b"authorization" or not is_managed(name)


_passes_again = lru_cache(maxsize=4096)(_passes)


def _received(request: Request, way: Way) -> bytes:
    return b"%s %s" % (request.version, way.pseudonym)


def _port(seen: Seen) -> bytes:
    _, _, port = seen.host.rpartition(":")
    if port.isdigit():
        return port.encode()
    return b"443" if seen.scheme == "https" else b"80"
