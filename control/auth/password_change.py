"""People change their own password by a protocol (RFC 3062): an outpost asks for who is bound to it.

Who may sign in at the provider's application may do so, by the password that they sign in with there: no app password,
since whoever has that has a device, not the account. Which second factor there was, the bind has asked. The caller has
checked that the provider is one of the outpost's.
"""

import secrets
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import UUID

from control.auth import factors
from control.auth.attempts import split
from control.auth.lockout import NAMES, Suspect, place_of, stand_in
from control.auth.own_password import Answer, Change, Done, Forbidden, OwnPassword, TooOften, Wish, Wrong
from control.auth.passwords import Busy, Passwords
from control.auth.people_rules import composed
from control.domain.application import LdapProvider
from control.domain.decision import Allow, Channel
from control.domain.errors import Invalid
from control.domain.grant import PasswordRefusal, PasswordRefused, PasswordSet
from control.domain.identity import User
from control.domain.policy import decide
from control.store import Actor, Store, Unit

# Of a password that control thinks of: 160 bits as 27 characters.
_RANDOM_BYTES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeAsked:
    """What an outpost asks for somebody: where, by which protocol, what was typed. Without `wanted` one is made up."""

    provider: UUID
    channel: Channel
    username: str
    present: str = field(repr=False)
    wanted: str = field(repr=False)
    address: str
    request_id: str = ""


def change_password(
    store: Store, passwords: Passwords, caller: Actor, asked: ChangeAsked
) -> PasswordSet | PasswordRefused:
    """Set the new password for whoever knows the present one; every session of the person ends."""
    actor = replace(caller, address=asked.address, request_id=asked.request_id)
    generated = "" if asked.wanted else secrets.token_urlsafe(_RANDOM_BYTES)
    with store.read() as unit:
        provider = unit.ldap_providers.find(asked.provider)
        if provider is None or asked.channel is not Channel.LDAP:
            return PasswordRefused(reason=PasswordRefusal.ACCESS_DENIED)
        wish = _wish(unit, asked, provider, asked.wanted or generated)
    change = Change(store, passwords, actor, lambda unit, user: _may_enter(unit, asked.provider, user))
    try:
        return _told(change.carry_out(wish), generated)
    except Invalid:
        return PasswordRefused(reason=PasswordRefusal.UNSUITABLE)
    except Busy as busy:
        return PasswordRefused(reason=PasswordRefusal.BUSY, retry_after=timedelta(seconds=busy.retry_after))


def _told(answer: Answer, generated: str) -> PasswordSet | PasswordRefused:
    match answer:
        case Done():
            return PasswordSet(generated=generated)
        case Wrong():
            return PasswordRefused(reason=PasswordRefusal.INVALID_CREDENTIALS)
        case TooOften(wait=wait):
            return PasswordRefused(reason=PasswordRefusal.LOCKED_OUT, retry_after=wait)
        case Forbidden():
            return PasswordRefused(reason=PasswordRefusal.ACCESS_DENIED)


def _wish(unit: Unit, asked: ChangeAsked, provider: LdapProvider, new: str) -> Wish:
    """The first look: the same statements whoever is meant. A code behind the password was the bind's."""
    user = unit.users.find_named(composed(asked.username))
    subject = user.id if user is not None else stand_in(unit.sealer.derive(NAMES), asked.username)
    has_codes = factors.has_second_factor(unit, subject) and provider.mfa_support
    present = split(asked.present)[0] if has_codes else asked.present
    return Wish(
        user=user,
        suspect=Suspect(user=subject, name=asked.username, place=place_of(asked.address)),
        typed=OwnPassword(present=present, new=new),
    )


def _may_enter(unit: Unit, provider: UUID, user: User) -> bool:
    application = unit.applications.find_for_provider(provider)
    if application is None:
        return False
    rules = unit.bindings.of_application(application.id)
    return isinstance(decide(unit.memberships.person(user), application, rules), Allow)
