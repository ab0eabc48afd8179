"""The tokens outposts prove themselves with, and the service accounts that hold them.

A token is an opaque random secret, so its fingerprint names it without telling it. A token that is replaced or
revoked keeps its row: whoever still uses it can be told so, and proven that it is us who says it.
"""

from base64 import urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from secrets import token_bytes
from uuid import UUID, uuid4

from control.domain.errors import NotFound
from control.domain.identity import User, UserKind
from control.domain.outpost import Outpost, OutpostType, Token
from control.store import Unit

SECRET_BYTES = 32
EMBEDDED_NAME = "Embedded outpost"


class TokenState(StrEnum):
    """Whether a token proves anything."""

    VALID = "valid"
    REVOKED = "revoked"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentIdentity:
    """What a deployment of an outpost acts as."""

    account: User
    token: Token


def new_secret() -> str:
    """A new token's text: 256 random bits as base64url."""
    return urlsafe_b64encode(token_bytes(SECRET_BYTES)).rstrip(b"=").decode()


def fingerprint(secret: str) -> str:
    """What names a token without telling it."""
    return sha256(b"garrison token id\0" + secret.encode()).hexdigest()


def token_state(token: Token, now: datetime) -> TokenState:
    """Whether the token proves anything now."""
    if token.revoked is not None:
        return TokenState.REVOKED
    expired = token.expires is not None and token.expires <= now
    return TokenState.EXPIRED if expired else TokenState.VALID


def create_deployment_identity(unit: Unit, outpost: UUID, name: str) -> DeploymentIdentity:
    """Make the service account and the token of an outpost that is about to be created under that id."""
    account = unit.users.add(
        User(
            id=uuid4(),
            username=f"ak-outpost-{outpost.hex}",
            name=f"Outpost {name} service account",
            kind=UserKind.OUTPOST,
            created=unit.now,
            updated=unit.now,
        )
    )
    token = add_token(unit, account.id, outpost, name)
    return DeploymentIdentity(account=account, token=token)


def remove_deployment_identity(unit: Unit, account: UUID) -> None:
    """Remove the service account of an outpost that was removed, and all its tokens."""
    for token in unit.tokens.of_user(account):
        unit.tokens.remove(token)
    unit.users.remove(unit.users.get(account))


def valid_tokens(tokens: Iterable[Token], now: datetime) -> tuple[Token, ...]:
    """Those that prove something, the newest first."""
    valid = (token for token in tokens if token_state(token, now) is TokenState.VALID)
    return tuple(sorted(valid, key=lambda token: token.created, reverse=True))


def find_token(unit: Unit, outpost: Outpost) -> Token | None:
    """The token in force: the newest that is valid."""
    return next(iter(valid_tokens(unit.tokens.of_user(outpost.service_account), unit.now)), None)


def get_token(unit: Unit, outpost: Outpost) -> Token:
    """The token in force. Raises NotFound."""
    token = find_token(unit, outpost)
    if token is None:
        raise NotFound("token", outpost.name)
    return token


def replace_token(unit: Unit, outpost: Outpost) -> Token:
    """Give the outpost a new token; every earlier one is revoked at once, as for one that has leaked."""
    for token in unit.tokens.of_user(outpost.service_account):
        revoke_token(unit, token)
    return add_token(unit, outpost.service_account, outpost.id, outpost.name)


def add_token(unit: Unit, account: UUID, outpost: UUID, name: str) -> Token:
    """A new token of the outpost, the newest of all; an earlier one gives up the identifier."""
    identifier = f"ak-outpost-{outpost}-api"
    known = unit.tokens.of_user(account)
    for token in known:
        if token.identifier == identifier:
            unit.tokens.update(replace(token, identifier=f"{identifier}-{token.fingerprint[:12]}"))
    secret = new_secret()
    return unit.tokens.add(
        Token(
            id=uuid4(),
            identifier=identifier,
            user=account,
            fingerprint=fingerprint(secret),
            secret=secret,
            description=f"Token of outpost {name}",
            # Which one is the newest must not depend on whose clock was right.
            created=max([unit.now, *(token.created + timedelta(microseconds=1) for token in known)]),
        )
    )


def revoke_token(unit: Unit, token: Token) -> Token:
    """Revoke the token, if it isn't yet."""
    if token.revoked is not None:
        return token
    return unit.tokens.update(replace(token, revoked=unit.now))


def ensure_embedded(unit: Unit) -> Outpost:
    """The embedded outpost, made with its account and token when there is none yet."""
    existing = unit.outposts.find_embedded()
    if existing is not None:
        return existing
    key = uuid4()
    identity = create_deployment_identity(unit, key, EMBEDDED_NAME)
    return unit.outposts.add(
        Outpost(
            id=key,
            name=EMBEDDED_NAME,
            type=OutpostType.PROXY,
            service_account=identity.account.id,
            embedded=True,
            created=unit.now,
        )
    )
