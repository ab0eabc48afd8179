"""How many are in nested groups, and who of them has no second factor yet."""

from control.domain.factors import Coverage
from control.store import Store
from tests.support import builders
from tests.support.stores import ADMIN


def test_active_members_below_are_counted_once(store: Store) -> None:
    top = builders.group("top")
    left, right = (builders.group(name, parents=frozenset({top.id})) for name in ("left", "right"))
    alice, bob, carol, gone = (builders.user(name) for name in ("alice", "bob", "carol", "gone"))
    with store.write(ADMIN) as unit:
        for group in (top, left, right):
            unit.groups.add(group)
        for user in (alice, bob, carol, builders.user("gone", id=gone.id, active=False)):
            unit.users.add(user)
        unit.memberships.set_groups(alice.id, [left.id, right.id])
        unit.memberships.set_groups(bob.id, [top.id])
        unit.memberships.set_groups(gone.id, [top.id])
        unit.authenticators.add(builders.authenticator(alice.id))
        unit.authenticators.add(builders.authenticator(bob.id, confirmed=None))
        assert unit.authenticators.coverage(top.id) == Coverage(members=2, without=1)
        assert unit.authenticators.coverage(left.id) == Coverage(members=1, without=0)
        assert unit.authenticators.coverage(carol.id) == Coverage(members=0, without=0)


def test_members_below_each_group_are_counted_once(store: Store) -> None:
    top, other = builders.group("top"), builders.group("other")
    left, right = (builders.group(name, parents=frozenset({top.id})) for name in ("left", "right"))
    low = builders.group("low", parents=frozenset({left.id, right.id}))
    users = [builders.user(name) for name in "abc"]
    with store.write(ADMIN) as unit:
        for group in (top, other, left, right, low):
            unit.groups.add(group)
        for user in users:
            unit.users.add(user)
        unit.memberships.set_users(low.id, [users[0].id, users[1].id])
        unit.memberships.set_users(top.id, [users[1].id, users[2].id])
        counts = unit.memberships.counts_below([top.id, left.id, low.id, other.id, users[0].id])
        assert counts == {top.id: 3, left.id: 2, low.id: 2}
        assert unit.memberships.counts_below([]) == {}
