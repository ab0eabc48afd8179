"""From a commit to all outposts of a fleet, beside a bare gRPC server that sends the same bytes; what a connected
outpost costs control; and how a fleet comes back when control's link dies.

The outposts are simulated (`crowd`): real channels, real certificates, the real protocol, no workers.
"""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO
from uuid import uuid4

from control.fleet.authority import issue_server
from control.settings import Given, read_settings
from control.settings.opening import open_store
from control.store import Actor, Store
from protos.outpost.v1 import resources_pb2
from tests.bench.load import LOAD_CORE, SERVER_CORE, pinned
from tests.support.browser_http import Visitor
from tests.support.fleet import Site, add_outpost, add_site
from tests.support.garrison import Garrison, short_folder
from tests.support.links import Applicant
from tests.support.peers_program import free_port

SIZES = (1, 100, 1000)
COMMITS = 50
APART = 0.2
PASSWORD = "correct-horse-battery"
BENCH = Actor(name="bench")
# As large as the provider that control sends.
PADDING = resources_pb2.Certificate(chain="x" * 400)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """One size; lists of milliseconds from the commit (or the bare server's order) to each outpost's having it."""

    size: int
    ours: list[float]
    bare: list[float]
    memory: float
    """KiB of control's link process per outpost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """All outposts come back after the link was killed: seconds, and how sign-ins fared meanwhile (milliseconds)."""

    size: int
    seconds: float
    median_return: float
    sign_ins: list[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleets:
    """All of it."""

    fleets: list[Fleet]
    storm: Storm


@dataclass
class Line:
    """A process of ours that is told a revision by line."""

    process: subprocess.Popen[str] = field(repr=False)

    def tell(self, revision: int) -> None:
        """Say a revision."""
        _pipe(self.process.stdin).write(f"{revision}\n")
        _pipe(self.process.stdin).flush()

    def hear(self) -> list[float]:
        """When everyone had it."""
        moments: list[float] = json.loads(_pipe(self.process.stdout).readline())
        return moments


def measure() -> Fleets:
    """Everything, on an installation of its own."""
    with short_folder() as folder:
        garrison = Garrison(folder / "garrison", flags=["--no-embedded-outpost"], pinned=pinned(SERVER_CORE)).start()
        try:
            garrison.apply({"users": [{"username": "alice", "name": "Alice", "password": PASSWORD}]})
            store = open_store(read_settings(Given(data=str(garrison.data)), {}), migrate=False)
            with store.write(BENCH) as unit:
                add_site(unit, "bench")
            fleets, members = [], list[dict[str, str]]()
            for size in SIZES:
                members = _enlist(store, members, size)
                fleets.append(_measure(folder, garrison, store, members))
            return Fleets(fleets=fleets, storm=_storm(folder, garrison, store, members))
        finally:
            garrison.stop()


def _measure(folder: Path, garrison: Garrison, store: Store, members: list[dict[str, str]]) -> Fleet:
    before = _memory(_link_pid(garrison))
    with _crowd(folder, f"127.0.0.1:{garrison.link}", members) as crowd:
        crowd.tell(1)
        crowd.hear()
        grown = _memory(_link_pid(garrison)) - before
        ours = [took for number in range(COMMITS) for took in _commit(store, crowd, number)]
    bare = _bare(folder, store, members)
    return Fleet(size=len(members), ours=ours, bare=bare, memory=grown / len(members))


def _commit(store: Store, crowd: Line, number: int) -> list[float]:
    time.sleep(APART)
    began, revision = _change(store, number)
    crowd.tell(revision)
    return [(moment - began) * 1000 for moment in crowd.hear()]


def _change(store: Store, number: int) -> tuple[float, int]:
    """Change what every outpost holds; when (monotonic) it was committed, and as which revision."""
    with store.write(BENCH) as unit:
        provider = unit.proxy_providers.get_named("bench")
        unit.proxy_providers.update(replace(provider, skip_path_regex=f"^/open-{number}-{uuid4().hex}$"))
    began = time.monotonic()
    with store.read() as unit:
        return began, unit.revision()


def _bare(folder: Path, store: Store, members: list[dict[str, str]]) -> list[float]:
    address = f"127.0.0.1:{free_port()}"
    with _echo(folder, address, store) as echo, _crowd(folder, address, members) as crowd:
        crowd.tell(1)
        crowd.hear()
        taken: list[float] = []
        for revision in range(2, COMMITS + 2):
            time.sleep(APART)
            began = time.monotonic()
            echo.tell(revision)
            crowd.tell(revision)
            taken.extend((moment - began) * 1000 for moment in crowd.hear())
        return taken


def _storm(folder: Path, garrison: Garrison, store: Store, members: list[dict[str, str]]) -> Storm:
    """Kill the link, change something meanwhile, and wait until everybody has the change."""
    with _crowd(folder, f"127.0.0.1:{garrison.link}", members) as crowd:
        crowd.tell(1)
        crowd.hear()
        began = time.monotonic()
        os.kill(_link_pid(garrison), signal.SIGKILL)
        _, revision = _change(store, -1)
        crowd.tell(revision)
        sign_ins = list(_sign_ins_until(garrison, crowd))
        moments = sorted(moment - began for moment in crowd.hear())
    return Storm(size=len(members), seconds=moments[-1], median_return=moments[len(moments) // 2], sign_ins=sign_ins)


def _sign_ins_until(garrison: Garrison, crowd: Line) -> Iterator[float]:
    """Sign in again and again until the crowd has said its word."""
    while not select.select([_pipe(crowd.process.stdout)], [], [], 0.05)[0]:
        began = time.monotonic()
        page = Visitor().sign_in(f"{garrison.url}/", "alice", PASSWORD)
        assert page.status == 200, page.status
        yield (time.monotonic() - began) * 1000


def _enlist(store: Store, known: list[dict[str, str]], size: int) -> list[dict[str, str]]:
    """Outposts up to that number, all serving the one provider, each with an instance's credentials."""
    with store.write(BENCH) as unit:
        provider = unit.proxy_providers.get_named("bench")
        site = Site(provider=provider, application=unit.applications.get_named("bench"))
        deployed = [add_outpost(unit, f"edge-{number}", [site]) for number in range(len(known), size)]
    return known + [_enrolled(store, each.token.secret) for each in deployed]


def _enrolled(store: Store, secret: str) -> dict[str, str]:
    applicant = Applicant(secret)
    answer = json.loads(applicant.enrol(store).body)
    return {
        "uid": applicant.uid,
        "certificate": answer["certificate"],
        "key": applicant.key_pem().decode(),
        "ca": answer["ca"],
    }


@contextmanager
def _crowd(folder: Path, address: str, members: list[dict[str, str]]) -> Iterator[Line]:
    with _running("tests.bench.crowd", folder / "crowd.json", {"address": address, "members": members}) as line:
        yield line


@contextmanager
def _echo(folder: Path, address: str, store: Store) -> Iterator[Line]:
    """The bare server, with a certificate that the outposts believe."""
    with store.read() as unit:
        authority = unit.authorities.all()[-1]
        identity = issue_server(authority, unit.now)
    given = {
        "address": address,
        "certificate": identity.certificate,
        "key": identity.private_key,
        "ca": authority.certificate,
        "payload": resources_pb2.Resource(key="payload", digest="payload", certificate=PADDING)
        .SerializeToString()
        .hex(),
    }
    with _running("tests.bench.echo", folder / "echo.json", given, pinned(SERVER_CORE)) as line:
        yield line


@contextmanager
def _running(module: str, path: Path, given: object, cores: Sequence[str] = ()) -> Iterator[Line]:
    path.write_text(json.dumps(given))
    command = [*(cores or pinned(LOAD_CORE)), sys.executable, "-m", module, str(path)]
    # Ours, with arguments of our own making.
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Line(process)
    finally:
        process.kill()
        process.wait()
        _pipe(process.stdin).close()
        _pipe(process.stdout).close()


def _link_pid(garrison: Garrison) -> int:
    processes = json.loads((garrison.data / "run" / "processes.json").read_text())
    return next(int(each["pid"]) for each in processes if each["name"] == "link")


def _memory(pid: int) -> float:
    """Resident KiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("VmRSS")))


def _pipe(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe
