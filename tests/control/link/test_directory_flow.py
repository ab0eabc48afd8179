"""How the directory flows: few parts at a time, none in the way of a config, read once, and on after failures."""
# long: what holds of one flow, read side by side

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from typing import Any
from uuid import uuid4

import grpc
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from control.domain.identity import User
from control.fleet import directory as fleet_directory
from control.link import copies, course, housekeeping, translate
from control.link import directory as directory_module
from control.link.server import Link
from control.store import Store, tables
from protos.outpost.v1 import link_pb2
from tests.support import builders
from tests.support.directories import LdapActress, directory_of, ldap_outpost
from tests.support.fleet import deploy_ldap
from tests.support.links import Control, Credentials, eventually
from tests.support.stores import ADMIN

MANY = 40


@pytest.fixture
def given(control: Control) -> Credentials:
    return control.enrol(deploy_ldap(control.store, "ldap"))


@pytest.fixture
def people(control: Control, monkeypatch: pytest.MonkeyPatch) -> list[User]:
    """So many that a copy is of many pages and parts."""
    monkeypatch.setattr(fleet_directory, "PAGE", 10)
    monkeypatch.setattr(translate, "DIRECTORY_PART_BYTES", 1000)
    with control.store.write(ADMIN) as unit:
        users = [unit.users.add(builders.user(f"u{number}", last_sign_in=None)) for number in range(MANY)]
        staff = unit.groups.add(builders.group("staff"))
        unit.memberships.set_users(staff.id, [user.id for user in users])
    return users


def rename(store: Store, user: User, name: str) -> None:
    with store.write(ADMIN) as unit:
        unit.users.update(replace(unit.users.get(user.id), name=name))


def play(story: Callable[[], Any]) -> None:
    asyncio.run(story())


def metric(link: Link, name: str) -> float:
    return link.parts.metrics.registry.get_sample_value(name) or 0.0


async def begin_copy(edge: LdapActress) -> None:
    """Say Hello and take as many parts as come without an answer."""
    await edge.hello()
    for _ in range(directory_module.WINDOW):
        await edge.part()


@pytest.mark.usefixtures("people")
def test_few_parts_are_on_their_way_and_a_config_waits_for_none(control: Control, given: Credentials) -> None:
    async def story() -> None:
        async with control.link() as link, ldap_outpost(link, given) as edge:
            await begin_copy(edge)
            # An outpost that answers no part is sent no other, but its configuration all the same.
            with control.store.write(ADMIN) as unit:
                outpost = unit.outposts.get_named("ldap")
                unit.outposts.update(replace(outpost, config={"log_level": "trace"}))
            (config,) = await edge.config()
            await edge.applied(config.revision)
            assert edge.resources["options"].options.log_level == "trace"
            assert edge.copies == 1
            assert edge.entries == {}
            await edge.answer()
            await edge.part()
            await edge.answer()
            await edge.answer()
            await edge.follow(directory_of(control.store))

    play(story)


def test_more_answers_than_parts_open_no_window() -> None:
    async def story() -> None:
        subscription = directory_module.Subscription(uuid4(), None, asyncio.Event())
        for _ in range(10):
            subscription.answered()
        for _ in range(directory_module.WINDOW):
            await subscription.send(link_pb2.WatchResponse())
        waiting = asyncio.create_task(subscription.send(link_pb2.WatchResponse()))
        await asyncio.sleep(0)
        assert not waiting.done()
        subscription.answered()
        await waiting

    play(story)


@pytest.mark.usefixtures("people")
def test_who_answers_nothing_is_cut(control: Control, given: Credentials, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        async with control.link() as link, ldap_outpost(link, given) as edge:
            await begin_copy(edge)
            # Counts for what is sent from now on.
            monkeypatch.setattr(directory_module, "ANSWER_SECONDS", 0.1)
            await edge.answer()
            with pytest.raises(grpc.aio.AioRpcError) as cut:
                # What that let through comes before the end.
                while await edge.call.read():
                    pass
            assert cut.value.code() is grpc.StatusCode.ABORTED
            assert "no answer to a part of the directory within 0.1 s" in (cut.value.details() or "")
            name = "garrison_link_refused_total"
            value = link.parts.metrics.registry.get_sample_value(name, {"reason": "directory_unanswered"})
            assert value == 1

    play(story)


@pytest.mark.usefixtures("people")
def test_a_copy_that_broke_off_begins_anew(control: Control, given: Credentials) -> None:
    async def story() -> None:
        async with control.link() as link:
            async with ldap_outpost(link, given) as edge:
                await begin_copy(edge)
                await edge.answer()
                await edge.part()
            async with ldap_outpost(link, given) as edge:
                await edge.hello()
                await edge.follow(directory_of(control.store))
                assert edge.copies == 1

    play(story)


def test_what_changes_while_a_copy_is_made_is_in_it(control: Control, given: Credentials, people: list[User]) -> None:
    first, *_, last = sorted(people, key=lambda user: user.id)

    async def story() -> None:
        async with control.link() as link, ldap_outpost(link, given) as edge:
            await begin_copy(edge)
            rename(control.store, first, "first")
            rename(control.store, last, "last")
            with control.store.write(ADMIN) as unit:
                unit.users.remove(unit.users.get(people[7].id))
                unit.groups.remove(unit.groups.get_named("staff"))
                for number in range(30):
                    unit.users.add(builders.user(f"new{number}"))
            for _ in range(directory_module.WINDOW):
                await edge.answer()
            await edge.follow(directory_of(control.store))
            assert edge.copies == 1

    play(story)


def test_a_copy_begins_anew_where_what_changed_meanwhile_was_trimmed(
    control: Control, given: Credentials, people: list[User], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("control.store.directory.KEPT_CHANGES", 2)

    async def story() -> None:
        async with control.link() as link, ldap_outpost(link, given) as edge:
            await begin_copy(edge)
            for number in range(5):
                rename(control.store, people[number], "changed")
            with control.store.write(ADMIN) as unit:
                unit.directory.trim()
            for _ in range(directory_module.WINDOW):
                await edge.answer()
            await edge.follow(directory_of(control.store))
            assert edge.copies == 2

    play(story)


def test_a_change_of_many_comes_in_parts_too(control: Control, given: Credentials, people: list[User]) -> None:
    async def story() -> None:
        async with control.link() as link, ldap_outpost(link, given) as edge:
            await edge.hello()
            await edge.follow(directory_of(control.store))
            with control.store.write(ADMIN) as unit:
                unit.groups.remove(unit.groups.get_named("staff"))
            parts = await edge.follow(directory_of(control.store))
            assert len(parts) > 4
            assert sum(len(part.entries) for part in parts) == MANY
            rename(control.store, people[0], "and on together")
            (part,) = await edge.follow(directory_of(control.store))
            assert len(part.entries) == 1
            assert edge.copies == 1

    play(story)


def test_what_changed_is_read_once_for_all(
    control: Control, people: list[User], monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed = deploy_ldap(control.store, "ldap")
    given = [control.enrol(deployed) for _ in range(5)]
    looks = Counter[str]()
    found = fleet_directory.find_news

    def counted(unit: Any, after: Any, shown: Any) -> Any:
        looks["at the log"] += 1
        return found(unit, after, shown)

    monkeypatch.setattr(course, "find_news", counted)

    async def story() -> None:
        async with control.link() as link, AsyncExitStack() as stack:
            edges = [await stack.enter_async_context(ldap_outpost(link, each)) for each in given]
            for edge in edges:
                await edge.hello()
                await edge.follow(directory_of(control.store))
            await eventually(lambda: metric(link, "garrison_link_directory_streams") == 5)
            rename(control.store, people[0], "settled")
            for edge in edges:
                await edge.follow(directory_of(control.store))
            looks.clear()
            rename(control.store, people[0], "once")
            parts = [await edge.follow(directory_of(control.store)) for edge in edges]
            assert len({part.SerializeToString() for (part,) in parts}) == 1
            assert looks["at the log"] == 1

    play(story)


def test_a_stream_that_is_slow_gets_all_there_was_meanwhile(
    control: Control, given: Credentials, people: list[User], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether what it missed is still in memory or has to be read again."""
    monkeypatch.setattr(directory_module, "RECENT", 3)

    async def story() -> None:
        async with control.link() as link, ldap_outpost(link, given) as edge:
            await edge.hello()
            await edge.follow(directory_of(control.store))
            for number in range(12):
                rename(control.store, people[number], f"round {number}")
                await eventually(lambda: link.parts.revisions.state.revision == revision(control.store))
            await edge.follow(directory_of(control.store))
            assert edge.copies == 1

    play(story)


def revision(store: Store) -> int:
    with store.read() as unit:
        return unit.revision()


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize("of", ["one outpost", "several"])
def test_few_copies_are_made_at_once(control: Control, monkeypatch: pytest.MonkeyPatch, of: str) -> None:
    monkeypatch.setattr(directory_module, "COPIES", 2 if of == "one outpost" else 1)
    monkeypatch.setattr(directory_module, "SILENT_SECONDS", 60.0)
    deployed = deploy_ldap(control.store, "ldap")
    others = deploy_ldap(control.store, "other")
    given = [control.enrol(deployed if of == "one outpost" else others) for _ in range(2)]
    given.insert(0, control.enrol(deployed))

    async def story() -> None:
        async with control.link() as link, AsyncExitStack() as stack:
            edges = [await stack.enter_async_context(ldap_outpost(link, each)) for each in given]
            await begin_copy(edges[0])
            for waiting in edges[1:]:
                await waiting.hello()
                await waiting.take()
            await eventually(lambda: metric(link, "garrison_link_directory_streams") == 3)
            assert metric(link, "garrison_link_directory_copies_total") == 1
            for _ in range(directory_module.WINDOW):
                await edges[0].answer()
            for edge in edges:
                await edge.follow(directory_of(control.store))
            assert metric(link, "garrison_link_directory_copies_total") == 3

    play(story)


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize("how", ["silent", "slow", "gone"])
def test_a_copy_that_takes_long_holds_up_no_other(control: Control, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    monkeypatch.setattr(directory_module, "COPIES", 1)
    monkeypatch.setattr(directory_module, "SILENT_SECONDS", 0.2 if how == "silent" else 60.0)
    monkeypatch.setattr(copies, "TURN_SECONDS", 0.2 if how == "slow" else 60.0)
    deployed = deploy_ldap(control.store, "ldap")
    given = [control.enrol(deployed) for _ in range(2)]

    async def story() -> None:
        async with control.link() as link, AsyncExitStack() as stack:
            slow, quick = [await stack.enter_async_context(ldap_outpost(link, each)) for each in given]
            await begin_copy(slow)
            await quick.hello()
            if how == "gone":
                slow.call.cancel()
            await quick.follow(directory_of(control.store))
            if how != "gone":
                for _ in range(directory_module.WINDOW):
                    await slow.answer()
                await slow.follow(directory_of(control.store))
                assert slow.copies == 1

    play(story)


@pytest.mark.usefixtures("people")
def test_silent_instances_of_one_outpost_hold_up_no_other_outpost(control: Control) -> None:
    """However many: each of them would be silent for a while before the next has its turn."""
    crowd = deploy_ldap(control.store, "crowd")
    good = deploy_ldap(control.store, "good")

    async def story() -> None:
        async with control.link() as link, AsyncExitStack() as stack:
            for _ in range(20):
                silent = await stack.enter_async_context(ldap_outpost(link, control.enrol(crowd)))
                await silent.hello()
            await eventually(lambda: metric(link, "garrison_link_directory_streams") == 20)
            edge = await stack.enter_async_context(ldap_outpost(link, control.enrol(good)))
            await edge.hello()
            async with asyncio.timeout(2 * directory_module.SILENT_SECONDS):
                await edge.follow(directory_of(control.store))

    play(story)


@pytest.mark.usefixtures("people")
def test_who_was_silent_waits_for_another_turn(control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else many that are silent for a moment would all be sent theirs at once."""
    monkeypatch.setattr(directory_module, "COPIES", 1)
    monkeypatch.setattr(directory_module, "SILENT_SECONDS", 0.1)
    deployed = deploy_ldap(control.store, "ldap")
    given = [control.enrol(deployed) for _ in range(2)]

    async def story() -> None:
        async with control.link() as link, AsyncExitStack() as stack:
            first, second = [await stack.enter_async_context(ldap_outpost(link, each)) for each in given]
            await begin_copy(first)
            await eventually(lambda: not link.parts.feed._copies._busy)
            monkeypatch.setattr(directory_module, "SILENT_SECONDS", 60.0)
            await begin_copy(second)
            await first.answer()
            # What was read before it fell silent; what comes after that waits.
            await first.part()
            await first.answer()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await asyncio.shield(waiting := asyncio.ensure_future(first.part()))
            await second.answer()
            await second.answer()
            await second.follow(directory_of(control.store))
            await waiting
            await first.answer()
            await first.follow(directory_of(control.store))

    play(story)


@contextmanager
def database_away(store: Store) -> Iterator[Counter[str]]:
    """Whoever asks for the feed or for users finds no database."""
    failed = Counter[str]()
    is_away = True

    def fail(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if is_away and ("directory" in statement or "FROM users" in statement):
            failed["statements"] += 1
            raise OperationalError(statement, {}, OSError("away"))

    # Stays there: who takes it away spoils the list for threads that are just going through it.
    sa.event.listen(store._engine, "before_cursor_execute", fail)
    try:
        yield failed
    finally:
        is_away = False


@pytest.mark.parametrize("when", ["before a copy", "in the middle of one", "after it"])
def test_a_database_that_is_away_breaks_no_stream(
    control: Control, given: Credentials, people: list[User], monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    monkeypatch.setattr(directory_module, "RETRY_SECONDS", 0.05)

    async def story() -> None:
        async with control.link() as link, ldap_outpost(link, given) as edge:
            if when == "in the middle of one":
                await begin_copy(edge)
            elif when == "after it":
                await edge.hello()
                await edge.follow(directory_of(control.store))
                rename(control.store, people[0], "changed")
            with database_away(control.store) as failed:
                if when == "before a copy":
                    await edge.hello()
                elif when == "in the middle of one":
                    for _ in range(directory_module.WINDOW):
                        await edge.answer()
                    # Of the page that was read before, there may be some parts left.
                    while failed["statements"] < 2:
                        await edge.part()
                        await edge.answer()
                else:
                    with pytest.raises(OperationalError):
                        rename(control.store, people[1], "not written")
                    link.parts.feed.wake()
                await eventually(lambda: failed["statements"] > 1)
            await edge.follow(directory_of(control.store))
            rename(control.store, people[2], "and on")
            await edge.follow(directory_of(control.store))

    play(story)


def test_a_database_that_was_put_back_in_time_is_sent_as_it_is(
    control: Control, given: Credentials, people: list[User]
) -> None:
    """As when a replica takes over that lacks the last commits: what it never heard of is undone at outposts too."""

    async def story() -> None:
        async with control.link() as link:
            async with ldap_outpost(link, given) as edge:
                await edge.hello()
                await edge.follow(directory_of(control.store))
                before = revision(control.store)
                rename(control.store, people[0], "never was")
                await edge.follow(directory_of(control.store))
                lost = edge.position
                undo(control.store, before, people[0])
                link.parts.revisions.refresh()
                await edge.follow(directory_of(control.store))
                assert edge.copies == 2
            for number in range(3):
                rename(control.store, people[1], f"another history {number}")
            async with ldap_outpost(link, given) as edge:
                # Its position is one that the database has reached since, in another way.
                edge.position = lost
                await edge.hello()
                await edge.follow(directory_of(control.store))
                assert edge.copies == 1

    play(story)


def test_who_read_what_then_never_was_finds_out_though_the_feed_has_not(
    control: Control, given: Credentials, people: list[User], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream that looked for itself may be ahead of what is read for all."""

    async def story() -> None:
        async with control.link() as link, ldap_outpost(link, given) as edge:
            await edge.hello()
            await edge.follow(directory_of(control.store))
            before, feed = revision(control.store), link.parts.feed
            with monkeypatch.context() as deaf:
                deaf.setattr(feed, "wake", lambda: None)
                rename(control.store, people[0], "never was")
                await eventually(lambda: link.parts.revisions.state.revision > before)
                # As if what changed before had been too much to be read for all.
                feed._starts += 1
                for subscription in feed._subscriptions:
                    subscription.moved.set()
                await edge.part()
            undo(control.store, before, people[0])
            await edge.answer()
            link.parts.revisions.refresh()
            await edge.follow(directory_of(control.store))
            assert edge.copies == 2

    play(story)


def test_a_restored_backup_is_known_by_its_epoch(control: Control, given: Credentials, people: list[User]) -> None:
    async def story() -> None:
        before = revision(control.store)
        async with control.link() as link, ldap_outpost(link, given) as edge:
            await edge.hello()
            await edge.follow(directory_of(control.store))
            rename(control.store, people[0], "never was")
            await edge.follow(directory_of(control.store))
            lost = edge.position
        undo(control.store, before, people[0])
        for number in range(3):
            rename(control.store, people[1], f"another history {number}")
        async with control.link() as link, ldap_outpost(link, given) as edge:
            edge.position = lost
            await edge.hello()
            await edge.follow(directory_of(control.store))
            assert edge.copies == 1

    play(story)


def undo(store: Store, revision: int, user: User) -> None:
    """Bring the database back to where it was before its last change, as a backup would."""
    with store.write(ADMIN) as unit:
        connection = unit.users.context.connection
        connection.execute(sa.update(tables.revision).values(n=revision))
        connection.execute(sa.update(tables.users).where(tables.users.c.id == user.id).values(name=user.name))
        for log in (tables.directory_changes, tables.directory_epochs):
            connection.execute(sa.delete(log).where(log.c.revision > revision))


def test_an_entry_that_is_too_large_is_left_out_and_counted(
    control: Control, given: Credentials, people: list[User], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(course, "ENTRY_BYTES", 1000)
    large = people[0]

    async def story() -> None:
        async with control.link() as link, ldap_outpost(link, given) as edge:
            await edge.hello()
            await edge.follow(directory_of(control.store))
            with control.store.write(ADMIN) as unit:
                unit.users.update(replace(unit.users.get(large.id), attributes={"photo": "x" * 1000}))
            wanted = directory_of(control.store)
            del wanted[f"user/{large.id}"]
            await edge.follow(wanted)
            assert metric(link, "garrison_link_directory_too_large_total") >= 1
        async with control.link() as link, ldap_outpost(link, given) as edge:
            await edge.hello()
            await edge.follow(wanted)
            assert metric(link, "garrison_link_directory_too_large_total") >= 1
            rename(control.store, people[1], "and on")
            wanted[f"user/{people[1].id}"] = directory_of(control.store)[f"user/{people[1].id}"]
            await edge.follow(wanted)

    play(story)


def test_housekeeping_trims_the_log(control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("control.store.directory.KEPT_CHANGES", 2)
    with control.store.write(ADMIN) as unit:
        for number in range(5):
            unit.users.add(builders.user(f"u{number}"))

    async def story() -> None:
        async with control.link() as link:
            await housekeeping.clean_up(control.store, link.parts.revisions, link.parts.roster, link.credentials)

    play(story)
    with control.store.read() as unit:
        log = tables.directory_changes
        assert unit.users.context.rows(sa.select(log.c.revision)) == []
