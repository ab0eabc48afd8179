"""Sessions and what ends them are dated in the order of their transactions, whatever clocks say."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from control.domain.identity import User
from control.domain.security import Revocation
from control.store import Store
from tests.support import builders
from tests.support.databases import Database
from tests.support.stores import ADMIN, Clock, Wakes


@pytest.fixture
def alice(store: Store) -> User:
    with store.write(ADMIN) as unit:
        return unit.users.add(builders.user("alice"))


def session(store: Store) -> datetime:
    with store.write(ADMIN) as unit:
        return unit.moments.of_session()


def lock_out(store: Store, user: User) -> Revocation:
    """And let in again."""
    with store.write(ADMIN) as unit:
        unit.users.update(replace(user, active=False))
    with store.write(ADMIN) as unit:
        unit.users.update(user)
        return next(found for found in unit.revocations.all() if found.user == user.id)


def test_moments_are_the_time(store: Store, clock: Clock, alice: User) -> None:
    assert session(store) == clock.now
    clock.advance(minutes=1)
    assert lock_out(store, alice).at == clock.now
    clock.advance(minutes=1)
    assert session(store) == clock.now


SET_BACK: list[Callable[[Clock], None]] = [
    lambda clock: clock.advance(minutes=0),
    lambda clock: clock.advance(minutes=-10),
    lambda clock: clock.advance(days=-365),
]


@pytest.mark.parametrize("set_back", SET_BACK)
def test_a_revocation_ends_what_was_before_and_nothing_that_comes_after(
    store: Store, clock: Clock, alice: User, set_back: Callable[[Clock], None]
) -> None:
    before = session(store)
    set_back(clock)
    first = lock_out(store, alice)
    between = session(store)
    set_back(clock)
    second = lock_out(store, alice)
    assert before < first.at <= between < second.at <= session(store)
    assert second.until >= second.at + timedelta(hours=24)


def test_two_processes_whose_clocks_differ(store: Store, database: Database, clock: Clock, alice: User) -> None:
    slow = Clock()
    slow.now = clock.now - timedelta(seconds=2)
    other = database.store(slow, Wakes())
    made = session(store)
    ended = lock_out(other, alice)
    assert made < ended.at <= session(store)


def test_what_a_failed_unit_took_is_given_again(store: Store, clock: Clock) -> None:
    with pytest.raises(ZeroDivisionError), store.write(ADMIN) as unit:
        clock.advance(days=1)
        unit.moments.of_session()
        _ = 1 / 0
    clock.advance(days=-1)
    assert session(store) == clock.now
