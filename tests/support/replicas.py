"""Two control replicas on one PostgreSQL behind HAProxy, whose configuration is what the documentation shows."""

import contextlib
import csv
import json
import os
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import psycopg
from psycopg import sql

from tests.support.garrison import Garrison
from tests.support.garrison_docs import snippet
from tests.support.peers_http import ask
from tests.support.peers_program import Program, eventually, free_port, plain_environment, require
from tests.support.peers_tls import self_signed
from tests.support.postgres import PostgresServer

HOST = "garrison.example.test"
KEY = "the-key-that-all-replicas-share-0123456789"


@dataclass
class Replica(Garrison):
    """One `garrison serve` of several; browsers find it behind the load balancer."""

    public: str = ""

    @property
    def url(self) -> str:
        """Where browsers find all of them."""
        return self.public

    @property
    def holder(self) -> UUID:
        """What its link is known by in the database."""
        return UUID((self.data / "run" / "link.id").read_text().strip())

    def run(self, *arguments: str, check: bool = True, environment: Mapping[str, str] | None = None) -> str:
        """Another `garrison` command beside it."""
        return super().run(*arguments, check=check, environment={**self.environment, **(environment or {})})

    def pids(self) -> dict[str, int]:
        """Its processes."""
        rows = json.loads((self.data / "run" / "processes.json").read_text())
        return {row["name"]: int(row["pid"]) for row in rows}


class LoadBalancer:
    """HAProxy as documented, on free ports; which replicas it uses is told to it by its own socket."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.web, self.link = free_port(), free_port()
        self._program: Program | None = None

    def start(self, replicas: Mapping[str, Replica]) -> None:
        """Start it before these, by the names of the documentation."""
        certificate, key = self_signed(self.folder, HOST)
        pair = self.folder / "garrison.pem"
        pair.write_bytes(certificate.read_bytes() + key.read_bytes())
        path = self.folder / "haproxy.cfg"
        path.write_text(self._configuration(pair, replicas))
        self._program = Program("haproxy", [require("haproxy", "haproxy"), "-db", "-f", str(path)])
        eventually(self._leads, "HAProxy leads to a replica", alive=self._program)

    def stop(self) -> None:
        """End it at once."""
        if self._program is not None:
            self._program.kill()

    @contextmanager
    def only(self, backend: str, server: str) -> Iterator[None]:
        """New connections and requests to `web` or `link` go to that replica alone."""
        other = {"a": "b", "b": "a"}[server]
        self._tell(f"set server {backend}/{other} state drain")
        try:
            yield
        finally:
            self._tell(f"set server {backend}/{other} state ready")

    def uses_both(self) -> bool:
        """Whether it found both replicas well."""
        rows = csv.DictReader(self._ask("show stat").lstrip("# ").splitlines())
        return all(row["status"] == "UP" for row in rows if row["svname"] in {"a", "b"})

    def _configuration(self, pair: Path, replicas: Mapping[str, Replica]) -> str:
        text = snippet("docs/operations.md", "haproxy-replicas")
        places = {
            "global\n": f"global\n    stats socket {self._socket} level admin\n",
            "bind :9444": f"bind 127.0.0.1:{self.link}",
            "bind :443 ssl crt /etc/haproxy/garrison.pem": f"bind 127.0.0.1:{self.web} ssl crt {pair}",
        }
        for number, replica in enumerate(replicas.values(), start=1):
            places |= {f"10.0.0.{number}:9444": f"127.0.0.1:{replica.link}"}
            places |= {f"10.0.0.{number}:9000": f"127.0.0.1:{replica.http}"}
        for documented, ours in places.items():
            assert text.count(documented) == 1, f"{documented!r} in the documentation"
            text = text.replace(documented, ours)
        return text

    @property
    def _socket(self) -> Path:
        return self.folder / "haproxy.sock"

    def _tell(self, command: str) -> None:
        answer = self._ask(command)
        assert not answer.strip(), f"{command}: {answer}"

    def _ask(self, command: str) -> str:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self._socket))
            connection.sendall(f"{command}\n".encode())
            return connection.makefile().read()

    def _leads(self) -> bool:
        return ask(self.web, "/-/health/live/", host=HOST, tls=True).status == 204


@dataclass
class Cluster:
    """All of it. `database` is the name of the database; `environment` is what the replicas share."""

    folder: Path
    server: PostgresServer
    database: str
    balancer: LoadBalancer
    environment: Mapping[str, str]
    replicas: dict[str, Replica] = field(default_factory=dict)

    @property
    def a(self) -> Replica:
        """The first."""
        return self.replicas["a"]

    @property
    def b(self) -> Replica:
        """The second."""
        return self.replicas["b"]

    @property
    def url(self) -> str:
        """Where browsers find it."""
        return f"https://{HOST}:{self.balancer.web}"

    def replica(self, name: str) -> Replica:
        """One more, not started."""
        return Replica(self.folder / name, environment=self.environment, public=self.url)

    def refused(self, environment: Mapping[str, str]) -> str:
        """What a replica with another environment says when it doesn't start."""
        replica = self.replica("refused")
        done = subprocess.run(
            replica.command(), capture_output=True, text=True, timeout=30, check=False,
            env=plain_environment() | dict(environment),
        )  # fmt: skip
        assert done.returncode == 1, done.stdout + done.stderr
        return done.stderr

    def ask(self, question: str) -> list[tuple[Any, ...]]:
        """What the database says."""
        return self.server.execute(sql.SQL(question), self.database)

    def holders(self, outpost: str) -> dict[str, Any]:
        """Which link process holds each connected instance of an outpost, by the instance's uid."""
        question = (
            "SELECT i.uid, i.holder FROM instances i JOIN outposts o ON o.id = i.outpost"
            f" WHERE o.name = '{outpost}' AND i.state <> 'disconnected'"
        )
        with contextlib.suppress(psycopg.OperationalError):
            return dict(self.ask(question))
        return {}

    def begin(self) -> None:
        """Start both replicas at the same moment, and HAProxy before them."""
        self.replicas = {name: self.replica(name) for name in ("a", "b")}
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda replica: replica.start(), self.replicas.values()))
        self.balancer.start(self.replicas)

    def end(self) -> None:
        """End everything but PostgreSQL."""
        for replica in self.replicas.values():
            replica.stop()
        self.balancer.stop()


@contextmanager
def cluster(folder: Path, server: PostgresServer) -> Iterator[Cluster]:
    """Two replicas at work."""
    balancer = LoadBalancer(folder)
    with server.empty_database() as name:
        parameters = {"sslmode": "verify-full", "sslrootcert": str(server.certificate)}
        url = server.tcp_url(name, **parameters).replace("127.0.0.1", "localhost")
        environment = {
            "GARRISON_DATABASE_URL": url,
            "GARRISON_SECRET_KEY": KEY,
            "GARRISON_LINK_ADVERTISE": f"127.0.0.1:{balancer.link}",
        }
        made = Cluster(folder=folder, server=server, database=name, balancer=balancer, environment=environment)
        made.begin()
        yield made
        made.end()


class Insistent:
    """Asks the same again and again in a thread, and counts what became of it; an exception counts by its name."""

    def __init__(self, look: Callable[[], object]) -> None:
        self.seen: Counter[object] = Counter()
        self._look = look
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="insistent", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(30)

    def _run(self) -> None:
        while not self._ended.wait(0.01):
            try:
                self.seen[self._look()] += 1
            except Exception as error:  # noqa: BLE001 - what it was is the finding
                self.seen[repr(error)] += 1


@contextmanager
def losing(ports: Sequence[int]) -> Iterator[None]:
    """Every packet from and to these ports is lost, as if what serves there were a machine that is gone."""
    table, listed = f"garrison_{os.getpid()}", ", ".join(map(str, ports))
    rules = f"""
        table inet {table} {{
            chain arriving {{
                type filter hook input priority 0;
                tcp sport {{ {listed} }} drop
                tcp dport {{ {listed} }} drop
            }}
        }}
    """
    nft = require("nft", "nftables")
    subprocess.run([nft, "-f", "-"], input=rules, text=True, check=True)
    try:
        yield
    finally:
        subprocess.run([nft, "delete", "table", "inet", table], check=True)
