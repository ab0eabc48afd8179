"""A state made of the one before is what making it from nothing would give, whatever was done meanwhile."""

import random
from datetime import timedelta

import pytest

from control.fleet.renewal import keep_same, renew_facts
from control.fleet.resources import Resource
from control.fleet.scope import scope
from control.fleet.session_keys import replace_cookie_key
from control.fleet.snapshot import read_facts
from control.link import state as module
from control.link.layers import differing
from control.link.state import NOTHING, State, compute
from control.link.translate import Encoded, encode
from control.store import Store
from tests.support import builders
from tests.support.fleet import deploy
from tests.support.mutations import act
from tests.support.stores import ADMIN, Clock

URL = "https://auth.example.com"


def follow(store: Store, before: State = NOTHING, *, anew: bool = False) -> State:
    with store.read() as unit:
        facts = keep_same(before.facts, read_facts(unit)) if anew else renew_facts(unit, before.facts)
    return compute(facts, URL, before, anew=anew)


def wanted(state: State) -> dict[str, dict[str, Encoded]]:
    """What each outpost is to hold."""
    return {state.facts.outposts[key].name: dict(part.wanted.resources) for key, part in state.parts.items()}


def prescribed(store: Store) -> dict[str, dict[str, Encoded]]:
    """The same by the book."""
    with store.read() as unit:
        facts = read_facts(unit)
    return {
        outpost.name: {encoded.key: encoded for encoded in map(encode, scope(facts, outpost, URL))}
        for outpost in facts.outposts.values()
    }


@pytest.mark.parametrize("seed", range(4))
def test_a_state_made_of_the_one_before_is_what_scope_prescribes(store: Store, seed: int) -> None:
    dice = random.Random(seed)
    deploy(store)
    deploy(store, "embedded", ("blog",), embedded=True)
    state = follow(store)
    for step in range(150):
        act(store, dice)
        before, state = state, follow(store, state, anew=step % 11 == 0)
        assert wanted(state) == prescribed(store), step
        for key in state.parts.keys() & before.parts.keys():
            resources, others = state.parts[key].wanted.resources, before.parts[key].wanted.resources
            assert differing(others, resources) == differing(dict(others), dict(resources)), step
    assert state.revision > 50


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys of what was serialised."""
    keys: list[str] = []

    def counted(resource: Resource) -> Encoded:
        keys.append(resource.key)
        return encode(resource)

    monkeypatch.setattr(module, "encode", counted)
    return keys


def test_what_is_as_before_is_not_made_again(store: Store, made: list[str]) -> None:
    edge = deploy(store, sites=("wiki", "blog"))
    west = deploy(store, "west", ("shop",))
    state = follow(store)
    assert len(made) == 5
    made.clear()
    with store.write(ADMIN) as unit:
        alice = unit.users.add(builders.user())
    signed_in = follow(store, state)
    assert made == []
    assert signed_in.revision == state.revision + 1
    for key in (edge.outpost.id, west.outpost.id):
        before, after = state.parts[key], signed_in.parts[key]
        assert (after.own, after.people, after.served) == (before.own, before.people, before.served)
    with store.write(ADMIN) as unit:
        unit.users.remove(alice)
    ended = follow(store, signed_in)
    # Once for both.
    assert made == [f"ended/subject/{alice.id}"]
    assert ended.parts[edge.outpost.id].own is state.parts[edge.outpost.id].own


def test_a_person_who_changed_costs_one_resource_an_outpost(store: Store, made: list[str]) -> None:
    deploy(store)
    deploy(store, "west", ("shop",))
    with store.write(ADMIN) as unit:
        people = [unit.users.add(builders.user(name)) for name in ("alice", "bob")]
        group = unit.groups.add(builders.group())
        unit.memberships.set_groups(people[0].id, frozenset({group.id}))
    state = follow(store)
    with store.write(ADMIN) as unit:
        unit.memberships.set_groups(people[1].id, frozenset({group.id}))
    made.clear()
    state = follow(store, state)
    # What both are told is the same, as nobody is shut out.
    assert made == [f"changed/{people[1].id}"]


def test_a_key_that_has_had_its_time_goes_once_time_is_asked_for(store: Store, clock: Clock) -> None:
    provider = deploy(store).sites[0].provider
    clock.advance(minutes=1)
    with store.write(ADMIN) as unit:
        replace_cookie_key(unit, provider.id)
    state = follow(store)
    clock.now += provider.access_token_validity + timedelta(minutes=1)
    assert wanted(follow(store, state, anew=True)) == prescribed(store) != wanted(state)


def test_options_that_cannot_be_used_leave_the_others_alone(store: Store) -> None:
    broken = deploy(store, "broken", config={"no_such_option": 1})
    deploy(store, "west", ("shop",))
    for state in (follow(store), follow(store, follow(store))):
        assert state.faulty == {broken.outpost.id}
        assert len(state.parts) == 1
