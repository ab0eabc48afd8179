"""A browser's request as the sign-in flow and the pages see it, and whether it came from navigating.

Only a navigation follows a redirect to a sign-in page with sense: scripts, images and other methods get 401.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dataplane.io.connection import Connection
from dataplane.protocols.proxy.dialects import Check
from dataplane.protocols.proxy.messages import Request
from dataplane.protocols.proxy.trust import Seen, Trust
from dataplane.sansio import PeerError

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """What a browser asks of us, on our own paths or through a check."""

    id: str
    method: bytes
    scheme: str
    host: str
    target: str
    cookies: bytes
    navigates: bool
    wants_json: bool
    client: str = ""
    distrusted: str = ""
    """The peer whose X-Forwarded-* had to be ignored."""


def cookie_header(request: Request) -> bytes:
    """All Cookie headers as one; HTTP/2 front ends split them (RFC 9113 8.2.3)."""
    if b"cookie" not in request.repeated:
        return request.fields.get(b"cookie", b"")
    return b"; ".join(value for name, value in request.headers if name == b"cookie")


def navigates(request: Request, method: bytes) -> bool:
    """Whether this is a browser going to a page (Fetch metadata where sent, else an honest guess)."""
    fields = request.fields
    if method not in {b"GET", b"HEAD"} or fields.get(b"x-requested-with", b"").lower() == b"xmlhttprequest":
        return False
    if fields.get(b"upgrade", b"").lower() == b"websocket" or b"sec-websocket-key" in fields:
        return False
    mode = fields.get(b"sec-fetch-mode")
    if mode is not None:
        return mode == b"navigate" and fields.get(b"sec-fetch-dest", b"document") not in {b"empty", b"image"}
    accept = fields.get(b"accept", b"*/*").strip()
    return b"text/html" in accept or accept in {b"*/*", b""}


def wants_json(request: Request) -> bool:
    """Whether an error is better told as JSON than as a page."""
    accept = request.fields.get(b"accept", b"")
    return b"application/json" in accept and b"text/html" not in accept


class Asker:
    """Makes them of requests: by what is believed of who sent them."""

    def __init__(self, trust: Trust, random: Callable[[int], bytes]) -> None:
        self._trust = trust
        self._random = random

    def visit(self, request: Request, seen: Seen, id_: str) -> Asking:
        """Of a request that came for itself."""
        return Asking(
            id=id_,
            method=request.method,
            scheme=seen.scheme,
            host=seen.host,
            target=request.target.decode("latin-1"),
            cookies=cookie_header(request),
            navigates=navigates(request, request.method),
            wants_json=wants_json(request),
            client=seen.client,
            distrusted=seen.distrusted,
        )

    def check(self, request: Request, check: Check, connection: Connection[Any], id_: str = "") -> Asking:
        """Of what a reverse proxy asks about."""
        return Asking(
            id=id_ or self.id_of(request, connection.peer),
            method=check.method,
            scheme=check.scheme,
            host=check.host,
            target=check.target.decode("latin-1"),
            cookies=cookie_header(request),
            navigates=navigates(request, check.method),
            wants_json=wants_json(request),
            client=self.client(request, connection),
        )

    def client(self, request: Request, connection: Connection[Any]) -> str:
        """Where a request is from."""
        try:
            return self._trust.see(request, connection.peer, secure=connection.secure).client
        except PeerError:
            return connection.peer

    def id_of(self, request: Request, peer: str) -> str:
        """What to call a request in logs: as a trusted peer does, or anew."""
        given = request.fields.get(b"x-request-id")
        if given and self._trust.is_trusted(peer) and _REQUEST_ID.fullmatch(given):
            return given.decode()
        return self._random(8).hex()
