"""What two replicas do at the same moment comes out as if one had come after the other."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from threading import Barrier
from typing import Any, TypeVar

import pytest

from control.auth import people
from control.auth.people import GroupDraft, UserDraft
from control.domain.errors import InUse, Invalid, NotFound
from control.domain.grant import IssuedSession, Refusal
from control.domain.identity import User
from control.fleet.applications import create_application, update_application
from control.store import Sealer, Store, Unit
from tests.support.auth import World, make_world
from tests.support.databases import KEY, Database
from tests.support.stores import ADMIN

ROUNDS = 8
Answer = TypeVar("Answer")
Act = Callable[[Unit], object]


def replica(database: Database) -> Store:
    """As `garrison serve` has it: by the database's time."""
    return Store(database.engine(), Sealer(KEY), None, lambda: None)


@pytest.fixture
def stores(database: Database) -> list[Store]:
    return [replica(database) for _ in range(2)]


@pytest.fixture
def worlds(stores: list[Store]) -> list[World]:
    """The same people and applications, seen from two replicas."""
    world = make_world(stores[0])
    return [world, replace(world, store=stores[1])]


def at_once(works: Iterable[Callable[[], Answer]]) -> list[Answer]:
    """What these come to, begun at the same moment."""
    started = list(works)
    together = Barrier(len(started))

    def begin(work: Callable[[], Answer]) -> Answer:
        together.wait(10)
        return work()

    with ThreadPoolExecutor(len(started)) as pool:
        return list(pool.map(begin, started))


def to(function: Callable[..., object], *arguments: Any, **named: Any) -> Act:
    """A command with all it needs but the unit."""
    return lambda unit: function(unit, *arguments, **named)


def outcome(store: Store, act: Act) -> str:
    """`done`, or what was wrong."""
    try:
        with store.write(ADMIN) as unit:
            act(unit)
    except Invalid as error:
        return error.problems[0].code
    except (InUse, NotFound) as error:
        return type(error).__name__
    return "done"


def raced(stores: list[Store], *acts: Act) -> list[str]:
    """What the acts come to, one on each replica."""
    return sorted(at_once([partial(outcome, store, act) for store, act in zip(stores, acts, strict=True)]))


def two_superusers(store: Store) -> tuple[User, User]:
    with store.write(ADMIN) as unit:
        admins = unit.groups.find_named("admins") or people.create_group(
            unit, GroupDraft(name="admins", superuser=True)
        )
        for name in ("ann", "ben"):
            known = unit.users.find_named(name)
            if known is None:
                people.create_user(unit, UserDraft(username=name, groups=frozenset({admins.id})))
            else:
                people.set_user_groups(unit, known.id, [admins.id])
                people.set_active(unit, known.id, active=True)
        return unit.users.get_named("ann"), unit.users.get_named("ben")


@pytest.mark.parametrize(
    "take_away",
    [
        lambda user: to(people.set_user_groups, user.id, []),
        lambda user: to(people.set_active, user.id, active=False),
        lambda user: to(people.remove_user, user.id),
    ],
    ids=["groups", "deactivated", "removed"],
)
def test_of_two_superusers_who_oust_each_other_one_stays(stores: list[Store], take_away: Callable[[User], Act]) -> None:
    for _ in range(ROUNDS):
        assert raced(stores, *map(take_away, two_superusers(stores[0]))) == ["done", "last_superuser"]
        with stores[0].read() as unit:
            assert len(unit.superusers.usernames()) == 1


def test_a_name_is_given_once(stores: list[Store]) -> None:
    for number in range(ROUNDS):
        create = to(people.create_user, UserDraft(username=f"user{number}"))
        assert raced(stores, create, create) == ["already_taken", "done"]


def test_groups_do_not_come_to_lie_in_each_other(stores: list[Store]) -> None:
    for number in range(ROUNDS):
        with stores[0].write(ADMIN) as unit:
            one, two = (people.create_group(unit, GroupDraft(name=f"{side}{number}")) for side in "ab")
        laid = [
            to(people.update_group, replace(group, parents=frozenset({parent.id})))
            for group, parent in ((one, two), (two, one))
        ]
        assert raced(stores, *laid) == ["cycle", "done"]


def test_what_guards_an_application_stays_or_does_not_come_to_guard_it(stores: list[Store]) -> None:
    for number in range(ROUNDS):
        with stores[0].write(ADMIN) as unit:
            group = people.create_group(unit, GroupDraft(name=f"group{number}"))
            application = create_application(unit, {"slug": f"app{number}", "name": "App"})
        remove = to(people.remove_group, group.id)
        bind = to(update_application, application, {"bindings": [{"group": group.name}]})
        assert raced(stores, remove, bind) in (["InUse", "done"], ["done", "not_found"])
        with stores[0].read() as unit:
            groups = {found.id for found in unit.groups.all()}
            assert all(each.group in groups for each in unit.bindings.of_application(application.id))


def test_a_code_shown_on_both_is_good_once(worlds: list[World]) -> None:
    for _ in range(ROUNDS):
        code = worlds[0].code(worlds[0].sign_in().secret)
        answers = at_once([partial(world.redeem, code) for world in worlds])
        assert sorted(type(answer).__name__ for answer in answers) == ["IssuedSession", "Refusal"]


def test_no_session_outlives_a_deactivation_at_the_same_moment(worlds: list[World]) -> None:
    """Whichever was first: there is no session, or what ends it came later by the clock they share."""
    for number in range(ROUNDS):
        with worlds[0].store.write(ADMIN) as unit:
            draft = UserDraft(username=f"user{number}", groups=frozenset({worlds[0].staff.id}))
            user = people.create_user(unit, draft)
        code = worlds[0].code(worlds[0].sign_in(user).secret)
        deactivate = partial(outcome, worlds[1].store, to(people.set_active, user.id, active=False))
        both: list[Callable[[], object]] = [partial(worlds[0].redeem, code), deactivate]
        answer, _ = at_once(both)
        if isinstance(answer, IssuedSession):
            with worlds[0].store.read() as unit:
                ends = [each for each in unit.revocations.live() if each.user == user.id and not each.changed]
            assert [answer.authenticated < each.at for each in ends] == [True]
        else:
            assert isinstance(answer, Refusal)
