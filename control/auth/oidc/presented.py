"""ID tokens of ours that programs present as credentials: who they speak of, to which client, until when.

A token counts for the client it was made for and nobody else (OpenID Connect Core 1.0 section 3.1.3.7). Only the header
that we write is one (RFC 8725 section 3.1): anybody may send any text, so nothing is done by what a header asks for.
"""

import binascii
import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from joserfc import jwt
from joserfc.errors import JoseError

from control.auth.oidc.keys import ALGORITHM, TYPE, signer
from control.auth.oidc.tokens import moment_of
from control.domain.factors import Method
from control.domain.security import SigningKey

LONGEST_TOKEN = 65_536
# Ours have 120 letters; so few nest no deeper than JSON is read.
LONGEST_HEADER = 256
_PARTS = 3
_TEXT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """What a token of ours says. `dated` is the moment its session counts from."""

    issuer: str
    audience: str
    subject: UUID
    session: UUID
    issued: datetime
    dated: datetime
    expires: datetime
    words: tuple[str, ...]

    @property
    def methods(self) -> tuple[Method, ...]:
        """What the person proved to be by, as far as `amr` tells: it doesn't tell kinds of passwords or codes apart."""
        return (Method.PASSWORD, Method.ONE_TIME_CODE) if "otp" in self.words else (Method.PASSWORD,)


def looks_like_token(text: str) -> bool:
    """Whether it may be a JWS in compact form (RFC 7515 section 7.1)."""
    return len(text) <= LONGEST_TOKEN and text.isascii() and text.count(".") == _PARTS - 1


def find_presented(text: str, keys: Iterable[SigningKey]) -> Presented | None:
    """What the token says, if one of these keys signed it; it may have expired."""
    kid = _find_key_id(text)
    key = next((known for known in map(signer, keys) if known.kid == kid), None) if kid else None
    if key is None:
        return None
    try:
        token = jwt.decode(text, key, algorithms=[ALGORITHM])
    except (JoseError, ValueError):
        return None
    claims = token.claims
    return Presented(
        issuer=claims["iss"],
        audience=claims["aud"],
        subject=UUID(claims["sub"]),
        session=UUID(claims["sid"]),
        issued=datetime.fromtimestamp(claims["iat"], UTC),
        dated=moment_of(claims),
        expires=datetime.fromtimestamp(claims["exp"], UTC),
        words=_words(claims.get("amr", ())),
    )


def _find_key_id(text: str) -> str | None:
    """The key that a token with our header says it was signed by."""
    header = text.partition(".")[0]
    if len(header) > LONGEST_HEADER or not _TEXT.fullmatch(text):
        return None
    try:
        said = json.loads(urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    except (binascii.Error, ValueError):
        return None
    if not isinstance(said, dict) or said.keys() != {"alg", "typ", "kid"}:
        return None
    is_ours = (said["alg"], said["typ"]) == (ALGORITHM, TYPE) and isinstance(said["kid"], str)
    return said["kid"] if is_ours else None


def _words(amr: Collection[str]) -> tuple[str, ...]:
    return tuple(amr)
