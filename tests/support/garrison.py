"""Garrison as its users have it: `garrison serve`, `garrison apply` and `garrison outpost` as real processes.

Tests drive it through the command line, the forms and the wire only; nothing here imports the product.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from tests.support.peers_http import ask
from tests.support.peers_program import Program, eventually, free_port, killing_on_failure, plain_environment

GARRISON = str(Path(sys.executable).parent / "garrison")
ADMIN = "akadmin"
ADMIN_PASSWORD = "a-bootstrap-password"
Blueprint = Mapping[str, Any]


@contextmanager
def short_folder() -> Iterator[Path]:
    """A temporary folder with a short path: sockets lie below it, and their paths may have 107 bytes only."""
    with tempfile.TemporaryDirectory(prefix="g-", ignore_cleanup_errors=True) as folder, killing_on_failure():
        yield Path(folder)


@dataclass
class Garrison:
    """One installation on free ports under `folder`; its public name is garrison.example.test.

    `clock` is what a `tests.support.clocks.Clock` puts into the environment: of the server and of every other command.
    """

    folder: Path
    flags: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    clock: Mapping[str, str] = field(default_factory=dict)
    pinned: Sequence[str] = ()
    host: str = "garrison.example.test"
    http: int = field(default_factory=free_port)
    https: int = field(default_factory=free_port)
    link: int = field(default_factory=free_port)
    metrics: int = field(default_factory=free_port)
    _program: Program | None = None
    _blueprints: int = 0

    @property
    def data(self) -> Path:
        """Its data folder."""
        return self.folder / "data"

    @property
    def url(self) -> str:
        """Where browsers find it."""
        return f"http://{self.host}:{self.http}"

    @property
    def program(self) -> Program:
        """The running process."""
        assert self._program is not None, "garrison serve was not started"
        return self._program

    def start(self) -> "Garrison":
        """Start it and wait until it is ready."""
        program = self.launch()
        eventually(self.is_ready, "garrison serve is ready", within=60, alive=program)
        return self

    def launch(self) -> Program:
        """Start it without waiting for anything."""
        self.folder.mkdir(parents=True, exist_ok=True)
        # Not the engine of whoever runs the tests.
        own = {"GARRISON_BOOTSTRAP_PASSWORD": ADMIN_PASSWORD, "AUTHENTIK_OUTPOSTS__DISCOVER": "false"}
        environment = {**own, **self.environment, **self.clock}
        self._program = Program("garrison serve", self.command(), environment)
        return self._program

    def command(self) -> list[str]:
        """The command line of `garrison serve`."""
        local = "127.0.0.1:{}".format
        listeners = ["--http", local(self.http), "--https", local(self.https), "--link", local(self.link)]
        return [
            *self.pinned, GARRISON, "serve", "--data", str(self.data), "--url", self.url,
            *listeners, "--metrics", local(self.metrics), *self.flags,
        ]  # fmt: skip

    def is_ready(self) -> bool:
        """Whether control and the front door both serve."""
        ready = ask(self.metrics, "/-/health/ready/").status in (200, 204)
        return ready and ask(self.http, "/-/health/ready/", host=urlsplit(self.url).netloc).status in (200, 204)

    def stop(self) -> None:
        """End it by SIGTERM; it must end cleanly, and none of its processes be killed for being late."""
        # By its own clock it gives them ten seconds; how long the rest takes is up to the machine, too.
        code = self.program.stop(within=30)
        assert code == 0, f"garrison serve ended with {code}\n{self.program.tail()}"
        assert "did not end in time" not in self.program.output(), self.program.tail()

    def run(self, *arguments: str, check: bool = True, environment: Mapping[str, str] | None = None) -> str:
        """What another `garrison` command on the same data prints."""
        done = subprocess.run(
            [GARRISON, *arguments, "--data", str(self.data)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=plain_environment() | dict(self.clock) | dict(environment or {}),
        )
        assert not check or done.returncode == 0, (
            f"garrison {arguments[0]}: {done.returncode}\n{done.stdout}{done.stderr}"
        )
        return done.stdout + ("" if check else done.stderr)

    def apply(self, blueprint: Blueprint) -> list[str]:
        """Apply a blueprint by the command line; the lines it prints."""
        self._blueprints += 1
        path = self.folder / f"blueprint-{self._blueprints}.yaml"
        path.write_text(json.dumps({"version": 1, **blueprint}, indent=1))
        return self.run("apply", str(path)).splitlines()

    def token(self, outpost: str) -> str:
        """The token of an outpost."""
        return self.run("token", outpost).strip()

    def instances(self, outpost: str) -> list[dict[str, Any]]:
        """What control knows of the running copies of an outpost."""
        rows: list[dict[str, Any]] = json.loads(self.run("outposts", "--json"))
        return [row for row in rows if row["outpost"] == outpost and row.get("instance")]


@dataclass
class Outpost:
    """A proxy outpost of its own: `garrison outpost proxy` with a token, as one would run it elsewhere."""

    garrison: Garrison
    name: str
    folder: Path
    workers: int = 1
    pinned: Sequence[str] = ()
    listen: str = "127.0.0.1"
    http: int = field(default_factory=free_port)
    metrics: int = field(default_factory=free_port)
    https: int | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    _program: Program | None = None

    @property
    def program(self) -> Program:
        """The running process."""
        assert self._program is not None, "the outpost was not started"
        return self._program

    @property
    def links(self) -> list[str]:
        """Where it has found the link, each time."""
        return [json.loads(line)["link"] for line in self.program.lines() if '"connected to control"' in line]

    @property
    def address(self) -> str:
        """Host and port of its HTTP listener."""
        return f"{self.listen}:{self.http}"

    def start(self) -> Self:
        """Start it and wait until its first config is applied."""
        program = self.launch()
        eventually(self.is_ready, f"outpost {self.name} is ready", within=30, alive=program)
        return self

    def launch(self) -> Program:
        """Start it without waiting for anything."""
        self.folder.mkdir(parents=True, exist_ok=True)
        environment = {
            "AUTHENTIK_HOST": f"http://127.0.0.1:{self.garrison.http}",
            "AUTHENTIK_TOKEN": self.garrison.token(self.name),
            **self.environment,
        }
        command = [
            *self.pinned, GARRISON, "outpost", *self.serving, "--state", str(self.folder / "state"),
            "--workers", str(self.workers), "--metrics", f"{self.listen}:{self.metrics}",
        ]  # fmt: skip
        self._program = Program(f"outpost {self.name}", command, environment)
        return self._program

    @property
    def serving(self) -> list[str]:
        """What it serves and where, as its command line says it."""
        secure = ["--https", f"{self.listen}:{self.https}"] if self.https else []
        return ["proxy", "--http", self.address, *secure]

    def is_ready(self) -> bool:
        """Whether its first config is applied."""
        return ask(self.metrics, "/-/health/ready/").status in (200, 204)

    def stop(self) -> None:
        """End it by SIGTERM; it must end cleanly."""
        code = self.program.stop(within=15)
        assert code == 0, f"the outpost ended with {code}\n{self.program.tail()}"
