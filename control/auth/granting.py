"""What an outpost is given for credentials that were let in: a session as if signed in, and what goes with it.

The session's bounds are those of a sign-in at that provider, or of what was proved by where that ends sooner.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from control.auth.attempts import Attempt, Given, TokenGiven
from control.auth.oidc.tokens import TokenSubject
from control.auth.sessions import Origin
from control.domain.application import LDAP_SESSION, Application, LdapProvider, Provider, ProxyProvider
from control.domain.decision import Admitted, Channel
from control.domain.factors import SECOND_FACTORS
from control.domain.grant import IssuedSession, identity_of
from control.store import Actor, Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What an outpost asks of somebody: at which provider, by which protocol, with what, from where."""

    provider: UUID
    channel: Channel
    given: Given
    address: str
    request_id: str = ""
    dialogue: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """Come in. `attributes` are the merged ones of the person; one that is not `lasting` is not to be kept."""

    session: IssuedSession
    attributes: Mapping[str, Any] = field(repr=False)
    lasting: bool


def attempt_of(asked: Asked, caller: Actor, application: Application | None, provider: Provider | None) -> Attempt:
    """The question in the words of whoever decides: the outpost acts, from where the person is."""
    return Attempt(
        channel=asked.channel,
        given=asked.given,
        origin=Origin(address=asked.address, request_id=asked.request_id),
        application=application.id if application is not None else None,
        dialogue=asked.dialogue,
        actor=Actor(name=caller.name, address=asked.address, request_id=asked.request_id),
        takes_codes=provider.mfa_support if isinstance(provider, LdapProvider) else True,
    )


def is_lasting(given: Given, admitted: Admitted) -> bool:
    """Whether the same credentials would be let in again: a code of a second factor is good once."""
    return isinstance(given, TokenGiven) or not SECOND_FACTORS & set(admitted.methods)


def bound(unit: Unit, admitted: Admitted) -> IssuedSession:
    """What comes of a bind: who it is, without attributes and without a token. It counts for LDAP_SESSION at most."""
    ends = unit.now + LDAP_SESSION
    return IssuedSession(
        id=admitted.session,
        identity=identity_of(admitted.person, is_proxied=False),
        authenticated=unit.moments.of_session(),
        expires=min(ends, admitted.expires) if admitted.expires is not None else ends,
        clock=unit.now,
        id_token="",
    )


def subject_of(
    unit: Unit, given: Given, admitted: Admitted, application: Application, provider: ProxyProvider
) -> TokenSubject:
    """What the session's ID token is to say; the moment it counts from is taken here."""
    ends = unit.now + provider.access_token_validity
    return TokenSubject(
        person=admitted.person,
        session=admitted.session,
        authenticated=_authenticated(unit, given, admitted),
        methods=admitted.methods,
        provider=provider,
        application=application,
        nonce="",
        issued=unit.now,
        dated=unit.moments.of_session(),
        expires=min(ends, admitted.expires) if admitted.expires is not None else ends,
    )


def _authenticated(unit: Unit, given: Given, admitted: Admitted) -> datetime | None:
    """When the person proved to be, where that is known: now, but for an ID token, whose sign-in knows."""
    if isinstance(given, TokenGiven) and admitted.app_password is None:
        sign_in = unit.sign_ins.find(admitted.session)
        return sign_in.authenticated if sign_in is not None else None
    return unit.now
