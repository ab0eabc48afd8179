"""Request targets, in the forms that are served (RFC 9112 section 3.2). Pure."""

from dataplane.protocols.proxy.wire import parse_host
from dataplane.sansio import PeerError


def checked_target(target: bytes) -> bytes:
    """A target in origin form. Raises PeerError(400)."""
    if b"#" in target:
        raise PeerError(400, "a fragment in the request target")
    return target


def absolute_form(target: bytes) -> tuple[bytes, str]:
    """RFC 9112 3.2.2: the target in origin form, and the authority. Raises PeerError(400)."""
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in {b"http", b"https"}:
        raise PeerError(400, "the request target is neither a path nor an http URL")
    authority, slash, path = rest.partition(b"/")
    if b"?" in authority:
        raise PeerError(400, "the request target has no path")
    return checked_target(slash + path or b"/"), parse_host(authority)
