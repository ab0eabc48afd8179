"""The letters of HTTP/1.1: which header names and hosts there are, and how heads are written. Pure.

Names that only we may set are "managed". Applications fold `-`, `_` and `.` into one (WSGI, CGI, PHP), so every
spelling that folds to a managed name is an attack or a misconfiguration: it is refused.
"""

import re
from functools import lru_cache
from http import HTTPStatus

from dataplane.protocols.proxy.messages import Headers
from dataplane.sansio import PeerError

_MANAGED_FAMILIES = ("X_FORWARDED_", "X_AUTHENTIK_", "X_ORIGINAL_", "X_GARRISON_")
_MANAGED_NAMES = frozenset({"X_REAL_IP", "X_REQUEST_ID", "FORWARDED", "X_FORWARDED", "HOST", "COOKIE", "AUTHORIZATION"})

_NAME = re.compile(rb"[A-Za-z0-9-]+")
_FOLD = re.compile(r"[^A-Za-z0-9]")
_UNSAFE = re.compile(rb"[\x00-\x1f\x7f]")
_HOST = re.compile(
    r"(?!.*\.\.)(?P<name>[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?|\[[0-9a-f:.]+\])\.?(?::(?P<port>[0-9]{0,5}))?"
)
_MAX_HOST = 261  # 255 of a name, a colon, a port
_DEFAULT_PORTS = ("80", "443")

HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade",
     b"proxy-authenticate", b"proxy-authorization"}
)  # fmt: skip

_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}


def fold(name: bytes) -> str:
    """The name as applications see it that turn headers into variables."""
    return _FOLD.sub("_", name.decode("latin-1")).upper()


def is_managed(name: bytes) -> bool:
    """Whether this name, or what it folds to, is ours to set."""
    folded = fold(name)
    return folded in _MANAGED_NAMES or folded.startswith(_MANAGED_FAMILIES)


def find_canonical_name(name: bytes) -> bytes | None:
    """The name in lower case; None for one to drop. Raises PeerError(400) for an alias of a managed name."""
    if _NAME.fullmatch(name):
        return name.lower()
    if is_managed(name):
        raise PeerError(400, f"header name {name.decode('latin-1')!r} imitates one that only the proxy may set")
    return None


@lru_cache(maxsize=2048)
def parse_host(value: bytes) -> str:
    """A Host header's value in canonical form: lower case, no trailing dot, no default port. Raises PeerError(400)."""
    match = _HOST.fullmatch(value.decode("latin-1").lower())
    if match is None or len(value) > _MAX_HOST:
        raise PeerError(400, f"host {value.decode('latin-1')!r} is not a host name with an optional port")
    port = match["port"]
    if not port or port in _DEFAULT_PORTS:
        return match["name"]
    return f"{match['name']}:{int(port)}"


def host_name(host: str) -> str:
    """A canonical host without its port."""
    if host.endswith("]"):
        return host
    name, _, port = host.rpartition(":")
    return name if name and port.isdigit() else host


def safe_value(text: str) -> bytes:
    """Text as a header value: UTF-8, with every control character as a space, so that nothing can split a head."""
    return _UNSAFE.sub(b" ", text.encode("utf-8", "replace")).strip()


def encode_head(status: int, headers: Headers) -> bytes:
    """A response's head, the empty line included."""
    lines = [b"HTTP/1.1 %d %s\r\n" % (status, _REASONS.get(status, b"Unknown"))]
    lines += [b"%s: %s\r\n" % header for header in headers]
    lines.append(b"\r\n")
    return b"".join(lines)


def encode_request_head(method: bytes, target: bytes, headers: Headers) -> bytes:
    """A request's head, the empty line included."""
    lines = [b"%s %s HTTP/1.1\r\n" % (method, target)]
    lines += [b"%s: %s\r\n" % header for header in headers]
    lines.append(b"\r\n")
    return b"".join(lines)


def encode_chunk(data: bytes) -> bytes:
    """One chunk (RFC 9112 7.1); empty data would end the body, so it encodes to nothing."""
    return b"%x\r\n%s\r\n" % (len(data), data) if data else b""


LAST_CHUNK = b"0\r\n\r\n"
