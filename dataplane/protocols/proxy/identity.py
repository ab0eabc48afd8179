"""Who someone is, as headers. Names to the letter.

They stand in our answer, for the proxy in front to copy, or in what goes on to an application.

Values are made safe, never refused: a display name must not decide whether its owner gets in, nor end a header.
"""

from typing import NamedTuple

from dataplane.gate import Identity, ProxySession
from dataplane.protocols.proxy.authorization import write_basic
from dataplane.protocols.proxy.messages import Headers
from dataplane.protocols.proxy.wire import HOP_BY_HOP, find_canonical_name, is_managed, safe_value
from dataplane.sansio import PeerError

# What frames or steers an HTTP answer can't be a person's attribute.
_RESERVED = HOP_BY_HOP | {
    b"content-length", b"content-type", b"content-encoding", b"date", b"location", b"set-cookie", b"www-authenticate",
    b"cache-control", b"status",
}  # fmt: skip


_OURS_TO_FRAME = frozenset({b"expect", b"via", b"max-forwards"})
"""What `additionalHeaders` can't set in a request."""

AUTHORIZATION = b"Authorization"
_PERSONAL = (b"username", b"groups", b"entitlements", b"email", b"name", b"uid", b"jwt")
NOBODY: Headers = tuple((b"X-authentik-" + name, b"") for name in _PERSONAL)
"""On paths that need no sign-in. Empty rather than missing: Envoy and Caddy only ever overwrite a header, so a client's
own would stay, and Caddy 2.6 passes the placeholder itself on for one that the answer lacks."""


def identity_headers(session: ProxySession) -> Headers:
    """The headers of a person and a session; application-wide ones are `meta_headers`."""
    person = session.identity
    return (
        (b"X-authentik-username", safe_value(person.username)),
        (b"X-authentik-groups", safe_value("|".join(person.groups))),
        (b"X-authentik-entitlements", safe_value("|".join(person.entitlements))),
        (b"X-authentik-email", safe_value(person.email)),
        (b"X-authentik-name", safe_value(person.name)),
        (b"X-authentik-uid", safe_value(person.subject)),
        (b"X-authentik-jwt", safe_value(session.id_token)),
        *_additional(person),
    )


def authorization_header(session: ProxySession) -> Headers:
    """What the application is sent in place of the client's own Authorization; empty for nothing.

    One of `additionalHeaders` comes first. Empty rather than missing: then nothing of the client's own stays.
    """
    if any(name.lower() == "authorization" for name, _ in session.identity.additional_headers):
        return ()
    return ((AUTHORIZATION, write_basic(session.basic) if session.basic else b""),)


def meta_headers(values: dict[str, str]) -> Headers:
    """X-authentik-meta-* for `values`."""
    return tuple((f"X-authentik-meta-{name}".encode(), safe_value(value)) for name, value in values.items())


def _additional(person: Identity) -> Headers:
    return tuple(
        (name.encode(), safe_value(value)) for name, value in person.additional_headers if is_settable_header(name)
    )


class Introduction(NamedTuple):
    """The lines about somebody that an application gets, and the names of a client that may not stand beside them."""

    lines: bytes
    left_out: frozenset[bytes]


def introduce(headers: Headers) -> Introduction:
    """What an application behind us is told. An empty Authorization: nothing is sent in place of the client's."""
    told = [header for header in headers if header[0].lower() not in _OURS_TO_FRAME]
    lines = [b"%s: %s\r\n" % header for header in told if header != (AUTHORIZATION, b"")]
    return Introduction(b"".join(lines), frozenset(name.lower() for name, _ in told))


def is_settable_header(name: str) -> bool:
    """Whether `additionalHeaders` may set this header."""
    try:
        canonical = find_canonical_name(name.encode())
    except PeerError:
        return False
    if canonical is None or canonical in _RESERVED:
        return False
    # Authorization is the one managed name that people do set: it signs them in at the application.
    return canonical == b"authorization" or not is_managed(canonical)
