"""A browser's request as the sign-in flow and the pages see it, and whether it came from navigating.

Only a navigation follows a redirect to a sign-in page with sense: scripts, images and other methods get 401.
"""

from dataclasses import dataclass

from dataplane.protocols.proxy.messages import Request


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
