"""The facts of now, from those of before and what has changed since: it costs what changed, not what there is.

What went along with something else (a token with its account, a rule with its group) leaves no word of its own, so it
is looked for where that happened. What is as before stays the same object. Hourly housekeeping reads everything all
the same, which also drops what has run out.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar
from uuid import UUID

from control.domain.application import Application, Binding
from control.domain.identity import Person
from control.domain.outpost import Outpost, Token
from control.domain.security import CookieKey, Revocation
from control.fleet.snapshot import About, Facts, about, newest_tokens, read_facts, read_people
from control.store import Unit
from control.store.recent import MANY

Key = TypeVar("Key")
Item = TypeVar("Item")
Named = TypeVar("Named", bound="_Identified")


class _Identified(Protocol):
    @property
    def id(self) -> UUID:
        """The id."""
        ...


class _Shelf(Protocol[Named]):
    """A repository as far as it is read here."""

    def all(self) -> list[Named]:
        """Every object."""
        ...

    def find_many(self, keys: Collection[object]) -> dict[UUID, Named]:
        """Those of these ids that there are."""
        ...


class _Unclear(Exception):
    """So much has changed that everything is read."""


@dataclass(frozen=True, slots=True)
class _News:
    """Ids by kind of what has changed."""

    changed: Mapping[str, frozenset[str]]

    def of(self, kind: str) -> frozenset[UUID]:
        """Those of one kind. Raises _Unclear."""
        targets = self.changed.get(kind, frozenset())
        if MANY in targets:
            raise _Unclear
        return frozenset(map(UUID, targets))


def renew_facts(unit: Unit, known: Facts) -> Facts:
    """The facts of this moment; `known` are those of an earlier one."""
    changed = unit.recent.find_since(known.mark) if known.mark is not None else None
    if changed is not None:
        try:
            return _renewed(unit, known, _News(changed))
        except _Unclear:
            pass
    return keep_same(known, read_facts(unit))


def keep_same(known: Facts, read: Facts) -> Facts:
    """What was read, as far as it is equal by the objects that are known."""
    return Facts(
        revision=read.revision,
        at=read.at,
        outposts=_same(known.outposts, read.outposts),
        tokens=_same(known.tokens, read.tokens),
        providers=_same(known.providers, read.providers),
        applications=_same(known.applications, read.applications),
        bindings=_same(known.bindings, read.bindings),
        cookie_keys=_same(known.cookie_keys, read.cookie_keys),
        certificates=_same(known.certificates, read.certificates),
        revocations=_same(known.revocations, read.revocations),
        people=_same(known.people, read.people),
        authorities=read.authorities,
        drains=read.drains,
        newest_tokens=read.newest_tokens,
        mark=read.mark,
    )


def _renewed(unit: Unit, known: Facts, news: _News) -> Facts:
    gone = _Gone(
        users=news.of("user") - unit.users.known(news.of("user")),
        groups=news.of("group") - unit.groups.known(news.of("group")),
        providers=news.of("provider") - unit.providers.known(news.of("provider")),
    )
    outposts = _outposts(unit, known.outposts, news.of("outpost"), gone)
    tokens = _tokens(unit, known, outposts, news.of("token"), gone)
    revocations = _revocations(unit, known.revocations, news.of("revocation"))
    return Facts(
        revision=unit.revision(),
        at=unit.now,
        outposts=outposts,
        tokens=tokens,
        providers=_renewed_by_id(known.providers, news.of("provider"), unit.providers),
        applications=_applications(unit, known.applications, news.of("application")),
        bindings=_bindings(unit, known.bindings, news, gone),
        cookie_keys=_cookie_keys(unit, known.cookie_keys, news.of("cookie key"), gone),
        certificates=_renewed_by_id(known.certificates, news.of("certificate"), unit.certificates),
        revocations=revocations,
        people=_people(unit, known, revocations, news),
        authorities=tuple(unit.authorities.all()) if news.of("authority") else known.authorities,
        # That one is carried out is no change, and they are few.
        drains=tuple(unit.drains.all()),
        newest_tokens=newest_tokens(outposts.values(), tokens.values(), unit.now),
        mark=unit.recent.find_mark(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gone:
    """Ids of what was removed."""

    users: frozenset[UUID]
    groups: frozenset[UUID]
    providers: frozenset[UUID]


def _outposts(
    unit: Unit, known: Mapping[UUID, Outpost], changed: frozenset[UUID], gone: _Gone
) -> Mapping[UUID, Outpost]:
    lessened = {key for key, each in known.items() if each.providers & gone.providers} if gone.providers else set()
    return _renewed_by_id(known, changed | lessened, unit.outposts)


def _tokens(
    unit: Unit, known: Facts, outposts: Mapping[UUID, Outpost], changed: frozenset[UUID], gone: _Gone
) -> Mapping[UUID, Token]:
    went_along = (
        frozenset(key for key, token in known.tokens.items() if token.user in gone.users) if gone.users else frozenset()
    )
    renewed = _renewed_by_id(known.tokens, changed | went_along, unit.tokens)
    if outposts is known.outposts and renewed is known.tokens:
        return renewed
    accounts = {outpost.service_account for outpost in outposts.values()}
    before = {outpost.service_account for outpost in known.outposts.values()}
    arrived = {token.id: token for account in accounts - before for token in unit.tokens.of_user(account)}
    return _same(known.tokens, {key: each for key, each in {**renewed, **arrived}.items() if each.user in accounts})


def _applications(
    unit: Unit, known: Mapping[UUID, Application], changed: frozenset[UUID]
) -> Mapping[UUID, Application]:
    if not changed:
        return known
    kept = {key: each for key, each in known.items() if each.id not in changed}
    found = unit.applications.find_many(changed).values()
    return _same(known, {**kept, **{each.provider: each for each in found if each.provider is not None}})


def _bindings(
    unit: Unit, known: Mapping[UUID, tuple[Binding, ...]], news: _News, gone: _Gone
) -> Mapping[UUID, tuple[Binding, ...]]:
    def is_stale(binding: Binding) -> bool:
        return binding.id in changed or binding.user in gone.users or binding.group in gone.groups

    changed, applications = news.of("binding"), news.of("application")
    if not (changed or applications or gone.users or gone.groups):
        return known
    affected = {each.application for each in unit.bindings.find_many(changed).values()}
    affected |= applications | {key for key, each in known.items() if any(map(is_stale, each))}
    return _regrouped(known, affected, unit.bindings.of_application)


def _cookie_keys(
    unit: Unit, known: Mapping[UUID, tuple[CookieKey, ...]], changed: frozenset[UUID], gone: _Gone
) -> Mapping[UUID, tuple[CookieKey, ...]]:
    if not (changed or gone.providers):
        return known
    affected = {each.provider for each in unit.cookie_keys.find_many(changed).values()}
    affected |= gone.providers | {
        provider for provider, keys in known.items() if any(key.id in changed for key in keys)
    }
    return _regrouped(known, affected, unit.cookie_keys.of_provider)


def _revocations(unit: Unit, known: Mapping[About, Revocation], changed: frozenset[UUID]) -> Mapping[About, Revocation]:
    """Those that took the place of another are about the same."""
    if not changed:
        return known
    return {**known, **{about(each): each for each in unit.revocations.find_many(changed).values()}}


def _people(unit: Unit, known: Facts, revocations: Mapping[About, Revocation], news: _News) -> Mapping[UUID, Person]:
    wanted = set(known.people)
    if revocations is not known.revocations:
        wanted |= {user for _, user, _, changed in revocations if changed and user is not None}
    stale = (
        wanted
        if news.of("group")
        else (wanted & (news.of("user") | news.of("membership"))) | (wanted - known.people.keys())
    )
    if not stale:
        return known.people
    kept = {key: person for key, person in known.people.items() if key not in stale}
    return _same(known.people, {**kept, **read_people(unit, stale)})


def _renewed_by_id(known: Mapping[UUID, Named], changed: frozenset[UUID], shelf: _Shelf[Named]) -> Mapping[UUID, Named]:
    if not changed:
        return known
    kept = {key: each for key, each in known.items() if key not in changed}
    return _same(known, {**kept, **shelf.find_many(changed)})


def _regrouped(
    known: Mapping[UUID, tuple[Item, ...]], affected: Iterable[UUID], read: Callable[[UUID], Iterable[Item]]
) -> Mapping[UUID, tuple[Item, ...]]:
    fresh = {key: tuple(read(key)) for key in affected}
    return _same(known, {key: each for key, each in {**known, **fresh}.items() if each})


def _same(known: Mapping[Key, Item], read: Mapping[Key, Item]) -> Mapping[Key, Item]:
    """The items of `read`, by the objects of `known` where they are equal; `known` itself where all are."""
    kept = {key: _same_one(known.get(key), each) for key, each in read.items()}
    return known if len(kept) == len(known) and all(known.get(key) is each for key, each in kept.items()) else kept


def _same_one(known: Item | None, read: Item) -> Item:
    # Asked first, since most are the same already and equality looks at every field.
    if known is read or known is None:
        return read
    return known if known == read else read
