"""Which outposts hold the directory, and what of it: while they serve a provider, those attributes that one shows."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from control.domain.application import AttributeMapping
from control.fleet.directory import NOWHERE
from control.link.server import Link
from control.store import Store
from protos.outpost.v1 import link_pb2
from tests.support import builders
from tests.support.directories import LdapActress, directory_of, ldap_outpost
from tests.support.fleet import Deployed, deploy_ldap
from tests.support.links import Control, Credentials, eventually
from tests.support.stores import ADMIN

SECRETS = {"team": "blue", "salary": 7, "phone": {"home": "1", "work": "2"}, "uidNumber": 4711}


@pytest.fixture
def deployed(control: Control) -> Deployed:
    return deploy_ldap(control.store)


@pytest.fixture
def given(control: Control, deployed: Deployed) -> Credentials:
    with control.store.write(ADMIN) as unit:
        unit.users.add(builders.user("alice", attributes=SECRETS, last_sign_in=None))
    return control.enrol(deployed)


def play(story: Callable[[], Any]) -> None:
    asyncio.run(story())


def serve(store: Store, *providers: UUID) -> None:
    """Let the outpost serve exactly these."""
    with store.write(ADMIN) as unit:
        unit.outposts.update(replace(unit.outposts.get_named("ldap"), providers=frozenset(providers)))


def show(store: Store, *sources: str) -> None:
    """Let the provider show exactly these attributes of users."""
    shown = tuple(AttributeMapping(attribute=f"x-{place}", source=each) for place, each in enumerate(sources))
    with store.write(ADMIN) as unit:
        (provider,) = unit.ldap_providers.all()
        unit.ldap_providers.update(replace(provider, user_attributes=shown))


def attributes(edge: LdapActress) -> dict[str, Any]:
    """Of the one user, as they are held."""
    (user,) = (entry.user for entry in edge.entries.values() if entry.WhichOneof("body") == "user")
    found: dict[str, Any] = json.loads(user.attributes)
    return found


async def copied(edge: LdapActress) -> None:
    """Take the next whole copy."""
    copies, part = edge.copies, await taken(edge)
    while edge.copies == copies or not part.complete:
        part = await taken(edge)


async def taken(edge: LdapActress) -> link_pb2.Directory:
    part = await edge.part()
    await edge.answer()
    return part


async def is_caught_up(link: Link, store: Store) -> None:
    def is_there() -> bool:
        with store.read() as unit:
            return link.parts.revisions.state.revision == unit.revision()

    await eventually(is_there)


def test_who_serves_nothing_holds_nothing(control: Control, given: Credentials) -> None:
    serve(control.store)

    async def story() -> None:
        async with control.link() as link, ldap_outpost(link, given) as edge:
            await edge.hello()
            await edge.take()
            with control.store.write(ADMIN) as unit:
                unit.users.add(builders.user("bob"))
            await is_caught_up(link, control.store)
            assert await edge.silent(0.3)

    play(story)


def test_what_was_held_is_let_go_where_nothing_is_served(control: Control, given: Credentials) -> None:
    serve(control.store)

    async def story() -> None:
        async with control.link() as link, ldap_outpost(link, given) as edge:
            edge.position = link_pb2.DirectoryPosition(epoch=str(uuid4()), position=3)
            edge.entries = directory_of(control.store)
            await edge.hello()
            await copied(edge)
            assert edge.entries == {}
            assert edge.position == link_pb2.DirectoryPosition(epoch=str(NOWHERE.epoch), position=0)
        async with control.link() as link, ldap_outpost(link, given) as again:
            # There is nothing to let go any more.
            again.position = edge.position
            await again.hello()
            await again.take()
            assert await again.silent(0.3)

    play(story)


def test_a_connected_outpost_gets_and_loses_it_with_its_provider(control: Control, given: Credentials) -> None:
    with control.store.read() as unit:
        (shown,) = unit.ldap_providers.all()

    async def story() -> None:
        async with control.link() as link, ldap_outpost(link, given) as edge:
            await edge.hello()
            await edge.follow(directory_of(control.store))
            for _ in range(2):
                serve(control.store)
                await copied(edge)
                assert edge.entries == {}
                serve(control.store, shown.id)
                await edge.follow(directory_of(control.store))
                assert edge.entries == directory_of(control.store)
            with control.store.write(ADMIN) as unit:
                unit.users.add(builders.user("bob"))
            (part,) = await edge.follow(directory_of(control.store))
            assert (len(part.entries), part.begins) == (1, False)

    play(story)


def test_an_application_makes_a_provider_that_is_served(control: Control, given: Credentials) -> None:
    with control.store.write(ADMIN) as unit:
        unit.applications.remove(unit.applications.get_named("ldap-dir"))
        (shown,) = unit.ldap_providers.all()

    async def story() -> None:
        async with control.link() as link, ldap_outpost(link, given) as edge:
            await edge.hello()
            await edge.take()
            assert list(edge.resources) == ["options"]
            with control.store.write(ADMIN) as unit:
                unit.applications.add(builders.application("late", provider=shown.id))
            await edge.follow(directory_of(control.store))

    play(story)


def test_private_attributes_never_leave(control: Control, given: Credentials) -> None:
    show(control.store)

    async def story() -> None:
        async with control.link() as link, ldap_outpost(link, given) as edge:
            await edge.hello()
            await edge.follow(directory_of(control.store))
            assert attributes(edge) == {"uidNumber": 4711}
            with control.store.write(ADMIN) as unit:
                alice = unit.users.get_named("alice")
                unit.users.update(replace(alice, attributes={**SECRETS, "salary": 8}, name="Alicia"))
            (part,) = await edge.follow(directory_of(control.store))
            assert b"salary" not in part.SerializeToString()
            assert attributes(edge) == {"uidNumber": 4711}

    play(story)


def test_a_connected_outpost_gets_a_whole_copy_when_others_are_shown(control: Control, given: Credentials) -> None:
    show(control.store, "team")

    async def story() -> None:
        async with control.link() as link, ldap_outpost(link, given) as edge:
            await edge.hello()
            await edge.follow(directory_of(control.store))
            assert attributes(edge) == {"team": "blue", "uidNumber": 4711}
            for sources, expected in (
                (("team", "phone.work"), {"team": "blue", "phone": {"work": "2"}}),
                (("phone.work",), {"phone": {"work": "2"}}),
                ((), {}),
            ):
                show(control.store, *sources)
                await copied(edge)
                assert attributes(edge) == {**expected, "uidNumber": 4711}
            with control.store.write(ADMIN) as unit:
                unit.users.update(replace(unit.users.get_named("alice"), name="Alicia"))
            (part,) = [await taken(edge)]
            assert (len(part.entries), part.begins, part.complete) == (1, False, True)

    play(story)


def test_an_outpost_that_was_away_gets_a_whole_copy_when_others_are_shown(control: Control, given: Credentials) -> None:
    show(control.store, "team", "salary")

    async def story() -> None:
        async with control.link() as link, ldap_outpost(link, given) as edge:
            await edge.hello()
            await edge.follow(directory_of(control.store))
        show(control.store, "team")
        async with control.link() as link, ldap_outpost(link, given) as again:
            again.position, again.entries = edge.position, edge.entries
            await again.hello()
            await copied(again)
            assert attributes(again) == {"team": "blue", "uidNumber": 4711}

    play(story)


def test_numbers_and_times_go_along(control: Control, given: Credentials) -> None:
    with control.store.write(ADMIN) as unit:
        alice = unit.users.get_named("alice")
        unit.users.update(replace(alice, password_hash="x", password_changed=builders.WHEN))
        staff = unit.groups.add(builders.group("staff"))

    async def story() -> None:
        async with control.link() as link, ldap_outpost(link, given) as edge:
            await edge.hello()
            await edge.follow(directory_of(control.store))
            user, group = edge.entries[f"user/{alice.id}"].user, edge.entries[f"group/{staff.id}"].group
            assert (user.number, group.number) == (alice.number, 1_000_000)
            assert user.password_changed.ToDatetime(builders.WHEN.tzinfo) == builders.WHEN
            assert group.created.ToDatetime(builders.WHEN.tzinfo) == builders.WHEN
            assert group.updated == group.created

    play(story)
