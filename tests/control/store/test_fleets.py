"""What pages ask about whole fleets at once: instances of several outposts, of link processes, tokens side by side."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from control.domain.identity import UserKind
from control.domain.outpost import Instance, InstanceState, Outpost, OutpostType, Token
from control.store import Store, Unit
from tests.support import builders
from tests.support.stores import ADMIN, Clock


def account(unit: Unit, name: str) -> UUID:
    return unit.users.add(builders.user(name, kind=UserKind.OUTPOST)).id


def outpost(unit: Unit, name: str) -> UUID:
    made = Outpost(
        id=uuid4(), name=name, type=OutpostType.PROXY, service_account=account(unit, f"of-{name}"), created=unit.now
    )
    return unit.outposts.add(made).id


def instance(unit: Unit, of: UUID, hostname: str, **fields: Any) -> Instance:
    usual = {"state": InstanceState.CONNECTED, "last_seen": unit.now}
    return Instance(id=uuid4(), outpost=of, uid=uuid4().hex, hostname=hostname, **{**usual, **fields})


def token(unit: Unit, user: UUID, **fields: Any) -> None:
    name = uuid4().hex
    made = Token(id=uuid4(), identifier=name, user=user, fingerprint=name, secret=name, created=unit.now, **fields)
    unit.tokens.add(made)


def test_instances_of_several_outposts(store: Store) -> None:
    with store.write(ADMIN) as unit:
        first, second, third = (outpost(unit, name) for name in ("a", "b", "c"))
        unit.instances.save(instance(unit, of, name) for of, name in ((first, "x"), (second, "y"), (third, "z")))
    with store.read() as unit:
        found = unit.instances.of_outposts([first, third])
        assert sorted(each.hostname for each in found) == ["x", "z"]
        assert unit.instances.of_outposts([]) == []


def test_how_many_instances_a_link_process_holds(store: Store) -> None:
    here, there = uuid4(), uuid4()
    with store.write(ADMIN) as unit:
        edge = outpost(unit, "edge")
        gone = instance(unit, edge, "gone", holder=here, state=InstanceState.DISCONNECTED)
        held = [(here, InstanceState.CONNECTED), (here, InstanceState.DRAINING), (there, InstanceState.CONNECTED)]
        unit.instances.save([gone, instance(unit, edge, "nobody's")])
        unit.instances.save(instance(unit, edge, "held", holder=holder, state=state) for holder, state in held)
    with store.read() as unit:
        assert unit.instances.counts_by_holder() == {here: 2, there: 1}


def test_tokens_of_several_accounts_the_newest_first(store: Store, clock: Clock) -> None:
    with store.write(ADMIN) as unit:
        first, second, third, bare = (account(unit, name) for name in ("a", "b", "c", "d"))
        for user in (first, second, third):
            token(unit, user)
    clock.advance(seconds=1)
    with store.write(ADMIN) as unit:
        token(unit, first)
    with store.read() as unit:
        found = unit.tokens.of_users([first, third, bare])
        assert {user: len(tokens) for user, tokens in found.items()} == {first: 2, third: 1, bare: 0}
        newest, oldest = found[first]
        assert newest.created > oldest.created
        assert unit.tokens.of_user(first) == [newest, oldest]
        assert unit.tokens.of_users([]) == {}


def test_accounts_with_tokens_side_by_side(store: Store) -> None:
    with store.write(ADMIN) as unit:
        day = timedelta(days=1)
        alone, between, replaced, lapsed = (account(unit, name) for name in ("a", "b", "c", "d"))
        for user in (alone, between, replaced, lapsed):
            token(unit, user)
        token(unit, between, expires=unit.now + day)
        token(unit, replaced, revoked=unit.now)
        token(unit, lapsed, expires=unit.now)
    with store.read() as unit:
        assert unit.tokens.users_with_several() == {between}
