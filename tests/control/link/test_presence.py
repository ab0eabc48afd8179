"""Several link processes on one database: who holds an instance, who lives, and how a change gets around."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import grpc
import pytest

from control.domain.outpost import Instance, InstanceState, LinkProcess
from control.fleet.instances import history
from control.link import revisions
from control.link.presence import BEAT_SECONDS, DEAD_AFTER, find_dead, look, read_seat
from control.link.server import Link
from control.store import DatabaseUnavailable, Store
from tests.support import builders
from tests.support.databases import Database
from tests.support.directories import directory_of, ldap_outpost
from tests.support.fleet import Deployed, deploy, deploy_ldap
from tests.support.links import Actress, Control, Credentials, eventually, outpost
from tests.support.stores import ADMIN, Clock, Wakes


@dataclass
class Replicas:
    """Two of them; neither is woken by what the other writes."""

    a: Control
    b: Control
    deployed: Deployed
    given: Credentials

    @asynccontextmanager
    async def links(self) -> AsyncIterator[tuple[Link, Link]]:
        async with self.a.link() as a, self.b.link() as b:
            yield a, b

    def shown(self) -> Instance:
        """The outpost's one instance in the database."""
        with self.a.store.read() as unit:
            (instance,) = unit.instances.of_outpost(self.deployed.outpost.id)
        return instance

    def is_shown(self, state: InstanceState, holder: UUID | None) -> bool:
        with self.a.store.read() as unit:
            instances = unit.instances.of_outpost(self.deployed.outpost.id)
        return [(each.state, each.holder) for each in instances] == [(state, holder)]

    def told(self) -> list[str]:
        """The kinds of what the history says, the oldest first."""
        with self.a.store.read() as unit:
            events = history(unit, self.deployed.outpost, self.given.uid)
        return [str(event.kind) for event in sorted(events, key=lambda event: event.at)]


@pytest.fixture
def replicas(database: Database, clock: Clock, tmp_path: Path) -> Replicas:
    controls = []
    for name in ("a", "b"):
        wakes, folder = Wakes(), tmp_path / name
        folder.mkdir()
        controls.append(Control(database.store(clock, wakes), clock, wakes, folder))
    deployed = deploy(controls[0].store)
    return Replicas(controls[0], controls[1], deployed, controls[0].enrol(deployed))


def processes(store: Store) -> list[LinkProcess]:
    with store.read() as unit:
        return unit.link_processes.all()


async def beat(link: Link) -> None:
    """What happens every ten seconds."""
    await link.parts.presence.beat(link.parts.on_round)


async def beats(link: Link, clock: Clock, seconds: float) -> None:
    """What happens within so many seconds."""
    for _ in range(int(seconds / BEAT_SECONDS)):
        clock.advance(seconds=BEAT_SECONDS)
        await beat(link)


async def connected(replicas: Replicas, link: Link, edge: Actress) -> None:
    """The instance has said Hello there and what it has applied, and the database knows both: no more is to be told."""
    await edge.hello()
    revision = (await edge.take()).revision
    await eventually(lambda: replicas.is_shown(InstanceState.CONNECTED, link.parts.presence.id))
    await eventually(lambda: replicas.shown().applied_revision == revision)


def rename(store: Store, name: str) -> None:
    with store.write(ADMIN) as unit:
        unit.proxy_providers.update(replace(unit.proxy_providers.all()[0], name=name))


def hears_commits(link: Link) -> float | None:
    return link.parts.metrics.registry.get_sample_value("garrison_link_hears_commits")


def test_a_change_on_one_reaches_outposts_on_the_other(replicas: Replicas, database: Database) -> None:
    """At once where the database tells; else with the next look, four times a second."""

    async def play() -> list[float]:
        took = []
        async with replicas.links() as (_, b), outpost(b, replicas.given) as edge:
            await edge.connect()
            await eventually(lambda: hears_commits(b) == (database.kind == "postgresql"))
            for number in range(5):
                begun = time.monotonic()
                await asyncio.to_thread(rename, replicas.a.store, f"renamed-{number}")
                await edge.take()
                took.append(time.monotonic() - begun)
        return took

    took = asyncio.run(play())
    assert sorted(took)[2] < (0.9 if database.kind == "postgresql" else 2), took


def test_the_directory_goes_on_at_the_other_where_it_was(replicas: Replicas) -> None:
    a, b = replicas.a.store, replicas.b.store
    ldap = deploy_ldap(a, "ldap")
    given = replicas.a.enrol(ldap)
    with a.write(ADMIN) as unit:
        unit.users.add(builders.user("alice"))

    async def play() -> None:
        async with replicas.links() as (link_a, link_b):
            async with ldap_outpost(link_a, given) as first:
                await first.hello()
                await first.follow(directory_of(a))
            with a.write(ADMIN) as unit:
                unit.users.add(builders.user("bob"))
            async with ldap_outpost(link_b, given) as second:
                second.position, second.entries = first.position, first.entries
                await second.hello()
                await second.follow(directory_of(b))
                await asyncio.to_thread(add_user, a, "carol")
                await second.follow(directory_of(b))
                assert (first.copies, second.copies) == (1, 0)

    asyncio.run(play())


def add_user(store: Store, name: str) -> None:
    with store.write(ADMIN) as unit:
        unit.users.add(builders.user(name))


def test_an_outage_of_the_database_is_said_once_and_over_when_it_answers(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(revisions, "RETRY_SECONDS", 0.01)
    caplog.set_level(logging.INFO, "control.link")
    tries: list[int] = []

    def fail() -> None:
        tries.append(len(tries))
        raise DatabaseUnavailable("SELECT", None, Exception("away"))

    async def play() -> None:
        async with replicas.a.link() as a, outpost(a, replicas.given) as edge:
            await edge.connect()
            with monkeypatch.context() as patch:
                patch.setattr(replicas.a.store, "read", fail)
                a.parts.revisions.wake()
                await eventually(lambda: len(tries) > 5)
            await asyncio.to_thread(rename, replicas.b.store, "renamed")
            await edge.take()

    asyncio.run(play())
    told = [record.getMessage() for record in caplog.records if record.getMessage().startswith("the database")]
    assert told == ["the database can't be read", "the database can be read again"]


def test_who_calls_another_belongs_to_that_one(replicas: Replicas) -> None:
    async def play() -> None:
        async with replicas.links() as (a, b), outpost(a, replicas.given) as old, outpost(b, replicas.given) as new:
            await connected(replicas, a, old)
            before = replicas.shown().id
            await connected(replicas, b, new)
            assert replicas.shown().id == before
            # What the first one still says of it counts no more.
            await old.health(last_error="stale")
            await eventually(lambda: a.parts.roster.instances[old.key(replicas.deployed)].last_error == "stale")
            await a.parts.roster.save()
            assert replicas.shown().last_error == ""
            replicas.a.clock.advance(seconds=1)
            await beat(a)
            assert await old.status() == (
                grpc.StatusCode.ABORTED,
                "a newer stream of this instance took its place",
            )
            await a.parts.roster.save()
            assert replicas.is_shown(InstanceState.CONNECTED, b.parts.presence.id)
            assert replicas.told() == ["connected", "connected"]
            # And back.
            async with outpost(a, replicas.given) as again:
                await connected(replicas, a, again)
                replicas.a.clock.advance(seconds=1)
                await beat(b)
                assert (await new.status())[0] is grpc.StatusCode.ABORTED

    asyncio.run(play())


def test_who_has_just_called_is_not_sent_away_by_what_was_read_before(replicas: Replicas) -> None:
    async def play() -> None:
        async with replicas.links() as (a, b), outpost(a, replicas.given) as old:
            await connected(replicas, a, old)
            elsewhere, before = frozenset({old.key(replicas.deployed)}), replicas.b.clock.now
            async with outpost(b, replicas.given) as new:
                await new.connect()
                assert b.parts.roster.taken(elsewhere, before) == []
                await eventually(lambda: replicas.is_shown(InstanceState.CONNECTED, b.parts.presence.id))
                assert b.parts.roster.taken(elsewhere, before) == []
                assert b.parts.roster.taken(elsewhere, before + timedelta(seconds=1)) == [new.key(replicas.deployed)]

    asyncio.run(play())


def test_each_counts_its_own(replicas: Replicas) -> None:
    def metric(link: Link) -> float | None:
        name, uid = replicas.deployed.outpost.name, replicas.given.uid
        labels = {"outpost": name, "uid": uid, "expected": "1"}
        return link.parts.metrics.registry.get_sample_value("authentik_outposts_connected", labels)

    async def play() -> None:
        async with replicas.links() as (a, b), outpost(a, replicas.given) as edge:
            await connected(replicas, a, edge)
            assert (metric(a), metric(b)) == (1, None)
            async with outpost(b, replicas.given) as moved:
                await connected(replicas, b, moved)
                replicas.a.clock.advance(seconds=1)
                await beat(a)
                assert (metric(a), metric(b)) == (None, 1)

    asyncio.run(play())


def test_they_are_listed_while_they_live(replicas: Replicas) -> None:
    async def play() -> None:
        async with replicas.a.link() as a:
            async with replicas.b.link() as b:
                ids = {a.parts.presence.id, b.parts.presence.id}
                assert {process.id for process in processes(replicas.a.store)} == ids
                began = replicas.a.clock.now
                await beats(b, replicas.a.clock, BEAT_SECONDS)
                said = {process.id: process.last_seen for process in processes(replicas.a.store)}
                assert said == {a.parts.presence.id: began, b.parts.presence.id: replicas.a.clock.now}
            assert [process.id for process in processes(replicas.a.store)] == [a.parts.presence.id]
        assert processes(replicas.a.store) == []

    asyncio.run(play())


def stranger(replicas: Replicas, **fields: object) -> tuple[LinkProcess, Instance]:
    """A link process that was killed, and an instance it held."""
    now = replicas.a.clock.now
    process = LinkProcess(id=uuid4(), name="other", started=now, last_seen=now)
    held = Instance(
        id=uuid4(),
        outpost=replicas.deployed.outpost.id,
        uid=replicas.given.uid,
        state=InstanceState.CONNECTED,
        connected_since=now,
        last_seen=now,
        holder=process.id,
    )
    with replicas.a.store.write(ADMIN) as unit:
        unit.link_processes.add(process)
        unit.instances.save([replace(held, **fields)])  # type: ignore[arg-type]  # the fields are a test's own
    return process, held


def test_what_a_dead_one_held_is_away(replicas: Replicas) -> None:
    process, _ = stranger(replicas)

    async def play() -> None:
        async with replicas.a.link() as a:
            assert replicas.is_shown(InstanceState.CONNECTED, process.id)
            await beat(a)
            await beats(a, replicas.a.clock, DEAD_AFTER.total_seconds() - BEAT_SECONDS)
            assert replicas.is_shown(InstanceState.CONNECTED, process.id)
            await beats(a, replicas.a.clock, BEAT_SECONDS)
            assert replicas.is_shown(InstanceState.DISCONNECTED, None)
            assert [each.id for each in processes(replicas.a.store)] == [a.parts.presence.id]
        assert replicas.told() == ["disconnected"]

    asyncio.run(play())


def test_one_that_lives_is_never_thought_dead_whatever_its_clock_says(replicas: Replicas) -> None:
    process, _ = stranger(replicas)

    async def play() -> None:
        async with replicas.a.link() as a:
            for number in range(12):
                with replicas.b.store.write(ADMIN) as unit:
                    # An hour behind, and going at its own pace.
                    said = process.last_seen - timedelta(hours=1) + timedelta(seconds=number)
                    unit.link_processes.update(replace(process, last_seen=said))
                await beats(a, replicas.a.clock, BEAT_SECONDS)
            assert replicas.is_shown(InstanceState.CONNECTED, process.id)

    asyncio.run(play())


def test_who_could_not_look_has_seen_no_silence(replicas: Replicas) -> None:
    """The database was away: nobody could say anything, and whoever is back first must not strike off the others."""
    process, _ = stranger(replicas)

    async def play() -> None:
        async with replicas.a.link() as a:
            await beat(a)
            replicas.a.clock.advance(minutes=5)
            await beat(a)
            assert replicas.is_shown(InstanceState.CONNECTED, process.id)
            await beats(a, replicas.a.clock, DEAD_AFTER.total_seconds())
            assert replicas.is_shown(InstanceState.DISCONNECTED, None)

    asyncio.run(play())


def test_one_that_was_thought_dead_says_what_it_holds(replicas: Replicas) -> None:
    async def play() -> None:
        async with replicas.links() as (a, b), outpost(a, replicas.given) as edge:
            await connected(replicas, a, edge)
            await beat(b)
            await beats(b, replicas.a.clock, DEAD_AFTER.total_seconds())  # a is as if suspended
            assert replicas.is_shown(InstanceState.DISCONNECTED, None)
            await beat(a)
            await eventually(lambda: replicas.is_shown(InstanceState.CONNECTED, a.parts.presence.id))
            assert len(processes(replicas.a.store)) == 2
            await edge.health()  # its stream has gone on all the time
            await beat(a)
            assert not edge.call.done()

    asyncio.run(play())


@pytest.mark.parametrize("mine", [True, False])
def test_after_a_crash_only_what_it_held_itself_is_away(replicas: Replicas, mine: bool) -> None:
    seat = read_seat(replicas.a.settings.wake_socket.with_name("link.id"))
    process, _ = stranger(replicas, **({"holder": seat} if mine else {}))

    async def play() -> None:
        async with replicas.a.link():
            pass

    asyncio.run(play())
    state, holder = (InstanceState.DISCONNECTED, None) if mine else (InstanceState.CONNECTED, process.id)
    assert replicas.is_shown(state, holder)


def test_what_nobody_holds_is_away(replicas: Replicas) -> None:
    """As an older version left it."""
    stranger(replicas, holder=None)

    async def play() -> None:
        async with replicas.a.link():
            assert replicas.is_shown(InstanceState.DISCONNECTED, None)

    asyncio.run(play())


def test_the_seat_is_kept_and_a_damaged_one_replaced(tmp_path: Path) -> None:
    path = tmp_path / "link.id"
    seat = read_seat(path)
    assert read_seat(path) == seat
    path.write_text("damaged")
    assert read_seat(path) not in {seat, None}


def test_silence_is_measured_from_when_something_was_heard(clock: Clock) -> None:
    process = LinkProcess(id=uuid4(), name="other", started=clock.now, last_seen=clock.now)
    sights = look([process], {}, clock.now)
    assert find_dead(sights, clock.now + DEAD_AFTER) == {process.id}
    assert find_dead(sights, clock.now + DEAD_AFTER - timedelta(microseconds=1)) == frozenset()
    spoke = replace(process, last_seen=clock.now - timedelta(days=1))
    again = look([spoke], sights, clock.now + DEAD_AFTER)
    assert find_dead(again, clock.now + DEAD_AFTER) == frozenset()
    assert look([], again, clock.now) == {}
