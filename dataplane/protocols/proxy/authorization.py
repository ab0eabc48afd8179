"""The Authorization header: what a client brings to prove who it is, and what an application is sent. Pure.

Whatever has more than one reading counts for nothing: base64 other than the one spelling (RFC 4648 section 3.5), text
other than UTF-8 (RFC 7617 section 2.1, as our challenge says), control characters, lists of credentials.
"""

import base64
import binascii
import re
from dataclasses import dataclass

from dataplane.gate import BasicCredentials, BearerToken, PasswordCredentials

TOKEN_USER = "goauthentik.io/token"  # a name, by which authentik's clients say that a token follows
"""A user whose password is a token, for clients that speak Basic alone."""

# RFC 9110 section 11.2.
_TOKEN68 = re.compile(rb"[A-Za-z0-9._~+/-]+=*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_UNSAFE_IN_REALM = re.compile(r'[^\x20-\x7e]|["\\]')


@dataclass(frozen=True, slots=True)
class Unusable:
    """What we can't go by: another scheme, or nothing well-formed. `is_bearer`: what was meant to be a token."""

    is_bearer: bool = False


Given = PasswordCredentials | BearerToken | Unusable


def read_authorization(value: bytes) -> Given:
    """What the header says (RFC 9110 section 11.4): one scheme in any case, spaces, and the rest as it is."""
    scheme, _, rest = value.strip(b" \t").partition(b" ")
    rest = rest.lstrip(b" ")
    match scheme.lower():
        case b"basic":
            return _read_basic(rest)
        case b"bearer":
            # RFC 6750 section 2.1.
            return BearerToken(rest.decode("ascii")) if _TOKEN68.fullmatch(rest) else Unusable(is_bearer=True)
    return Unusable()


def _read_basic(token: bytes) -> Given:
    """RFC 7617 section 2: the name ends at the first colon, and what is behind that is the password, colons and all."""
    try:
        raw = base64.b64decode(token, validate=True)
        text = raw.decode()
    except (binascii.Error, ValueError):
        return Unusable()
    username, colon, password = text.partition(":")
    if base64.b64encode(raw) != token or not colon or not username or not password or _CONTROL.search(text):
        return Unusable()
    if username == TOKEN_USER:
        return BearerToken(password)
    return PasswordCredentials(username=username, password=password)


def write_basic(credentials: BasicCredentials) -> bytes:
    """The header's value for an application."""
    return b"Basic " + base64.b64encode(f"{credentials.username}:{credentials.password}".encode())


def challenge(realm: str, *, is_bearer: bool) -> tuple[tuple[bytes, bytes], ...]:
    """What to bring instead (RFC 9110 section 11.6.1). Basic comes first: nginx passes on but one."""
    shown = _UNSAFE_IN_REALM.sub("?", realm).encode()
    basic = (b"WWW-Authenticate", b'Basic realm="%s", charset="UTF-8"' % shown)
    bearer = (b"WWW-Authenticate", b'Bearer realm="%s", error="invalid_token"' % shown)
    return (basic, bearer) if is_bearer else (basic,)
