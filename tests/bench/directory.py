"""Users and groups on their way to an LDAP outpost: all of them at once, then one change after the other.

`measure()` is all of it; `python -m tests.bench.directory` prints it. The link is a process of its own; the outpost,
real but for its workers, is this one. While the copy is made, a proxy outpost is connected too: its configuration
should not notice.
"""

import asyncio
import json
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from uuid import UUID

from control.domain.outpost import OutpostType
from control.link.server import settle
from control.store import SYSTEM, Store
from dataplane.link.endings import Ending
from dataplane.link.enrol import Enrolled
from dataplane.link.held import Change, Held, Rejection, changed
from dataplane.link.journal import Journal
from dataplane.link.keeper import Keeper
from dataplane.link.messages import Vitals
from dataplane.link.stream import Context
from dataplane.link.target import Credentials, Instance
from dataplane.link.watch import Watcher
from dataplane.link.world import World
from dataplane.runtime.directory import HeldDirectory
from tests.bench.samples import percentile
from tests.support.databases import Database, postgresql_database, sqlite_database
from tests.support.directories import fill
from tests.support.fleet import Deployed, add_directory, add_outpost, add_site
from tests.support.garrison import short_folder
from tests.support.links import Applicant
from tests.support.peers_program import free_port
from tests.support.postgres import postgres_server

USERS, GROUPS, LARGEST = 100_000, 5_000, 50_000
CHANGES = 200
APART = 0.1
PUSHES_APART = 0.2
PATIENCE = 120.0
KEY = b"k" * 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """One database. Seconds, MiB, and lists of milliseconds."""

    database: str
    cold: float
    """From the first call of an outpost that holds nothing until it holds everything."""
    payload: float
    grown: float
    """By how much the link's resident memory grew at most."""
    late: list[float]
    """How late the link's event loop was, looked at every 5 ms while the copy was made."""
    idle: list[float]
    """The same before: what the machine is good for."""
    pushes: list[float]
    """From a commit to a proxy outpost's having its configuration, while the copy was made."""
    quiet: list[float]
    """The same before."""
    changes: list[float]
    """From the commit of a change to one user until it is in force at the outpost."""
    disk: float
    load: float
    held: float
    """MiB that an outpost's process has more for holding it."""


def measure() -> list[Feed]:
    """On SQLite and on PostgreSQL."""
    with short_folder() as folder:
        with sqlite_database(folder / "garrison.db") as database:
            feeds = [_measure(database, folder)]
        with postgres_server() as server, postgresql_database(server) as database:
            feeds.append(_measure(database, folder))
    return feeds


@dataclass
class Outpost:
    """A receiver that takes every configuration, and its directory if it has one."""

    directory: HeldDirectory | None
    held: Held = field(default_factory=Held)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    told: dict[str, bytes] = field(default_factory=dict)

    async def apply(self, change: Change) -> tuple[Rejection, ...]:
        """Take it."""
        self.held = changed(self.held, change)
        self.news.set()
        return ()

    def vitals(self) -> Vitals:
        """Well."""
        return Vitals(uptime=1.0, workers=1, memory=1, load=0.0, last_error="")

    async def connected(self, credentials: Credentials, address: str) -> None:
        """Nothing to do."""

    async def delivered(self, ending: Ending) -> None:
        """Nobody signs out."""

    def drain(self) -> None:
        """Nobody asks for it."""

    def observe(self, news: Mapping[str, bytes], _removed: frozenset[str]) -> None:
        """Something changed."""
        self.told = dict(news)
        self.news.set()

    async def until(self, name: str, text: bytes) -> None:
        """Wait until the last change was of this entry, to this."""
        while text not in self.told.get(name, b""):
            self.news.clear()
            await self.news.wait()


@dataclass
class Link:
    """The process of the link."""

    process: subprocess.Popen[str]
    port: int

    def lateness(self) -> list[float]:
        """How late its loop was since the last time."""
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self._hear()

    def forget_peak(self) -> float:
        """MiB resident now; the peak counts from here."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")
        return self._memory("VmRSS")

    def peak(self) -> float:
        """MiB resident at most."""
        return self._memory("VmHWM")

    def _memory(self, name: str) -> float:
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return float(next(line.split()[1] for line in lines if line.startswith(name))) / 1024

    def _hear(self) -> list[float]:
        assert self.process.stdout
        heard: list[float] = json.loads(self.process.stdout.readline())
        return heard


@contextmanager
def _link(database: Database, folder: Path) -> Iterator[Link]:
    port = free_port()
    path = folder / "link.json"
    path.write_text(json.dumps({"database": database.url, "folder": str(folder), "port": port}))
    command = [sys.executable, "-m", "tests.bench.directory_link", str(path)]
    # Ours, with arguments of our own making.
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    link = Link(process, port)
    try:
        link._hear()
        yield link
    finally:
        assert process.stdin
        assert process.stdout
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


def _measure(database: Database, folder: Path) -> Feed:
    wake_socket = folder / "wake.sock"

    def wake() -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", str(wake_socket))

    store = database.store(lambda: datetime.now(UTC))
    users = fill(store, USERS, GROUPS, LARGEST)
    with store.write(SYSTEM) as unit:
        shown = add_directory(unit).id
        ldap = add_outpost(unit, "ldap", (), type=OutpostType.LDAP, providers=frozenset({shown}))
        proxy = add_outpost(unit, "edge", [add_site(unit, "bench")])
    with _link(database, folder) as link:
        stage = _Stage(link, database.store(lambda: datetime.now(UTC), wake), folder, users)
        return asyncio.run(asyncio.wait_for(stage.measure(database.kind, ldap, proxy), 10 * PATIENCE))


@dataclass
class _Stage:
    """One link with its database, and the outposts that are measured."""

    link: Link
    store: Store
    folder: Path
    users: list[UUID]

    async def measure(self, kind: str, ldap: Deployed, proxy: Deployed) -> Feed:
        journal = Journal(self.folder / f"directory-{kind}", KEY, os.urandom)
        directory = HeldDirectory(journal, World())
        # This process has much that no outpost has.
        settle()
        async with self._outpost(proxy, None) as edge:
            await edge.news.wait()
            quiet = [await self._push(edge, f"quiet-{number}") for number in range(30)]
            before, idle = self.link.forget_peak(), self.link.lateness()
            began = time.monotonic()
            async with self._outpost(ldap, directory) as holder:
                pushes: list[float] = []
                while directory.position is None:
                    pushes.append(await self._push(edge, f"busy-{len(pushes)}"))
                cold = time.monotonic() - began
                assert len(directory.entries) == USERS + GROUPS, len(directory.entries)
                late, grown = self.link.lateness(), self.link.peak() - before
                changes = [await self._change(holder, number) for number in range(CHANGES)]
            await directory.finish()
        payload = directory.gauges["garrison_outpost_directory_bytes"] / 2**20
        disk = (self.folder / f"directory-{kind}").stat().st_size / 2**20
        load, held = _loaded(self.folder / f"directory-{kind}")
        return Feed(
            database=kind,
            cold=cold,
            payload=payload,
            grown=grown,
            late=late,
            idle=idle,
            pushes=pushes,
            quiet=quiet,
            changes=changes,
            disk=disk,
            load=load,
            held=held,
        )

    async def _push(self, edge: Outpost, pattern: str) -> float:
        await asyncio.sleep(PUSHES_APART)
        revision = await asyncio.to_thread(self._open_path, pattern)
        began = time.monotonic()
        while edge.held.revision < revision:
            edge.news.clear()
            await edge.news.wait()
        return (time.monotonic() - began) * 1000

    def _open_path(self, pattern: str) -> int:
        with self.store.write(SYSTEM) as unit:
            unit.proxy_providers.update(replace(unit.proxy_providers.get_named("bench"), skip_path_regex=pattern))
            return unit.revision() + 1

    async def _change(self, holder: Outpost, number: int) -> float:
        await asyncio.sleep(APART)
        key, name = self.users[number * 13 % USERS], f"changed {number}"
        began = await asyncio.to_thread(self._rename, key, name)
        await holder.until(f"user/{key}", name.encode())
        return (time.monotonic() - began) * 1000

    def _rename(self, key: UUID, name: str) -> float:
        with self.store.write(SYSTEM) as unit:
            unit.users.update(replace(unit.users.get(key), name=name))
        return time.monotonic()

    @asynccontextmanager
    async def _outpost(self, deployed: Deployed, directory: HeldDirectory | None) -> AsyncIterator[Outpost]:
        receiver, world = Outpost(directory), World()
        uid = deployed.outpost.id.hex
        instance = Instance(
            uid=uid, type=deployed.outpost.type, hostname="bench", version="0.1.0", build="", started=time.time()
        )
        context = Context(
            instance=instance,
            keeper=Keeper(_no_enrolment, world, self._credentials(deployed, uid)),
            receiver=receiver,
            world=world,
            directory=directory,
        )
        tasks = [asyncio.create_task(Watcher(context).run())]
        if directory:
            directory.observe(receiver.observe)
            tasks.append(asyncio.create_task(directory.keep()))
        try:
            yield receiver
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _credentials(self, deployed: Deployed, uid: str) -> Credentials:
        applicant = Applicant(deployed.token.secret, uid=uid)
        answer = json.loads(applicant.enrol(self.store, type=str(deployed.outpost.type)).body)
        now = time.time()
        return Credentials(
            certificate=answer["certificate"],
            private_key=applicant.key_pem().decode(),
            authority=answer["ca"],
            addresses=(f"127.0.0.1:{self.link.port}",),
            outpost=str(deployed.outpost.id),
            name=deployed.outpost.name,
            issued=now,
            expires=now + 86400,
        )


async def _no_enrolment() -> Enrolled:
    raise AssertionError("the credentials last for a day")


def _loaded(path: Path) -> tuple[float, float]:
    """Seconds and MiB that a fresh process takes to hold what is on disk."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_load, path).result()


def _load(path: Path) -> tuple[float, float]:
    before, began = _resident(), time.monotonic()
    directory = HeldDirectory(Journal(path, KEY, os.urandom), World())
    took = time.monotonic() - began
    assert len(directory.entries) == USERS + GROUPS
    return took, _resident() - before


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def described(feed: Feed) -> list[str]:
    """The figures of one database, a line each."""
    lists = {
        "event loop of the link late, idle": feed.idle,
        "event loop of the link late, while a copy is sent": feed.late,
        "configuration of a proxy outpost, idle": feed.quiet,
        "configuration of a proxy outpost, while a copy is sent": feed.pushes,
        "commit of a change to one user until it is in force": feed.changes,
    }
    return [
        f"{feed.database}: {USERS:,} users and {GROUPS:,} groups ({feed.payload:.0f} MiB) in {feed.cold:.1f} s",
        f"  control's link grew by {feed.grown:.0f} MiB",
        f"  at the outpost: {feed.disk:.0f} MiB on disk, loaded in {feed.load:.2f} s, {feed.held:.0f} MiB in memory",
        *(f"  {name}: {_spread(values)}" for name, values in lists.items()),
    ]


def _spread(values: list[float]) -> str:
    shares = (percentile(values, 0.5), percentile(values, 0.99), max(values))
    return "p50 {:.0f}, p99 {:.0f}, longest {:.0f} ms".format(*shares)


if __name__ == "__main__":
    for measured in measure():
        sys.stdout.write("\n".join(described(measured)) + "\n")
