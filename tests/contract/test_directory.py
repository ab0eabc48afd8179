"""Control's real link and the outpost's real stream, over gRPC in one loop: users and groups arrive and stay so."""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from control.domain.identity import User
from control.domain.outpost import OutpostType
from control.link.server import Link
from control.store import Store
from dataplane.link.backoff import Pace
from dataplane.link.endings import Ending
from dataplane.link.enrol import Enrolled
from dataplane.link.held import Change, Held, Rejection, changed
from dataplane.link.journal import Journal
from dataplane.link.keeper import Keeper
from dataplane.link.messages import Vitals
from dataplane.link.stream import Context, Timing
from dataplane.link.target import Credentials, Instance
from dataplane.link.watch import Watcher
from dataplane.link.world import World
from dataplane.runtime.directory import HeldDirectory
from protos.outpost.v1 import directory_pb2
from tests.support import builders
from tests.support.directories import directory_of
from tests.support.fleet import Deployed, deploy, deploy_ldap
from tests.support.links import Control, eventually
from tests.support.peers_program import free_port
from tests.support.stores import ADMIN, Clock, Wakes

KEY = b"k" * 32
MEMBERS = 300
COMMIT_TO_APPLIED = 0.25


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime.now(UTC))


@pytest.fixture
def control(store: Store, clock: Clock, wakes: Wakes, tmp_path: Path) -> Control:
    return Control(store, clock, wakes, tmp_path, port=free_port())


@pytest.fixture
def people(store: Store) -> list[User]:
    with store.write(ADMIN) as unit:
        users = [unit.users.add(builders.user(f"u{number}", last_sign_in=None)) for number in range(MEMBERS)]
        staff = unit.groups.add(builders.group("staff"))
        unit.memberships.set_users(staff.id, [user.id for user in users])
    return users


@dataclass
class Outpost:
    """A receiver that takes every configuration, its directory and its watcher."""

    folder: Path
    directory: HeldDirectory | None
    held: Held = field(default_factory=Held)
    watcher: Watcher | None = None
    told: int = 0

    async def apply(self, change: Change) -> tuple[Rejection, ...]:
        self.held = changed(self.held, change)
        return ()

    def vitals(self) -> Vitals:
        return Vitals(uptime=1.0, workers=1, memory=1, load=0.0, last_error="")

    async def connected(self, credentials: Credentials, address: str) -> None:
        assert address in credentials.addresses
        assert self.watcher
        self.watcher.arrived()

    async def delivered(self, ending: Ending) -> None:
        raise AssertionError(ending)

    def drain(self) -> None:
        raise AssertionError("nobody asked for a drain")

    @property
    def entries(self) -> dict[str, directory_pb2.DirectoryEntry]:
        assert self.directory
        return {key: directory_pb2.DirectoryEntry.FromString(data) for key, data in self.directory.entries.items()}

    def observe(self, news: Mapping[str, bytes], _removed: frozenset[str]) -> None:
        self.told += len(news)


@asynccontextmanager
async def outpost(control: Control, deployed: Deployed, folder: Path, uid: str = "a" * 32) -> AsyncIterator[Outpost]:
    """One that runs until the block ends, with what its folder holds."""
    await asyncio.to_thread(folder.mkdir, exist_ok=True)
    world = World()
    is_ldap = deployed.outpost.type is OutpostType.LDAP
    directory = HeldDirectory(Journal(folder / "directory", KEY, os.urandom), world) if is_ldap else None
    running = Outpost(folder, directory)
    context = Context(
        instance=Instance(
            uid=uid, type=deployed.outpost.type, hostname="h", version="0.1.0", build="", started=time.time()
        ),
        keeper=Keeper(enrolling(control, deployed, uid), world),
        receiver=running,
        world=world,
        timing=Timing(pace=Pace(first=0.05, longest=0.1)),
        directory=directory,
    )
    running.watcher = Watcher(context)
    tasks = [asyncio.create_task(running.watcher.run())]
    if directory:
        directory.observe(running.observe)
        tasks.append(asyncio.create_task(directory.keep()))
    try:
        yield running
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(end, asyncio.CancelledError) for end in ends), ends
        if directory:
            await directory.finish()


def enrolling(control: Control, deployed: Deployed, uid: str) -> Callable[[], Coroutine[None, None, Enrolled]]:
    async def enrol() -> Enrolled:
        given = await asyncio.to_thread(control.enrol, deployed, uid)
        now = time.time()
        credentials = Credentials(
            certificate=given.certificate.decode(),
            private_key=given.key.decode(),
            authority=given.ca.decode(),
            addresses=(f"127.0.0.1:{control.port}",),
            outpost=str(deployed.outpost.id),
            name=deployed.outpost.name,
            issued=now,
            expires=now + 3600,
        )
        return Enrolled(credentials=credentials, skew=0.0)

    return enrol


def ldap(store: Store) -> Deployed:
    return deploy_ldap(store, "ldap")


def play(story: Callable[[], Coroutine[None, None, None]]) -> None:
    asyncio.run(asyncio.wait_for(story(), 60))


def copies(link: Link) -> float:
    return link.parts.metrics.registry.get_sample_value("garrison_link_directory_copies_total") or 0.0


def rename(store: Store, user: User, name: str) -> None:
    with store.write(ADMIN) as unit:
        unit.users.update(replace(unit.users.get(user.id), name=name))


async def same(outpost: Outpost, store: Store) -> None:
    """Wait until the outpost holds what control has."""
    wanted = directory_of(store)
    await eventually(lambda: outpost.entries == wanted)


def test_everybody_arrives_and_a_change_within_a_quarter_of_a_second(
    control: Control, people: list[User], tmp_path: Path
) -> None:
    deployed = ldap(control.store)

    async def story() -> None:
        async with control.link() as link, outpost(control, deployed, tmp_path / "state") as edge:
            await same(edge, control.store)
            assert (edge.told, copies(link)) == (MEMBERS + 1, 1)
            took = []
            for number in range(7):
                begun = time.monotonic()
                rename(control.store, people[number], f"renamed {number}")
                assert edge.directory
                await eventually(lambda: edge.told == MEMBERS + 2 + number)  # noqa: B023 - called at once
                took.append(time.monotonic() - begun)
            await same(edge, control.store)
            assert min(took) < COMMIT_TO_APPLIED, took
            assert copies(link) == 1

    play(story)


def test_a_proxy_outpost_holds_nobody(control: Control, people: list[User], tmp_path: Path) -> None:
    deployed = deploy(control.store)

    async def story() -> None:
        async with control.link() as link, outpost(control, deployed, tmp_path / "state") as edge:
            await eventually(lambda: edge.held.resources)
            rename(control.store, people[0], "renamed")
            with control.store.write(ADMIN) as unit:
                provider = unit.proxy_providers.get(deployed.sites[0].provider.id)
                unit.proxy_providers.update(replace(provider, external_host="https://later.example.com"))
            with control.store.read() as unit:
                revision = unit.revision()
            # What came after the change of a user is there, and of the user nothing.
            await eventually(lambda: edge.held.revision == revision)
            assert link.parts.metrics.registry.get_sample_value("garrison_link_directory_streams") == 0
            assert list((tmp_path / "state").iterdir()) == []

    play(story)


def test_a_restarted_control_sends_what_changed_meanwhile(control: Control, people: list[User], tmp_path: Path) -> None:
    deployed = ldap(control.store)

    async def story() -> None:
        async with outpost(control, deployed, tmp_path / "state") as edge:
            async with control.link():
                await same(edge, control.store)
            told = edge.told
            rename(control.store, people[0], "renamed")
            with control.store.write(ADMIN) as unit:
                unit.users.remove(unit.users.get(people[1].id))
            async with control.link() as link:
                await same(edge, control.store)
                # Of the one that was renamed, and of the group that lost a member.
                assert (edge.told, copies(link)) == (told + 2, 0)

    play(story)


def test_a_restarted_outpost_goes_on_from_its_disk(control: Control, people: list[User], tmp_path: Path) -> None:
    deployed, folder = ldap(control.store), tmp_path / "state"

    async def story() -> None:
        async with control.link() as link:
            async with outpost(control, deployed, folder) as edge:
                await same(edge, control.store)
                rename(control.store, people[0], "renamed")
                await same(edge, control.store)
                held = edge.entries
            rename(control.store, people[1], "renamed")
            async with outpost(control, deployed, folder) as edge:
                # All of it is there at once, whether or not control is.
                assert edge.entries == held
                await same(edge, control.store)
                assert (edge.told, copies(link)) == (MEMBERS + 2, 1)
            (folder / "directory").write_bytes(b"damaged")
            async with outpost(control, deployed, folder) as edge:
                assert edge.entries == {}
                await same(edge, control.store)
                assert copies(link) == 2

    play(story)


def test_a_directory_that_is_too_large_is_refused_and_said(
    control: Control, people: list[User], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dataplane.link.directory.MAX_ENTRIES", MEMBERS + 5)
    deployed = ldap(control.store)

    async def story() -> None:
        async with control.link(), outpost(control, deployed, tmp_path / "state") as edge:
            await same(edge, control.store)
            held = edge.entries
            with control.store.write(ADMIN) as unit:
                for number in range(10):
                    unit.users.add(builders.user(f"new{number}"))
            said = f"{MEMBERS + 11} entries, where at most {MEMBERS + 5} are held"
            await eventually(lambda: edge.watcher and said in edge.watcher.status.last_error)
            assert edge.entries == held
            with control.store.write(ADMIN) as unit:
                for user in people[:10]:
                    unit.users.remove(unit.users.get(user.id))
            await same(edge, control.store)

    play(story)


@pytest.mark.usefixtures("people")
def test_outposts_that_come_and_go_end_up_the_same(control: Control, tmp_path: Path) -> None:
    """While people change, links are cut in the middle of whatever they do and outposts are restarted."""
    deployed, chance = ldap(control.store), random.Random(4)

    def change() -> None:
        with control.store.write(ADMIN) as unit:
            groups, users = unit.groups.all(), unit.users.all()
            for user in chance.sample(users, 5):
                unit.memberships.set_groups(user.id, [each.id for each in chance.sample(groups, min(2, len(groups)))])
            unit.users.update(replace(users[0], name=str(chance.random())))
            unit.groups.add(builders.group(f"g{chance.getrandbits(40)}"))
            if len(groups) > 5:
                unit.groups.remove(chance.choice(groups))

    async def live(folder: Path, uid: str, until: asyncio.Event) -> None:
        while not until.is_set():
            async with outpost(control, deployed, folder, uid):
                with suppress(TimeoutError):
                    await asyncio.wait_for(until.wait(), chance.uniform(0.05, 0.6))

    async def story() -> None:
        until = asyncio.Event()
        names = [(tmp_path / name, name * 32) for name in "abc"]
        living = [asyncio.create_task(live(folder, uid, until)) for folder, uid in names]
        for _ in range(6):
            async with control.link():
                for _ in range(chance.randint(1, 6)):
                    await asyncio.to_thread(change)
                    await asyncio.sleep(chance.uniform(0, 0.15))
        until.set()
        await asyncio.gather(*living)
        async with control.link() as link, AsyncExitStack() as stack:
            ends = [await stack.enter_async_context(outpost(control, deployed, *name)) for name in names]
            for edge in ends:
                await same(edge, control.store)
            assert copies(link) <= len(ends)

    play(story)
