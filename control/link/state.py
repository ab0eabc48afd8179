"""What every outpost is to hold at one revision, ready to be sent, made anew only as far as the facts differ.

What is the same object in the facts as before gives what it gave before; what several outposts get is serialised once.
So a sign-in costs next to nothing, and a change of one provider costs those that serve it. `control.fleet.scope` says
what an outpost may see; nothing is added here.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from control.domain.application import Provider
from control.domain.errors import Invalid
from control.domain.outpost import Outpost
from control.domain.security import Revocation
from control.fleet import scope
from control.fleet.resources import Resource
from control.fleet.snapshot import About, Facts, about
from control.link.layers import Layer, Layers
from control.link.messages import Wanted
from control.link.translate import Encoded, encode

log = logging.getLogger("control.link")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one outpost is to hold, and what goes with it.

    `own` are its options, providers and certificates, `people` what of revocations is not the same to all.
    """

    wanted: Wanted[Encoded]
    served: Mapping[UUID, Provider]
    refresh_seconds: float
    options: Encoded = field(repr=False)
    own: Layer[Encoded] = field(repr=False)
    people: Layer[Encoded] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """One revision. `faulty` are outposts without a part, since their stored options can't be used."""

    facts: Facts
    parts: Mapping[UUID, Part]
    faulty: frozenset[UUID]
    shared: "_Shared" = field(repr=False)

    @property
    def revision(self) -> int:
        """The revision."""
        return self.facts.revision


@dataclass(frozen=True, slots=True, kw_only=True)
class _Provided:
    """A provider, with the certificates that it shows, and what they were made of."""

    inputs: tuple[object, ...]
    encoded: tuple[Encoded, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shared:
    """What is made once for all outposts: `common` is for all that serve anything, `particular` not the same to all."""

    providers: Mapping[UUID, _Provided]
    ended: Mapping[About, Encoded]
    common: Layer[Encoded]
    particular: tuple[Revocation, ...]


_EMPTY: Layer[Encoded] = Layer({})
NOTHING = State(
    facts=Facts(
        revision=0,
        at=datetime.min.replace(tzinfo=UTC),
        outposts={},
        tokens={},
        providers={},
        applications={},
        bindings={},
        cookie_keys={},
        certificates={},
        revocations={},
        people={},
        authorities=(),
    ),
    parts={},
    faulty=frozenset(),
    shared=_Shared(providers={}, ended={}, common=_EMPTY, particular=()),
)


def compute(facts: Facts, url: str, before: State = NOTHING, *, anew: bool = False) -> State:
    """Every outpost's part of the facts. `before` is an earlier state, for the same `url`.

    `anew`: time has passed, so what is equal in the facts may yet give something else.
    """
    return _Computation(facts, url, before, anew=anew).state()


class _Computation:
    """One state in the making."""

    def __init__(self, facts: Facts, url: str, before: State, *, anew: bool) -> None:
        self._facts = facts
        self._url = url
        self._before = before
        self._touched = frozenset(facts.providers) if anew else self._touched_providers()
        self._same_outposts = not anew and self._is_same("outposts")
        self._providers = {key: each for key, each in before.shared.providers.items() if key not in self._touched}
        self._encoded: dict[Resource, Encoded] = {}
        ended = self._ended()
        self._shared = _Shared(
            providers=self._providers,
            ended=ended,
            common=self._common(ended),
            particular=self._particular(),
        )

    def state(self) -> State:
        """The whole."""
        found = {key: self._find_part(outpost) for key, outpost in self._facts.outposts.items()}
        parts = {key: part for key, part in found.items() if part is not None}
        faulty = frozenset(found.keys() - parts.keys())
        return State(facts=self._facts, parts=parts, faulty=faulty, shared=self._shared)

    def _is_same(self, group: str) -> bool:
        return getattr(self._facts, group) is getattr(self._before.facts, group)

    def _touched_providers(self) -> frozenset[UUID]:
        """Those that are new, different or gone, or whose application, keys or certificates are."""
        now, then = self._facts, self._before.facts
        touched = _differing(then.providers, now.providers)
        touched |= _differing(then.applications, now.applications)
        touched |= _differing(then.cookie_keys, now.cookie_keys)
        certificates = _differing(then.certificates, now.certificates)
        if certificates:
            touched |= {key for key, each in now.providers.items() if not certificates.isdisjoint(each.certificates)}
        return frozenset(touched)

    def _is_untouched(self, outpost: Outpost) -> bool:
        """Whether it serves what it did before, and that is as it was."""
        if outpost.embedded and not outpost.manual:
            return self._same_outposts and not self._touched
        same = self._before.facts.outposts.get(outpost.id) is outpost
        return same and self._touched.isdisjoint(outpost.providers)

    # Revocations, as far as they are the same to all.

    def _ended(self) -> Mapping[About, Encoded]:
        known, before = self._before.shared.ended, self._before.facts.revocations
        if self._is_same("revocations"):
            return known
        return {
            key: known[key] if before.get(key) is revocation else encode(scope.ended(revocation))
            for key, revocation in self._facts.revocations.items()
            if not revocation.changed
        }

    def _common(self, ended: Mapping[About, Encoded]) -> Layer[Encoded]:
        before = self._before.shared
        if ended is before.ended:
            return before.common
        revocations = self._facts.revocations
        told_alike = (encoded for key, encoded in ended.items() if scope.is_common(revocations[key]))
        return _layer(told_alike, before.common)

    def _particular(self) -> tuple[Revocation, ...]:
        before = self._before.shared.particular
        if self._is_same("revocations"):
            return before
        found = tuple(each for each in self._facts.revocations.values() if not scope.is_common(each))
        same = len(found) == len(before) and all(one is other for one, other in zip(found, before, strict=True))
        return before if same else found

    # Outposts.

    def _find_part(self, outpost: Outpost) -> Part | None:
        before = self._before.parts.get(outpost.id)
        if before is not None and self._before.facts.outposts[outpost.id] is outpost:
            return self._part(outpost, before.options, before.refresh_seconds)
        try:
            options = scope.options_resource(outpost, self._url)
        except Invalid as fault:
            # Stored by an older version: this outpost stays as it is, the others must not suffer.
            fields = {"outpost": outpost.name, "reason": str(fault)}
            log.warning("an outpost's options can't be used", extra=fields)
            return None
        return self._part(outpost, self._encode(options), options.refresh_interval.total_seconds())

    def _part(self, outpost: Outpost, options: Encoded, refresh_seconds: float) -> Part:
        before = self._before.parts.get(outpost.id)
        served, own = self._catalogue(outpost, options, before)
        people = self._people(served, before)
        common = self._shared.common if served else _EMPTY
        return Part(
            wanted=Wanted(revision=self._facts.revision, resources=Layers(own, people, common)),
            served=served,
            refresh_seconds=refresh_seconds,
            options=options,
            own=own,
            people=people,
        )

    def _catalogue(
        self, outpost: Outpost, options: Encoded, before: Part | None
    ) -> tuple[Mapping[UUID, Provider], Layer[Encoded]]:
        """What the outpost serves, and that with its options as a layer."""
        if before is not None and self._is_untouched(outpost):
            return before.served, before.own
        slightly = self._find_slight_change(outpost, before) if before is not None else None
        if slightly is not None:
            return slightly
        served = scope.served_providers(self._facts, outpost)
        provided = (encoded for provider in served.values() for encoded in self._provided(provider))
        own = _layer((options, *provided), before.own if before is not None else _EMPTY)
        return before.served if before is not None and _is_all_same(before.served, served) else served, own

    def _find_slight_change(
        self, outpost: Outpost, before: Part
    ) -> tuple[Mapping[UUID, Provider], Layer[Encoded]] | None:
        """The same outpost with a few providers that differ, where none came or went; None where it is more."""
        if self._before.facts.outposts.get(outpost.id) is not outpost or (outpost.embedded and not outpost.manual):
            return None
        touched = self._touched & outpost.providers
        fresh = {key: self._facts.providers[key] for key in touched if scope.is_served(self._facts, key)}
        if fresh.keys() != touched & before.served.keys():
            return None
        told = {each.key for key in fresh for each in self._before.shared.providers[key].encoded}
        now = {each.key: each for provider in fresh.values() for each in self._provided(provider)}
        if now.keys() != told:
            # A certificate more or less: others may name it too.
            return None
        return {**before.served, **fresh}, Layer({**before.own.items, **now})

    def _provided(self, provider: Provider) -> tuple[Encoded, ...]:
        known = self._providers.get(provider.id)
        if known is None:
            known = self._providers[provider.id] = self._provide(provider)
        return known.encoded

    def _provide(self, provider: Provider) -> _Provided:
        facts = self._facts
        certificates = (facts.certificates.get(key) for key in sorted(provider.certificates))
        inputs = (provider, facts.applications[provider.id], *certificates, *scope.keys_of(facts, provider))
        known = self._before.shared.providers.get(provider.id)
        if known is not None and _is_same_sequence(known.inputs, inputs):
            return known
        resources = (scope.provider_resource(facts, provider), *scope.certificates_of(facts, provider))
        return _Provided(inputs=inputs, encoded=tuple(map(self._encode, resources)))

    # Revocations, as far as outposts are told different things.

    def _people(self, served: Mapping[UUID, Provider], before: Part | None) -> Layer[Encoded]:
        particular = self._shared.particular if served else ()
        if before is None or served is not before.served or not self._is_decided_as_before(served):
            known: Mapping[str, Encoded] = {}
        elif self._is_same("people") and particular is self._before.shared.particular:
            return before.people
        else:
            known = before.people.items
        found = (each for revocation in particular for each in self._told(served, revocation, known))
        return _layer(found, before.people if before is not None else _EMPTY)

    def _is_decided_as_before(self, served: Mapping[UUID, Provider]) -> bool:
        """Whether the rules of who may go where are those of before."""
        now, then = self._facts, self._before.facts
        if now.applications is then.applications and now.bindings is then.bindings:
            return True
        return all(
            (application := now.applications[key]) is then.applications.get(key)
            and now.bindings.get(application.id) is then.bindings.get(application.id)
            for key in served
        )

    def _told(
        self, served: Mapping[UUID, Provider], revocation: Revocation, known: Mapping[str, Encoded]
    ) -> Iterable[Encoded]:
        """What an outpost is told of a revocation; `known` is what it was told of these people by the same rules."""
        if not revocation.changed:
            at = about(revocation)
            return [self._shared.ended[at]] if revocation.provider in served else []
        told = known.get(f"changed/{revocation.user}")
        if told is not None and self._is_person_as_before(revocation):
            return [told]
        return [self._encode(each) for each in scope.revoked(self._facts, served, revocation)]

    def _is_person_as_before(self, revocation: Revocation) -> bool:
        now, then = self._facts, self._before.facts
        if revocation.user is None or then.revocations.get(about(revocation)) is not revocation:
            return False
        return now.people.get(revocation.user) is then.people.get(revocation.user)

    def _encode(self, resource: Resource) -> Encoded:
        """Serialised once, whoever gets it."""
        if resource not in self._encoded:
            self._encoded[resource] = encode(resource)
        return self._encoded[resource]


def _layer(items: Iterable[Encoded], before: Layer[Encoded]) -> Layer[Encoded]:
    """A layer of these, or the one before where it has the same."""
    by_key = {item.key: item for item in items}
    # Equal as a whole is what most are, and dicts look for sameness first.
    return before if before.items == by_key else Layer(by_key)


def _differing(then: Mapping[UUID, object], now: Mapping[UUID, object]) -> set[UUID]:
    """Keys of what is another object than it was, or is new or gone."""
    if now is then:
        return set()
    return {key for key, each in now.items() if then.get(key) is not each} | (then.keys() - now.keys())


def _is_all_same(one: Mapping[UUID, object], other: Mapping[UUID, object]) -> bool:
    return len(one) == len(other) and all(one.get(key) is each for key, each in other.items())


def _is_same_sequence(one: tuple[object, ...], other: tuple[object, ...]) -> bool:
    return len(one) == len(other) and all(first is second for first, second in zip(one, other, strict=True))
