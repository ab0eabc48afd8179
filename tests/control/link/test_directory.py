"""The directory on its way to outposts, over real gRPC: who gets it, how much at a time, and what each change costs."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from control.domain.identity import User, UserKind
from control.domain.outpost import OutpostType
from control.link.server import Link
from control.store import Store
from control.store import directory as log_module
from protos.outpost.v1 import directory_pb2, link_pb2
from tests.support import builders
from tests.support.directories import directory_of, ldap_outpost
from tests.support.fleet import Deployed, deploy, deploy_ldap
from tests.support.links import Control, Credentials, eventually, outpost
from tests.support.stores import ADMIN


@pytest.fixture
def deployed(control: Control) -> Deployed:
    return deploy_ldap(control.store, "ldap")


@pytest.fixture
def given(control: Control, deployed: Deployed) -> Credentials:
    return control.enrol(deployed)


@pytest.fixture
def people(control: Control) -> list[User]:
    """Some of each kind, in groups within groups."""
    return populate(control.store, 6)


def populate(store: Store, count: int) -> list[User]:
    with store.write(ADMIN) as unit:
        everyone = unit.groups.add(builders.group("everyone"))
        staff = unit.groups.add(builders.group("staff", parents=frozenset({everyone.id}), attributes={"gid": 7}))
        # Who never signed in has no session that a proxy outpost would have to hear of.
        users = [builders.user(f"u{number}", attributes={"n": number}, last_sign_in=None) for number in range(count)]
        users.append(builders.user("robot", kind=UserKind.SERVICE, active=False, last_sign_in=None))
        for user in users:
            unit.users.add(user)
            unit.memberships.set_groups(user.id, [staff.id, everyone.id])
    return users


def rename(store: Store, user: User, name: str) -> None:
    with store.write(ADMIN) as unit:
        unit.users.update(replace(unit.users.get(user.id), name=name))


def play(story: Callable[[], Any]) -> None:
    asyncio.run(story())


def metric(link: Link, name: str) -> float:
    return link.parts.metrics.registry.get_sample_value(name) or 0.0


def test_hello_is_answered_with_all_there_is(control: Control, given: Credentials, people: list[User]) -> None:
    wanted = directory_of(control.store)
    assert len(wanted) == len(people) + 2

    async def story() -> None:
        async with control.link() as link, ldap_outpost(link, given) as edge:
            await edge.hello()
            parts = await edge.follow(wanted)
            assert [part.begins for part in parts] == [True] + [False] * (len(parts) - 1)
            assert [part.complete for part in parts] == [False] * (len(parts) - 1) + [True]
            assert sum(len(part.entries) for part in parts) == len(wanted)
            assert metric(link, "garrison_link_directory_copies_total") == 1
            assert metric(link, "garrison_link_directory_streams") == 1
        assert metric(link, "garrison_link_directory_streams") == 0

    play(story)


def test_accounts_of_outposts_are_in_no_copy_and_no_change(
    control: Control, given: Credentials, people: list[User]
) -> None:
    async def story() -> None:
        async with control.link() as link, ldap_outpost(link, given) as edge:
            await edge.hello()
            await edge.follow(directory_of(control.store))
            deploy(control.store, "another", ("wiki",))
            with control.store.write(ADMIN) as unit:
                own = next(user for user in unit.users.all() if user.kind is UserKind.OUTPOST)
                unit.users.update(replace(own, name="renamed"))
                unit.users.update(replace(unit.users.get(people[0].id), name="last"))
            (part,) = await edge.follow(directory_of(control.store))
            assert (len(part.entries), list(part.removed)) == (1, [])
            assert not any("ak-outpost" in entry.user.username for entry in edge.entries.values())

    play(story)


@pytest.mark.parametrize(("kind", "protocol"), [(OutpostType.PROXY, 1), (OutpostType.PROXY, 2), (OutpostType.LDAP, 1)])
def test_nobody_else_is_sent_anything_of_it(
    control: Control, people: list[User], kind: OutpostType, protocol: int
) -> None:
    """Proxy outposts never, whatever position they claim; nor those that would not know what it is."""
    given = control.enrol(deploy(control.store, "other", ("wiki",), type=kind))
    position = link_pb2.DirectoryPosition(epoch=str(uuid4()), position=1)

    async def story() -> None:
        async with control.link() as link, outpost(link, given) as edge:
            await edge.hello(type=str(kind), protocol=protocol, directory=position)
            await edge.take()
            applied = link_pb2.DirectoryApplied(position=position)
            await edge.say(link_pb2.WatchRequest(directory_applied=applied))
            rename(control.store, people[0], "Another")
            await eventually(lambda: link.parts.revisions.state.revision == revision(control.store))
            assert await edge.silent(0.3)
            assert metric(link, "garrison_link_directory_streams") == 0

    play(story)


def revision(store: Store) -> int:
    with store.read() as unit:
        return unit.revision()


def test_a_change_to_one_user_is_one_entry_and_is_there_at_once(
    control: Control, given: Credentials, people: list[User]
) -> None:
    async def story() -> None:
        async with control.link() as link, ldap_outpost(link, given) as edge:
            await edge.hello()
            await edge.follow(directory_of(control.store))
            took, sizes = [], []
            for number in range(5):
                before = time.monotonic()
                rename(control.store, people[number], f"new name {number}")
                (part,) = await edge.follow(directory_of(control.store))
                took.append(time.monotonic() - before)
                assert (len(part.removed), part.complete) == (0, True)
                sizes.append(len(part.entries))
            assert min(took) < 0.25, took
            # One more at most: an outpost that found its own way to the present may be told again what it saw there.
            assert sorted(sizes)[2] == 1, sizes

    play(story)


def test_a_removed_group_takes_its_memberships_along(control: Control, given: Credentials, people: list[User]) -> None:
    async def story() -> None:
        async with control.link() as link, ldap_outpost(link, given) as edge:
            await edge.hello()
            await edge.follow(directory_of(control.store))
            with control.store.write(ADMIN) as unit:
                unit.groups.remove(unit.groups.get_named("everyone"))
            (part,) = await edge.follow(directory_of(control.store))
            assert (len(part.entries), len(part.removed)) == (len(people) + 1, 1)

    play(story)


def test_an_outpost_goes_on_from_where_it_was(control: Control, given: Credentials, people: list[User]) -> None:
    async def story() -> None:
        async with control.link() as link:
            async with ldap_outpost(link, given) as edge:
                await edge.hello()
                await edge.follow(directory_of(control.store))
                held, position = edge.entries, edge.position
            rename(control.store, people[1], "Renamed")
            with control.store.write(ADMIN) as unit:
                unit.users.remove(unit.users.get(people[2].id))
            async with ldap_outpost(link, given) as edge:
                edge.entries, edge.position = held, position
                await edge.hello()
                (part,) = await edge.follow(directory_of(control.store))
                # One is renamed, and two groups have a member less.
                assert (len(part.entries), list(part.removed)) == (3, [f"user/{people[2].id}"])
                assert edge.copies == 0

    play(story)


@pytest.mark.usefixtures("people")
def test_who_lacks_nothing_is_sent_nothing(control: Control, given: Credentials) -> None:
    async def story() -> None:
        async with control.link() as link:
            async with ldap_outpost(link, given) as edge:
                await edge.hello()
                await edge.follow(directory_of(control.store))
                resources, held, position = edge.held, edge.entries, edge.position
            async with ldap_outpost(link, given) as edge:
                edge.held, edge.entries, edge.position = resources, held, position
                await edge.connect()
                # Nor for changes of other things.
                with control.store.write(ADMIN) as unit:
                    unit.applications.add(builders.application("unserved"))
                await eventually(lambda: link.parts.revisions.state.revision == revision(control.store))
                assert await edge.silent(0.3)

    play(story)


def test_a_restarted_control_leads_on(control: Control, given: Credentials, people: list[User]) -> None:
    async def story() -> None:
        async with control.link() as link, ldap_outpost(link, given) as edge:
            await edge.hello()
            await edge.follow(directory_of(control.store))
            held, position = edge.entries, edge.position
        rename(control.store, people[1], "Renamed")
        async with control.link() as link, ldap_outpost(link, given) as edge:
            edge.entries, edge.position = held, position
            await edge.hello()
            (part,) = await edge.follow(directory_of(control.store))
            assert (len(part.entries), edge.copies) == (1, 0)

    play(story)


def claims(position: link_pb2.DirectoryPosition) -> list[link_pb2.DirectoryPosition]:
    """Positions that lead nowhere."""
    return [
        link_pb2.DirectoryPosition(epoch=str(uuid4()), position=position.position),
        link_pb2.DirectoryPosition(epoch=position.epoch, position=position.position + 1000),
        link_pb2.DirectoryPosition(epoch=position.epoch, position=2**64 - 1),
        link_pb2.DirectoryPosition(epoch=position.epoch, position=0),
        link_pb2.DirectoryPosition(epoch="no uuid", position=position.position),
        link_pb2.DirectoryPosition(),
    ]


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize("number", range(6))
def test_a_position_that_leads_nowhere_gets_a_whole_copy(control: Control, given: Credentials, number: int) -> None:
    async def story() -> None:
        async with control.link() as link:
            async with ldap_outpost(link, given) as edge:
                await edge.hello()
                await edge.follow(directory_of(control.store))
                position = edge.position
            assert position is not None
            async with ldap_outpost(link, given) as edge:
                edge.entries = {"user/gone": directory_pb2.DirectoryEntry(key="user/gone")}
                await edge.hello(directory=claims(position)[number])
                await edge.follow(directory_of(control.store))
                assert edge.copies == 1

    play(story)


def test_what_was_trimmed_is_sent_as_a_whole_copy(
    control: Control, given: Credentials, people: list[User], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_module, "KEPT_CHANGES", 2)

    async def story() -> None:
        async with control.link() as link:
            async with ldap_outpost(link, given) as edge:
                await edge.hello()
                await edge.follow(directory_of(control.store))
                position = edge.position
            for number in range(3):
                rename(control.store, people[number], "Renamed")
            with control.store.write(ADMIN) as unit:
                unit.directory.trim()
            async with ldap_outpost(link, given) as edge:
                edge.position = position
                await edge.hello()
                await edge.follow(directory_of(control.store))
                assert edge.copies == 1

    play(story)
