"""What a client gets of the headers of an application's answer in mode proxy. Pure.

They are the application's own and pass as they are, with three exceptions: cookies of ours it can't set; redirects, and
paths of cookies, that tell where it lies within tell where it is known instead; and security headers that it left out
are added where the provider asks for them.
"""

import re
from collections.abc import Callable, Collection, Iterator

from dataplane.protocols.proxy.messages import Headers, UpstreamHead

_OUR_COOKIE = re.compile(rb'[\s"=]*authentik_proxy_', re.IGNORECASE)
"""Behind `=` too: some browsers send what has no name without it."""
_COOKIE_PATH = re.compile(rb"(;\s*path\s*=\s*)(/[^;]*)", re.IGNORECASE)
_URL = re.compile(r"(https?://[^/?#\\@]+)((?:[/?#].*)?)", re.IGNORECASE)
_REDIRECTING = frozenset({b"location", b"content-location"})
_SWITCHING = 101
_TOUCHED = _REDIRECTING | {b"set-cookie"}

SECURITY: Headers = (
    (b"X-Content-Type-Options", b"nosniff"),
    (b"X-Frame-Options", b"SAMEORIGIN"),
    (b"Referrer-Policy", b"strict-origin-when-cross-origin"),
)
STRICT_TRANSPORT: Headers = ((b"Strict-Transport-Security", b"max-age=31536000"),)


class Answering:
    """What is done to answers of one application.

    `inner` are the origins it may call itself by, `path` what is joined before targets there, `outer` the URL by which
    browsers know it; `security` are headers to add where they are missing.
    """

    __slots__ = ("_inner", "_outer", "_path", "_security")

    def __init__(self, inner: Collection[str], path: str, outer: str, security: Headers) -> None:
        self._inner = frozenset(inner)
        self._path = path
        self._outer = outer
        self._security = security

    def headers(self, head: UpstreamHead, find_date: Callable[[], bytes]) -> Headers:
        """The headers for the client; with a Date in any case (RFC 9110 section 6.6.1)."""
        names = head.names
        passed = head.headers if names.isdisjoint(_TOUCHED) else tuple(self._passed(head.headers))
        if head.status == _SWITCHING:
            return passed
        if b"date" not in names:
            passed = (*passed, (b"Date", find_date()))
        if not self._security:
            return passed
        if b"content-security-policy" in names:  # frame-ancestors says it better
            names |= {b"x-frame-options"}
        return (*passed, *(header for header in self._security if header[0].lower() not in names))

    def _passed(self, headers: Headers) -> Iterator[tuple[bytes, bytes]]:
        for name, value in headers:
            if name.lower() in _REDIRECTING:
                yield name, self._outside(value)
            elif name.lower() != b"set-cookie":
                yield name, value
            elif not _OUR_COOKIE.match(value):
                yield name, _COOKIE_PATH.sub(self._below_cookie, value) if self._path else value

    def _below_cookie(self, found: re.Match[bytes]) -> bytes:
        """The Path of a cookie, as browsers know it."""
        return found[1] + self._below(found[2].decode("latin-1")).encode("latin-1")

    def _outside(self, value: bytes) -> bytes:
        """A URL as browsers have to be told it; what isn't the application's own stays."""
        text = value.decode("latin-1")
        url = _URL.fullmatch(text)
        if url is not None and url[1].lower() in self._inner:
            rest = url[2] if url[2].startswith("/") else f"/{url[2]}"
            return (self._outer + self._below(rest)).encode("latin-1")
        if text.startswith("/") and (below := self._below(text)) != text:
            # With its origin: what is left may begin like another host's name, in more ways than one.
            return (self._outer + below).encode("latin-1")
        return value

    def _below(self, rest: str) -> str:
        """Without the path that we joined before it."""
        path = self._path
        if not path or not rest.startswith(path):
            return rest
        below = rest[len(path) :]
        if below.startswith("/"):
            return below
        return f"/{below}" if not below or below[0] in "?#" else rest
