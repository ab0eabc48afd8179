"""Time-based one-time passwords, RFC 6238 over RFC 4226: SHA-1, 30 seconds, 6 digits, as every app knows them. Pure.

Who may use which code, and how often, is control.auth.factors' to say.
"""

import hmac
import secrets
from base64 import b32encode
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlencode

from control.auth.codes import grouped

STEP = timedelta(seconds=30)
DIGITS = 6
# RFC 4226 section 4, R6: 160 bits are recommended.
SECRET_BYTES = 20
# RFC 6238 section 5.2: one step back for what is on its way; one ahead for clocks that are.
_NEARBY = (-1, 0, 1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def new_secret() -> bytes:
    """The secret of an app to be."""
    return secrets.token_bytes(SECRET_BYTES)


def step_of(when: datetime) -> int:
    """The time step that a moment lies in: 30 s each since 1970 (RFC 6238 section 4.2)."""
    return (when - _EPOCH) // STEP


def code_at(secret: bytes, step: int, digits: int = DIGITS) -> str:
    """The code of one time step (RFC 4226 section 5.3)."""
    mac = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
    offset = mac[-1] & 0x0F
    number = int.from_bytes(mac[offset : offset + 4], "big") & 0x7FFF_FFFF
    return str(number % 10**digits).zfill(digits)


def find_step(secret: bytes, code: str, now: datetime, after: int = 0) -> int | None:
    """The step later than `after` and at most one away from now whose code it is; the time it takes tells nothing."""
    current, found = step_of(now), None
    for step in (current + away for away in _NEARBY):
        fits = hmac.compare_digest(code_at(secret, step).encode(), code.encode("utf-8", "surrogatepass"))
        if fits and step > after:
            found = step
    return found


def secret_text(secret: bytes) -> str:
    """The secret as people type it into an app: base32 (RFC 4648 section 6) in groups of four."""
    return grouped(_base32(secret))


def otpauth_uri(issuer: str, account: str, secret: bytes) -> str:
    """The Key URI that apps read from a QR code, with the issuer both in the label and beside it.

    https://github.com/google/google-authenticator/wiki/Key-Uri-Format: neither name may hold a colon, and a space is
    `%20` everywhere, as some apps take a plus by the letter.
    """
    issuer, account = issuer.replace(":", " "), account.replace(":", " ")
    values = {
        "secret": _base32(secret),
        "issuer": issuer,
        "algorithm": "SHA1",
        "digits": str(DIGITS),
        "period": str(int(STEP.total_seconds())),
    }
    return f"otpauth://totp/{quote(issuer, safe='')}:{quote(account, safe='@')}?{urlencode(values, quote_via=quote)}"


def _base32(secret: bytes) -> str:
    return b32encode(secret).decode().rstrip("=")
