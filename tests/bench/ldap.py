"""LDAP on one core: the outpost beside slapd with the same entries, in turns, under the load of ldap_load.c.

`measure()` is all of it; `python -m tests.bench.ldap` prints it. The outpost gets its directory from a control plane
over the real link; slapd gets what the outpost answers, with indexes for what is asked.
"""

import json
import random
import resource
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from control.settings import Given, read_settings
from control.settings.opening import open_store
from tests.bench import ldap_requests as requests
from tests.bench.ldap_requests import People
from tests.bench.load import LOAD_CORE, SERVER_CORE, pinned, processor_time
from tests.bench.samples import median
from tests.support import ldap_ber as ber
from tests.support.directories import fill
from tests.support.garrison import Garrison, short_folder
from tests.support.ldap_ber import Search
from tests.support.ldap_client import Ldap, connected
from tests.support.ldap_entries import copy_of
from tests.support.ldap_site import BASE, PASSWORD, LdapOutpost, user_dn
from tests.support.peers_program import Program, eventually, require
from tests.support.slapd import Plan, lacking, slapd

SIZES = ((10_000, 500, 5_000), (100_000, 5_000, 50_000))
"""Users, groups, members of the largest group."""
BINDERS = 16
CONNECTIONS = 16
ROUNDS, SECONDS = 3, 1.2
IDLE = 10_000
KINDS = ("equality", "either", "groups", "parts", "dump", "bind", "mixed")
SOURCE = Path(__file__).with_name("ldap_load.c")
_INDEXES = """
index objectClass eq
index uid,mail,member,memberOf,uniqueMember,uidNumber,gidNumber,memberUid,sAMAccountName eq
index cn,displayName eq,sub
"""

_ACCESS = f"""
access to attrs=userPassword by anonymous auth by * none
access to * by group/groupOfNames/member="cn=searchers,ou=groups,{BASE}" read by self read by * none
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run: operations a second, entries of one, milliseconds, and microseconds of processor an operation.

    `cpu` are the server's, `load` the load generator's own.
    """

    rate: float
    entries: float
    p50: float
    p99: float
    cpu: float
    load: float

    @property
    def busy(self) -> float:
        """The share of its core that the server used."""
        return self.rate * self.cpu / 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One kind of request, alternated."""

    kind: str
    ours: list[Run]
    slapd: list[Run]

    @property
    def ratio(self) -> float:
        """Our rate over slapd's, of the medians."""
        return median([run.rate for run in self.ours]) / median([run.rate for run in self.slapd])


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """One directory; memory in MiB: resident, of all processes of each server, after all runs."""

    users: int
    groups: int
    largest: int
    pairs: list[Pair]
    memory: float
    slapd_memory: float
    idle: float
    """KiB for each of many connections that say nothing, with us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One of the two: where it is, whose processor time it is, and who sees everything."""

    port: int
    program: Program
    bound: tuple[str, str]

    @property
    def memory(self) -> float:
        """MiB resident, of all its processes."""
        return resident(self.program.process.pid)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The load generator, compiled, and the files that it sends."""

    program: Path
    folder: Path

    def run(self, server: Server, kind: str) -> Run:
        """Load a server with one kind of request for a while."""
        greeting = requests.write(self.folder / f"greeting-{server.port}", [requests.message(ber.bind(*server.bound))])
        connections = 1 if kind == "dump" else CONNECTIONS
        words = [server.port, connections, SECONDS, self.folder / kind, greeting]
        before, own = processor_time(server.program.process.pid), _processor_of_children()
        command = [*pinned(LOAD_CORE), str(self.program), *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        spent = processor_time(server.program.process.pid) - before
        return read(done.stdout, spent, _processor_of_children() - own)


def _processor_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def read(report: str, seconds: float, own: float) -> Run:
    """The figures of a report, with the processor time of the server and of the load; one with failures is none."""
    told = json.loads(report)
    assert told["failures"] == 0, report
    operations, took = told["operations"], told["seconds"]
    return Run(
        rate=operations / took,
        entries=told["entries"] / operations,
        p50=told["p50"] / 1000,
        p99=told["p99"] / 1000,
        cpu=seconds / operations * 1e6,
        load=own / operations * 1e6,
    )


def compiled(folder: Path) -> Path:
    """The load generator."""
    program = folder / "ldap_load"
    flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE"]
    subprocess.run([require("gcc", "gcc"), *flags, "-o", str(program), str(SOURCE)], check=True, timeout=60)
    return program


def resident(session: int) -> float:
    """MiB that the processes of a session share or have for themselves, each page once (PSS)."""
    total = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if int((process / "stat").read_text().rpartition(")")[2].split()[3]) == session:
                lines = (process / "smaps_rollup").read_text().splitlines()
                total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        except OSError:
            continue
    return total / 1024


def measure() -> list[Size]:
    """Each size in turn."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return [_measure(*size) for size in SIZES]


def _measure(users: int, groups: int, largest: int) -> Size:
    with short_folder() as folder, served(folder, users, groups, largest) as (ours, other):
        load = Load(program=compiled(folder), folder=folder)
        _write(folder, people_of(ours), random.Random(5))
        pairs = [_alternated(load, kind, ours, other) for kind in KINDS]
        return Size(
            users=users, groups=groups, largest=largest, pairs=pairs,
            memory=ours.memory, slapd_memory=other.memory, idle=idle(ours),
        )  # fmt: skip


def idle(server: Server) -> float:
    """KiB that each of many connections costs which come from many addresses and say nothing."""
    before, waiting = server.memory, []
    try:
        for number in range(IDLE):
            waiting.append(socket.create_connection(("127.0.0.1", server.port)))
            source = f"198.51.{number // 250}.{number % 250 + 1}"
            waiting[-1].sendall(f"PROXY TCP4 {source} 127.0.0.1 40000 {server.port}\r\n".encode())
        with connected(server.port, server.bound):
            return (server.memory - before) / IDLE * 1024
    finally:
        for each in waiting:
            each.close()


def _alternated(load: Load, kind: str, ours: Server, other: Server) -> Pair:
    """The first run of each only warms up."""
    rounds = [(load.run(ours, kind), load.run(other, kind)) for _ in range(ROUNDS + 1)][1:]
    pair = Pair(kind=kind, ours=[mine for mine, _ in rounds], slapd=[theirs for _, theirs in rounds])
    found = [median([run.entries for run in runs]) for runs in (pair.ours, pair.slapd)]
    # Neither gets through all different requests in the same number of rounds.
    assert abs(found[0] - found[1]) <= 0.2 * max(found), f"{kind}: {found} entries an operation"
    return pair


def people_of(server: Server) -> People:
    """Whom the directory has."""
    with connected(server.port, server.bound) as client:
        asked = Search(base=f"ou=users,{BASE}", scope=ber.ONE_LEVEL, attributes=["uid", "mail"])
        found = [entry for page in client.pages(asked, 5000) for entry in page.entries]
    crowd = [entry for entry in found if entry.texts("uid")[0].startswith("user")]
    return People(
        base=BASE,
        usernames=[entry.texts("uid")[0] for entry in crowd],
        mails=[entry.texts("mail")[0] for entry in crowd],
        dns=[entry.dn for entry in crowd],
        cuts=[entry.texts("uid")[0][-5:] for entry in crowd],
    )


def _write(folder: Path, people: People, chance: random.Random) -> None:
    searches: Sequence[tuple[str, Callable[[People, random.Random], list[bytes]]]] = (
        ("equality", requests.equality),
        ("either", requests.either),
        ("groups", requests.groups),
        ("parts", requests.parts),
    )
    made = {kind: make(people, chance) for kind, make in searches}
    made["mixed"] = requests.mixed(list(made.values()), chance)
    made["dump"] = requests.dump(people)
    made["bind"] = [requests.message(ber.bind(dn, PASSWORD)) for dn in _binders()]
    for kind, messages in made.items():
        requests.write(folder / kind, messages)


def _binders() -> list[str]:
    return [user_dn(f"binder{number}") for number in range(BINDERS)]


@contextmanager
def served(folder: Path, users: int, groups: int, largest: int) -> Iterator[tuple[Server, Server]]:
    """Both servers with the same directory, each alone on the server's core while it is asked."""
    with ExitStack() as stack:
        ours = stack.enter_context(outpost(folder, users, groups, largest))
        other = stack.enter_context(_slapd(folder, ours))
        yield ours, other


@contextmanager
def outpost(folder: Path, users: int, groups: int, largest: int) -> Iterator[Server]:
    """An LDAP outpost with one worker that has the whole directory."""
    garrison = Garrison(folder / "garrison", pinned=pinned(LOAD_CORE)).start()
    try:
        garrison.apply(_blueprint())
        fill(open_store(read_settings(Given(data=str(garrison.data)), {}), migrate=False), users, groups, largest)
        runs = LdapOutpost(garrison, "bench", folder / "bench", pinned=pinned(SERVER_CORE)).start()
        bound = (user_dn("search"), PASSWORD)
        eventually(lambda: _knows(runs.ldap, bound, users), "the outpost has everybody", within=120, alive=runs.program)
        for dn in _binders():
            # From now on the outpost keeps control's answer.
            with connected(runs.ldap, (dn, PASSWORD)):
                pass
        yield Server(port=runs.ldap, program=runs.program, bound=bound)
        runs.stop()
    finally:
        garrison.stop()


def _knows(port: int, bound: tuple[str, str], users: int) -> bool:
    client = Ldap(port)
    try:
        if client.bind(*bound).code:
            return False
        last = client.search(Search(base=BASE, filter=ber.equal("uid", f"user{users - 1:06}"), attributes=["1.1"]))
        return len(last.entries) == 1
    finally:
        client.close()


@contextmanager
def _slapd(folder: Path, ours: Server) -> Iterator[Server]:
    with connected(ours.port, ours.bound) as client:
        definitions, entries = copy_of(client, BASE)
    people = {ours.bound[0], *_binders()}
    loaded = ((dn, {**found, "userPassword": [PASSWORD.encode()]} if dn in people else found) for dn, found in entries)
    plan = Plan(
        suffix=BASE, schema=lacking(folder / "bare", definitions), access=_ACCESS, database=_INDEXES,
        pinned=pinned(SERVER_CORE),
    )  # fmt: skip
    with slapd(folder / "slapd", plan, loaded) as server:
        yield Server(port=server.port, program=server.program, bound=ours.bound)


def _blueprint() -> dict[str, object]:
    people = [{"username": name, "name": name, "password": PASSWORD} for name in ("search", *_names())]
    return {
        "groups": [{"name": "searchers"}],
        "users": [{**person, "groups": ["searchers"] if person["username"] == "search" else []} for person in people],
        "providers": [
            {"name": "bench", "type": "ldap", "base_dn": BASE, "search_group": "searchers", "bind_mode": "cached"}
        ],
        "applications": [{"slug": "bench", "name": "Bench", "provider": "bench"}],
        "outposts": [{"name": "bench", "type": "ldap", "providers": ["bench"]}],
    }


def _names() -> list[str]:
    return [f"binder{number}" for number in range(BINDERS)]


def described(size: Size) -> list[str]:
    """The figures of one size, a line each."""
    lines = [
        f"{size.users:,} users, {size.groups:,} groups: ours {size.memory:.0f} MiB, slapd {size.slapd_memory:.0f} MiB"
    ]
    for pair in size.pairs:
        cells = [f"{name} {_figures(runs)}" for name, runs in (("ours", pair.ours), ("slapd", pair.slapd))]
        lines.append(f"  {pair.kind:9} x{pair.ratio:.2f}  {'   '.join(cells)}")
    return lines


def _figures(runs: list[Run]) -> str:
    rate, p50, p99, cpu, entries = (
        median([getattr(run, name) for run in runs]) for name in ("rate", "p50", "p99", "cpu", "entries")
    )
    return f"{rate:,.1f}/s p50 {p50:.2f} p99 {p99:.2f} ms cpu {cpu:,.1f} us ({entries:.1f} entries)"


if __name__ == "__main__":
    for measured in measure():
        sys.stdout.write("\n".join(described(measured)) + "\n")
        sys.stdout.flush()
