"""Which outposts hold the directory, and what of it: while they serve a provider, those attributes that one shows."""
# long: what holds of one scope, read side by side

import asyncio
import json
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from control.domain.application import AttributeMapping
from control.domain.directory import Cursor, Shown
from control.fleet import directory as fleet_directory
from control.fleet.directory import NOWHERE
from control.link import course, translate
from control.link.server import Link
from control.store import Store, Unit
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


def show(store: Store, *sources: str, provider: str = "ldap-dir") -> None:
    """Let the provider show exactly these attributes of users."""
    shown = tuple(AttributeMapping(attribute=f"x-{place}", source=each) for place, each in enumerate(sources))
    with store.write(ADMIN) as unit:
        unit.ldap_providers.update(replace(unit.ldap_providers.get_named(provider), user_attributes=shown))


def provide(store: Store, name: str, *sources: str, application: bool = True) -> UUID:
    """Another provider, which no outpost serves."""
    with store.write(ADMIN) as unit:
        provider = unit.ldap_providers.add(builders.ldap_provider(name, base_dn=f"dc={name}"))
        if application:
            unit.applications.add(builders.application(name, provider=provider.id))
    show(store, *sources, provider=name)
    return provider.id


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


def test_what_providers_of_others_show_is_left_out(control: Control, given: Credentials) -> None:
    show(control.store, "team")
    provide(control.store, "hr", "salary", "phone")
    other = deploy_ldap(control.store, "other")
    show(control.store, "phone.home", provider="other-dir")

    async def story() -> None:
        async with (
            control.link() as link,
            ldap_outpost(link, given) as edge,
            ldap_outpost(link, control.enrol(other)) as another,
        ):
            for each, expected in ((edge, {"team": "blue"}), (another, {"phone": {"home": "1"}})):
                await each.hello()
                await copied(each)
                assert attributes(each) == {**expected, "uidNumber": 4711}
            with control.store.write(ADMIN) as unit:
                alice = unit.users.get_named("alice")
                changed = {"team": "red", "salary": 8, "phone": {"home": "3", "work": "4"}}
                unit.users.update(replace(alice, attributes=changed))
            for each, expected in ((edge, {"team": "red"}), (another, {"phone": {"home": "3"}})):
                (part,) = [await taken(each)]
                assert (len(part.entries), part.begins, part.complete) == (1, False, True)
                assert attributes(each) == expected

    play(story)


def test_what_others_show_anew_is_no_matter_of_an_outpost(control: Control, given: Credentials) -> None:
    show(control.store, "team", "phone")
    lonely = provide(control.store, "lonely", "salary")

    async def story() -> None:
        async with control.link() as link, ldap_outpost(link, given) as edge:
            await edge.hello()
            await edge.follow(directory_of(control.store, {"team", "phone"}))
            show(control.store, "team", "salary", provider="lonely")
            with control.store.write(ADMIN) as unit:
                unit.applications.remove(unit.applications.get_named("lonely"))
                unit.ldap_providers.remove(unit.ldap_providers.get(lonely))
            # The same in other words, and what has nothing to do with attributes.
            show(control.store, "phone", "phone.home", "team", "uidNumber")
            with control.store.write(ADMIN) as unit:
                unit.ldap_providers.update(replace(unit.ldap_providers.get_named("ldap-dir"), size_limit=7))
            await is_caught_up(link, control.store)
            with control.store.write(ADMIN) as unit:
                unit.users.update(replace(unit.users.get_named("alice"), name="Alicia"))
            await edge.follow(directory_of(control.store, {"team", "phone"}))
            assert edge.copies == 1
            held = edge.position
        async with control.link() as link, ldap_outpost(link, given) as again:
            again.position, again.entries = held, edge.entries
            await again.hello()
            await again.take()
            assert await again.silent(0.3)

    play(story)


def test_a_provider_that_comes_and_goes_brings_its_attributes_and_takes_them(
    control: Control, given: Credentials, deployed: Deployed
) -> None:
    show(control.store, "team")
    own = next(iter(deployed.outpost.providers))
    hr, alike = provide(control.store, "hr", "salary"), provide(control.store, "alike", "team")
    unused = provide(control.store, "unused", "phone", application=False)

    async def story() -> None:
        async with control.link() as link, ldap_outpost(link, given) as edge:
            await edge.hello()
            await edge.follow(directory_of(control.store, {"team"}))
            for providers, expected in (((own, hr), {"team": "blue", "salary": 7}), ((own,), {"team": "blue"})):
                serve(control.store, *providers)
                await copied(edge)
                assert attributes(edge) == {**expected, "uidNumber": 4711}
            copies = edge.copies
            serve(control.store, own, alike, unused)
            serve(control.store, alike, unused)
            await is_caught_up(link, control.store)
            with control.store.write(ADMIN) as unit:
                unit.users.update(replace(unit.users.get_named("alice"), name="Alicia"))
            await edge.follow(directory_of(control.store, {"team"}))
            assert edge.copies == copies
            with control.store.write(ADMIN) as unit:
                unit.applications.add(builders.application("at-last", provider=unused))
            await copied(edge)
            assert attributes(edge) == {"team": "blue", "phone": SECRETS["phone"], "uidNumber": 4711}

    play(story)


@pytest.mark.parametrize("how", ["edited", "taken away", "there and back"])
def test_a_copy_begins_anew_where_others_are_shown_meanwhile(
    control: Control, given: Credentials, deployed: Deployed, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Also where they are shown as before at its end: what was read in between is not."""
    monkeypatch.setattr(fleet_directory, "PAGE", 2)
    monkeypatch.setattr(translate, "DIRECTORY_PART_BYTES", 100)
    show(control.store, "team")
    own = next(iter(deployed.outpost.providers))
    hr = provide(control.store, "hr", "salary")
    serve(control.store, own, hr)
    with control.store.write(ADMIN) as unit:
        for number in range(12):
            unit.users.add(builders.user(f"u{number}", attributes=SECRETS))

    async def story() -> None:
        async with control.link() as link, ldap_outpost(link, given) as edge:
            await edge.hello()
            await edge.part()
            await edge.part()
            if how == "edited":
                show(control.store, provider="hr")
            else:
                serve(control.store, own)
            await edge.answer()
            await edge.answer()
            shown = {"team"}
            if how == "there and back":
                for _ in range(4):
                    await taken(edge)
                serve(control.store, own, hr)
                shown = {"team", "salary"}
            await edge.follow(directory_of(control.store, shown))
            assert edge.copies > 1

    play(story)


def test_what_becomes_private_with_the_mapping_is_not_sent_before_it(
    control: Control, given: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the link takes to hear that it is another set: what is shown is what the database says."""
    show(control.store, "team", "phone")

    async def story() -> None:
        async with control.link() as link, ldap_outpost(link, given) as edge:
            await edge.hello()
            await edge.follow(directory_of(control.store, {"team", "phone"}))

            async def never() -> None:
                await asyncio.Event().wait()

            monkeypatch.setattr(link.parts.revisions, "load", never)
            with control.store.write(ADMIN) as unit:
                provider = unit.ldap_providers.get_named("ldap-dir")
                unit.ldap_providers.update(replace(provider, user_attributes=provider.user_attributes[:1]))
                unit.users.update(replace(unit.users.get_named("alice"), attributes={"team": "a", "phone": "private"}))
            link.parts.feed.wake()
            await copied(edge)
            assert attributes(edge) == {"team": "a"}

    play(story)


def test_outposts_of_the_same_set_are_read_for_together(
    control: Control, given: Credentials, monkeypatch: pytest.MonkeyPatch
) -> None:
    show(control.store, "team")
    enrolled = [given, *(control.enrol(deploy_ldap(control.store, name)) for name in ("twin", "other"))]
    show(control.store, "team", provider="twin-dir")
    show(control.store, "salary", provider="other-dir")
    looks: list[Shown] = []
    found = fleet_directory.find_news

    def counted(unit: Unit, after: Cursor, shown: Shown) -> fleet_directory.News | None:
        looks.append(shown)
        return found(unit, after, shown)

    monkeypatch.setattr(course, "find_news", counted)

    async def story() -> None:
        async with control.link() as link, AsyncExitStack() as stack:
            edges = [await stack.enter_async_context(ldap_outpost(link, each)) for each in enrolled]
            for edge in edges:
                await edge.hello()
                await copied(edge)
            # Those that want it at the same moment, that is; who is slow to take the one before wants the next later.
            for number in range(20):
                looks.clear()
                with control.store.write(ADMIN) as unit:
                    unit.users.update(replace(unit.users.get_named("alice"), name=f"number {number}"))
                parts = [await taken(edge) for edge in edges]
                assert len({part.SerializeToString() for part in parts}) == 2
                if len(looks) == len(set(looks)) == 2:
                    break
            assert len(looks) == len(set(looks)) == 2

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
