"""What the fleet is to know, read from the database at one moment: facts of which every outpost gets its part.

`read_facts` reads them in one unit, `control.fleet.renewal` only what has changed since; everything after is pure.
`control.fleet.scope` decides who sees what.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from control.domain.application import Application, Binding, Provider
from control.domain.identity import Group, Person, ancestors
from control.domain.outpost import Drain, Outpost, Token
from control.domain.security import Authority, Certificate, CookieKey, Revocation
from control.fleet.authority import next_turn
from control.fleet.tokens import TokenState, token_state, valid_tokens
from control.store import Unit
from control.store.recent import Mark

Item = TypeVar("Item")
# What a revocation is about: sign-in, user, provider, and whether it says that the user has changed.
About = tuple[UUID | None, UUID | None, UUID | None, bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One revision of what outposts depend on. `people` are those that live `changed` revocations speak of.

    What is as it was in the facts before is the same object still, in groups and as a group. `mark` is that of the
    revision, None where there is none yet.
    """

    revision: int
    at: datetime
    outposts: Mapping[UUID, Outpost]
    tokens: Mapping[UUID, Token]
    providers: Mapping[UUID, Provider]
    applications: Mapping[UUID, Application]
    bindings: Mapping[UUID, tuple[Binding, ...]]
    cookie_keys: Mapping[UUID, tuple[CookieKey, ...]]
    certificates: Mapping[UUID, Certificate]
    revocations: Mapping[About, Revocation]
    people: Mapping[UUID, Person]
    authorities: tuple[Authority, ...]
    # The token in force of each outpost that has one.
    newest_tokens: Mapping[UUID, Token] = field(default_factory=dict)
    drains: tuple[Drain, ...] = ()
    mark: Mark | None = None

    def next_change(self) -> datetime | None:
        """When time alone makes these facts others, as far as somebody would wait for it.

        A token runs out, or an authority retires or is known to all.
        """
        ends = [token.expires for token in self.tokens.values() if token_state(token, self.at) is TokenState.VALID]
        turns = (*ends, next_turn(self.authorities, self.at))
        return min((turn for turn in turns if turn is not None), default=None)


def read_facts(unit: Unit) -> Facts:
    """The facts of this moment."""
    outposts = {outpost.id: outpost for outpost in unit.outposts.all()}
    accounts = {outpost.service_account for outpost in outposts.values()}
    tokens = {token.id: token for token in unit.tokens.all() if token.user in accounts}
    revocations = {about(each): each for each in unit.revocations.live()}
    return Facts(
        revision=unit.revision(),
        at=unit.now,
        outposts=outposts,
        tokens=tokens,
        providers={provider.id: provider for provider in unit.providers.all()},
        applications={each.provider: each for each in unit.applications.all() if each.provider is not None},
        bindings=grouped((binding.application, binding) for binding in unit.bindings.all()),
        cookie_keys=grouped((key.provider, key) for key in reversed(unit.cookie_keys.all())),
        certificates={certificate.id: certificate for certificate in unit.certificates.all()},
        revocations=revocations,
        people=read_people(unit, {user for _, user, _, changed in revocations if changed and user is not None}),
        authorities=tuple(unit.authorities.all()),
        drains=tuple(unit.drains.all()),
        newest_tokens=newest_tokens(outposts.values(), tokens.values(), unit.now),
        mark=unit.recent.find_mark(),
    )


def about(revocation: Revocation) -> About:
    """What it is about: there is one of each."""
    return revocation.sign_in, revocation.user, revocation.provider, revocation.changed


def newest_tokens(outposts: Iterable[Outpost], tokens: Iterable[Token], now: datetime) -> dict[UUID, Token]:
    """The newest valid token of each outpost."""
    # The newest come first, so they have to be put in last.
    of_account = {token.user: token for token in reversed(valid_tokens(tokens, now))}
    return {each.id: of_account[each.service_account] for each in outposts if each.service_account in of_account}


def read_people(unit: Unit, wanted: set[UUID]) -> dict[UUID, Person]:
    """These people, at the price of these and their groups: each set of direct groups is followed up once."""
    users = unit.users.find_many(wanted)
    direct = unit.memberships.groups_of_each(users)
    groups = unit.groups.above(frozenset().union(*direct.values()))
    found = {keys: _all_groups(keys, groups) for keys in set(direct.values())}
    return {key: Person(user=user, groups=found[direct[key]]) for key, user in users.items()}


def _all_groups(direct: frozenset[UUID], groups: Mapping[UUID, Group]) -> tuple[Group, ...]:
    return tuple(sorted((groups[key] for key in ancestors(direct, groups)), key=lambda group: group.name))


def grouped(pairs: Iterable[tuple[UUID, Item]]) -> dict[UUID, tuple[Item, ...]]:
    """The items by their keys, in the order they come."""
    grouped: defaultdict[UUID, list[Item]] = defaultdict(list)
    for key, item in pairs:
        grouped[key].append(item)
    return {key: tuple(items) for key, items in grouped.items()}
