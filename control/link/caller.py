"""Who calls: from the client certificate to the outpost it speaks for, or why it may not.

TLS has made sure, when the connection began, that the certificate was good. Here it is asked whether it still is,
since connections last, and whether the token behind it proves anything yet. Checked at the start of a stream, on every
new revision, and on each unary call.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from urllib.parse import unquote
from uuid import UUID

import grpc
from cryptography import x509
from sqlalchemy.exc import SQLAlchemyError

from control.domain.errors import NotFound
from control.domain.outpost import Outpost, Token
from control.domain.security import Authority
from control.fleet.authority import Client, find_client, key_identifier, trusted
from control.fleet.snapshot import Facts
from control.fleet.tokens import TokenState, token_state
from control.store import Unit

log = logging.getLogger("control.link")


class Objection(StrEnum):
    """Why a caller may not call; the label of the metric."""

    NO_CLIENT = "no_client"
    UNKNOWN_OUTPOST = "unknown_outpost"
    UNKNOWN_TOKEN = "unknown_token"
    REVOKED_TOKEN = "revoked_token"
    EXPIRED_TOKEN = "expired_token"
    EXPIRED_CERTIFICATE = "expired_certificate"
    RETIRED_AUTHORITY = "retired_authority"


EXPLAINED = {
    Objection.NO_CLIENT: "the certificate names no outpost of this installation",
    Objection.UNKNOWN_OUTPOST: "the outpost does not exist any more",
    Objection.UNKNOWN_TOKEN: "the token the certificate was given for does not exist any more",
    Objection.REVOKED_TOKEN: "the token the certificate was given for was revoked or replaced",
    Objection.EXPIRED_TOKEN: "the token the certificate was given for has expired",
    Objection.EXPIRED_CERTIFICATE: "the certificate has expired",
    Objection.RETIRED_AUTHORITY: "the authority that signed the certificate has retired",
}


class CallRefused(Exception):
    """A call that is not served: the status that says so, and the label of the metric."""

    def __init__(self, code: grpc.StatusCode, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason


def unanswered(error: Exception) -> CallRefused:
    """What to say of a failure within; gRPC itself would tell the peer all about it."""
    match error:
        case CallRefused():
            return error
        case NotFound():
            return CallRefused(grpc.StatusCode.NOT_FOUND, "not_found", str(error))
        case SQLAlchemyError():
            log.warning("the database did not answer", extra={"reason": type(error).__name__})
            return CallRefused(grpc.StatusCode.UNAVAILABLE, "database", "control's database does not answer")
        case _:
            log.error("a call failed", exc_info=error)
            return CallRefused(grpc.StatusCode.INTERNAL, "internal", "control failed")


def get_client(auth_context: Mapping[str, Iterable[bytes]]) -> Client:
    """Whom the peer's certificate speaks for. Raises CallRefused."""
    names = (name.decode("utf-8", "replace") for name in auth_context.get("x509_subject_alternative_name", ()))
    client = next((found for found in map(find_client, names) if found is not None), None)
    certificate = next(iter(auth_context.get("x509_pem_cert", ())), None)
    if client is None or certificate is None:
        raise refused(Objection.NO_CLIENT)
    issuer, expires = _bounds(certificate)
    return replace(client, issuer=issuer, expires=expires)


@lru_cache(maxsize=4096)
def _bounds(certificate: bytes) -> tuple[bytes, datetime]:
    """The key that signed a certificate and when it ends. TLS has found the issuer by that name of its key."""
    parsed = x509.load_pem_x509_certificate(certificate)
    try:
        issuer = parsed.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except (x509.ExtensionNotFound, ValueError):
        # None that we made.
        issuer = None
    return issuer or b"", parsed.not_valid_after_utc


def refused(objection: Objection) -> CallRefused:
    """The exception that says so."""
    return CallRefused(grpc.StatusCode.UNAUTHENTICATED, objection, EXPLAINED[objection])


def get_outpost(unit: Unit, client: Client) -> Outpost:
    """The outpost the client speaks for, if its token is still good. Raises CallRefused."""
    outpost = unit.outposts.find(client.outpost)
    objection = _objection(outpost, unit.tokens.find(client.token), unit.now)
    objection = objection or _to_certificate(client, unit.authorities.all(), unit.now)
    if outpost is None or objection is not None:
        raise refused(objection or Objection.UNKNOWN_OUTPOST)
    return outpost


def find_objection(facts: Facts, client: Client, now: datetime) -> Objection | None:
    """What speaks against a client that was welcome before."""
    objection = _objection(facts.outposts.get(client.outpost), facts.tokens.get(client.token), now)
    return objection or _to_certificate(client, facts.authorities, now)


def require_provider(served: Iterable[UUID], provider: UUID | None) -> UUID:
    """The provider, if it is one of those the outpost serves. Raises CallRefused."""
    if provider is None or provider not in served:
        message = "the provider is not one of this outpost's"
        raise CallRefused(grpc.StatusCode.PERMISSION_DENIED, "out_of_scope", message)
    return provider


def peer_address(peer: str) -> str:
    """The address in gRPC's name of a peer: `ipv4:192.0.2.1:5000`, `ipv6:%5B::1%5D:5000`."""
    _, _, rest = unquote(peer).partition(":")
    return rest.rpartition(":")[0].strip("[]")


def _objection(outpost: Outpost | None, token: Token | None, now: datetime) -> Objection | None:
    if outpost is None:
        return Objection.UNKNOWN_OUTPOST
    if token is None or token.user != outpost.service_account:
        return Objection.UNKNOWN_TOKEN
    match token_state(token, now):
        case TokenState.REVOKED:
            return Objection.REVOKED_TOKEN
        case TokenState.EXPIRED:
            return Objection.EXPIRED_TOKEN
        case TokenState.VALID:
            return None


def _to_certificate(client: Client, authorities: Iterable[Authority], now: datetime) -> Objection | None:
    if client.expires is None or client.expires <= now:
        return Objection.EXPIRED_CERTIFICATE
    known = {key_identifier(each.certificate) for each in trusted(authorities, now)}
    return None if client.issuer in known else Objection.RETIRED_AUTHORITY
