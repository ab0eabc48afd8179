"""What a change means for sessions that outposts hold: pure, from the change and who it touches.

Nobody who edits a user has to remember to revoke something; the unit of work asks here for every change.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from control.domain.application import Application, Binding, ProxyProvider
from control.domain.factors import AppPassword, Authenticator
from control.domain.identity import Group, User
from control.domain.security import SignIn
from control.store.changes import AllSessions, Change, Membership

SIGNED_IN_BY = {"active", "password_hash"}
IDENTITY = {"username", "name", "email", "attributes"}
BASIC_AUTH = {"basic_auth_enabled", "basic_auth_user_attribute", "basic_auth_password_attribute"}


@dataclass(frozen=True, slots=True)
class SignInEnded:
    """Every session at an outpost born of this sign-in, or opened by this app password, is over."""

    sign_in: UUID


@dataclass(frozen=True, slots=True)
class UserEnded:
    """Every session of this user is over."""

    user: UUID


@dataclass(frozen=True, slots=True)
class UserChanged:
    """The user's identity or access is another now."""

    user: UUID


@dataclass(frozen=True, slots=True)
class GroupChanged:
    """The same for all who are in the group or below it."""

    group: UUID


@dataclass(frozen=True, slots=True)
class GroupRemoved:
    """The same for all who are in the group or below it, who won't be found there afterwards."""

    group: UUID


@dataclass(frozen=True, slots=True)
class FactorAsked:
    """All who are in the group or below it have to use a second factor, which those with sessions may not have done."""

    group: UUID


@dataclass(frozen=True, slots=True)
class Nested:
    """The group has come below these, and with it all who are in it or below it."""

    group: UUID
    parents: frozenset[UUID]


@dataclass(frozen=True, slots=True)
class Joined:
    """The user has come into the group."""

    user: UUID
    group: UUID


@dataclass(frozen=True, slots=True)
class ProviderEnded:
    """Sessions at this provider have to be decided anew."""

    provider: UUID


@dataclass(frozen=True, slots=True)
class RulesChanged:
    """Who may use this application is decided anew."""

    application: UUID


OfGroup = GroupChanged | GroupRemoved | FactorAsked | Nested | Joined
Consequence = SignInEnded | UserEnded | UserChanged | OfGroup | ProviderEnded | RulesChanged


def consequences(change: Change) -> Iterable[Consequence]:
    """What follows from one change for sessions at outposts."""
    match change.before or change.after:
        case User(id=user):
            yield from _of_user(user, change)
        case Group(id=group):
            yield from _of_group(group, change)
        case Membership() as membership:
            yield from _of_membership(membership, change)
        case AllSessions(user=user):
            yield UserEnded(user)
        case Authenticator(user=user) if "confirmed" in change.changed:
            # From now on the password alone is not enough, so what outposts keep of it counts no more.
            yield UserChanged(user)
        case Binding(application=application):
            yield RulesChanged(application)
        case Application():
            yield from _of_application(change)
        case ProxyProvider(id=provider) if _lasts_longer(change) or _sends_other_credentials(change):
            yield ProviderEnded(provider)
        case SignIn(id=sign_in) | AppPassword(id=sign_in) if change.after is None:
            yield SignInEnded(sign_in)
        case _:
            pass


def _of_user(user: UUID, change: Change) -> Iterable[Consequence]:
    changed = set(change.changed)
    removed = change.before is not None and change.after is None
    if removed or changed & SIGNED_IN_BY:
        yield UserEnded(user)
    elif changed & IDENTITY:
        yield UserChanged(user)


def _of_membership(membership: Membership, change: Change) -> Iterable[Consequence]:
    yield UserChanged(membership.user)
    if change.before is None:
        yield Joined(membership.user, membership.group)


def _of_group(group: UUID, change: Change) -> Iterable[Consequence]:
    before, after = change.before, change.after
    if before is None:
        # Nobody is in it yet.
        return
    if after is None:
        yield GroupRemoved(group)
        return
    yield GroupChanged(group)
    if after.second_factor and not before.second_factor:
        yield FactorAsked(group)
    if after.parents - before.parents:
        yield Nested(group, after.parents - before.parents)


def _of_application(change: Change) -> Iterable[Consequence]:
    if {"provider", "policy_mode", "second_factor"} & set(change.changed) or change.after is None:
        for application in (change.before, change.after):
            if application is not None and application.provider is not None:
                yield ProviderEnded(application.provider)


def _lasts_longer(change: Change) -> bool:
    """Whether sessions thought to be over would come back, and with them what had ended or changed them."""
    if change.before is None or change.after is None:
        return False
    return bool(change.after.access_token_validity > change.before.access_token_validity)


def _sends_other_credentials(change: Change) -> bool:
    """Whether sessions hold what their application is no more to be sent, or lack what it is to be."""
    return bool(BASIC_AUTH & set(change.changed)) and change.after is not None and change.after.basic_auth_enabled
