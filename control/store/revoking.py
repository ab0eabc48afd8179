"""What the changes of one unit of work mean for sessions, gathered as they happen and resolved in bulk at the end.

Resolving late is exact, since each way out of a group (a membership, a parent or a group that goes) is a change of its
own and touches whoever took it. Who has not signed in for as long as sessions last, or never, has none that could
change: a group of thousands is no news to outposts where few of them go.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import assert_never
from uuid import UUID, uuid4

from control.domain.application import LDAP_SESSION
from control.domain.security import SIGN_IN_LIFETIME, Revocation
from control.store.catalogue import Applications, ProxyProviders
from control.store.changes import Change
from control.store.consequences import (
    Consequence,
    FactorAsked,
    GroupChanged,
    GroupRemoved,
    Joined,
    Nested,
    OfGroup,
    ProviderEnded,
    RulesChanged,
    SignInEnded,
    UserChanged,
    UserEnded,
    consequences,
)
from control.store.moments import Moments
from control.store.people import Groups, Memberships, Users

# Between the end of a sign-in and that of the codes given under it; and how far the clock of an outpost may be behind.
SLACK = timedelta(minutes=15)


@dataclass(slots=True)
class _Touched:
    """Ids of what was touched, each once."""

    sign_ins: set[UUID] = field(default_factory=set)
    ended_users: set[UUID] = field(default_factory=set)
    changed_users: set[UUID] = field(default_factory=set)
    changed_groups: set[UUID] = field(default_factory=set)
    # Those whose members have to use a second factor from now on; and who came into or below what may ask for one.
    asking_groups: set[UUID] = field(default_factory=set)
    joined: set[tuple[UUID, UUID]] = field(default_factory=set)
    nested: set[tuple[UUID, UUID]] = field(default_factory=set)
    providers: set[UUID] = field(default_factory=set)
    applications: set[UUID] = field(default_factory=set)


class Revoking:
    """Takes note of changes; says at the end what is revoked."""

    def __init__(
        self,
        users: Users,
        groups: Groups,
        memberships: Memberships,
        applications: Applications,
        providers: ProxyProviders,
    ) -> None:
        self._users = users
        self._groups = groups
        self._memberships = memberships
        self._applications = applications
        self._providers = providers
        self._touched = _Touched()

    def note(self, change: Change) -> None:
        """Take note of a change; of a removal before it is carried out."""
        for consequence in consequences(change):
            self._touch(consequence)

    def revocations(self, now: datetime, moments: Moments) -> list[Revocation]:
        """Everything that is revoked, each once."""
        touched = self._touched
        if touched == _Touched():
            return []
        longest = max(self._providers.longest_validity() or timedelta(), LDAP_SESSION)
        at = moments.of_revocation()
        made = partial(Revocation, at=at, until=max(at, now) + longest + SLACK)
        since = now - SIGN_IN_LIFETIME - SLACK - longest
        changed = self._users.with_sessions(self._changed_users(), since)
        # Who has used a factor already gets new sessions from the sign-in that knows of it, without being asked.
        asked = self._users.with_sessions(self._asked_users(), since)
        return [
            *(made(id=uuid4(), sign_in=key) for key in _in_order(touched.sign_ins)),
            *(made(id=uuid4(), user=key) for key in _in_order(touched.ended_users | asked)),
            *(made(id=uuid4(), user=key, changed=True) for key in _in_order(changed)),
            *(made(id=uuid4(), provider=key) for key in _in_order(self._ended_providers())),
        ]

    def _changed_users(self) -> set[UUID]:
        touched = self._touched
        return touched.changed_users | self._memberships.users_below(touched.changed_groups)

    def _asked_users(self) -> frozenset[UUID]:
        """Who has to use a second factor now and may not have had to before."""
        touched = self._touched
        above = {group for _, group in touched.joined | touched.nested}
        asking = {key for key in above if any(each.second_factor for each in self._groups.above([key]).values())}
        groups = touched.asking_groups | {group for group, parent in touched.nested if parent in asking}
        return self._memberships.users_below(groups) | {user for user, group in touched.joined if group in asking}

    def _ended_providers(self) -> set[UUID]:
        guarded = self._applications.find_many(self._touched.applications).values()
        return self._touched.providers | {each.provider for each in guarded if each.provider is not None}

    def _touch(self, consequence: Consequence) -> None:
        touched = self._touched
        match consequence:
            case SignInEnded(sign_in):
                touched.sign_ins.add(sign_in)
            case UserEnded(user):
                touched.ended_users.add(user)
            case UserChanged(user):
                touched.changed_users.add(user)
            case ProviderEnded(provider):
                touched.providers.add(provider)
            case RulesChanged(application):
                touched.applications.add(application)
            case _:
                self._touch_group(consequence)

    def _touch_group(self, consequence: OfGroup) -> None:
        touched = self._touched
        match consequence:
            case GroupChanged(group):
                touched.changed_groups.add(group)
            case GroupRemoved(group):
                touched.changed_users |= self._memberships.users_in(group)
                touched.changed_groups |= self._groups.directly_below(group)
            case FactorAsked(group):
                touched.asking_groups.add(group)
            case Nested(group, parents):
                touched.nested |= {(group, parent) for parent in parents}
            case Joined(user, group):
                touched.joined.add((user, group))
            case _:
                assert_never(consequence)


def _in_order(keys: Iterable[UUID]) -> list[UUID]:
    return sorted(keys, key=str)
