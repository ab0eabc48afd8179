"""Addresses of applications that mode proxy stands before: parsed once, in one normal form.

Nothing in them is decoded or guessed at: what programs could understand differently is refused. Outposts take whatever
is taken here, and mean the same by it.
"""

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from control.domain.origins import NotAnOrigin, Origin, is_address, origin_of, parse_origin, socket_path

EXPECTED = "an address like http://127.0.0.1:3000, https://app.internal/base or unix:///run/app.sock"
EXPECTED_HOST = "a host like app.internal, with a port if need be"
_LONGEST_HOST = 500
# RFC 3986 section 3.3, without the comma that stands between addresses.
_PATH = re.compile(r"(/([A-Za-z0-9._~!$&'()*+;=:@-]|%[0-9A-Fa-f]{2})+)*/?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


@dataclass(frozen=True, slots=True)
class Address:
    """An origin with the path before all paths, or without an origin the path of a unix socket."""

    origin: Origin | None
    path: str

    @property
    def prefix(self) -> str:
        """What stands before the paths that are asked for."""
        return "" if self.origin is None else self.path

    def __str__(self) -> str:
        return f"unix://{self.path}" if self.origin is None else f"{self.origin}{self.path}"


def parse_address(text: str) -> Address:
    """The address `text` stands for. Raises NotAnOrigin."""
    if text.lower().startswith("unix:"):
        return Address(None, socket_path(text))
    origin = origin_of(text)
    if _is_doubtful(origin.host):
        raise NotAnOrigin("not_a_host")
    parts = urlsplit(text)
    if parts.query or parts.fragment or "?" in text or "#" in text:
        raise NotAnOrigin("query_refused")
    return Address(origin, _path(parts))


def parse_host_header(text: str) -> str:
    """A Host header (RFC 9110 section 7.2) in normal form, without port 80. Raises NotAnOrigin."""
    # The zone of an address means something on one machine only; what follows a slash is no host, not even nothing.
    if set(text) & set("%@/") or len(text) > _LONGEST_HOST:
        raise NotAnOrigin("not_a_host")
    try:
        return str(parse_origin(f"http://{text}")).removeprefix("http://")
    except NotAnOrigin:
        raise NotAnOrigin("not_a_host") from None


def _is_doubtful(host: str) -> bool:
    """Whether resolvers may take the name for an address (127.1, 0x7f.1), or the address means another elsewhere."""
    return "%" in host or bool(_NUMBER.fullmatch(host.rpartition(".")[2]) and not is_address(host))


def _path(parts: SplitResult) -> str:
    """Without a slash at its end, since another path follows."""
    segments = [unquote(segment) for segment in parts.path.split("/")]
    is_doubtful = any(segment in {".", ".."} or set(segment) & {"/", "\\", "\0"} for segment in segments)
    if is_doubtful or not _PATH.fullmatch(parts.path):
        raise NotAnOrigin("not_a_path")
    return parts.path.rstrip("/")
