"""An outpost under test: the real program as a process of its own, on free ports, with a state folder."""

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Self

from control.serve.programs import tethered
from tests.support.fake_control import eventually
from tests.support.peers_program import free_port


class OutpostProcess:
    """Started by `start`; ended by leaving the block. Its log lines are in `log`.

    What it tells of requests goes to `output`, by default to that of the tests; `both`: and the log too.
    """

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str],
        workers: int = 1,
        output: IO[bytes] | None = None,
        *,
        both: bool = False,
    ) -> None:
        self.state = folder / "state"
        self.http_port = free_port()
        self.http_address = ""
        self.https_port = 0
        self.metrics_port = free_port()
        self._log = folder / "outpost.log"
        self._environment = dict(environment)
        self._workers = workers
        self._output = output
        self._both = both
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def start(self) -> None:
        """Run the program."""
        arguments = [sys.executable, "-m", "dataplane.main", "proxy", "--state", str(self.state)]
        arguments += ["--workers", str(self._workers), "--http"]
        arguments += [self.http_address or f"127.0.0.1:{self.http_port}"]
        if self.https_port:
            arguments += ["--https", f"127.0.0.1:{self.https_port}"]
        arguments += ["--metrics", f"127.0.0.1:{self.metrics_port}"]
        own = {name: value for name, value in os.environ.items() if not name.startswith(("AUTHENTIK_", "GARRISON_"))}
        with self._log.open("ab") as log:
            # Tethered, so that a test run that is killed leaves no outpost behind.
            command = tethered(os.getpid(), tuple(arguments))
            errors = self._output if self._both else log
            self._process = subprocess.Popen(command, env=own | self._environment, stdout=self._output, stderr=errors)

    @property
    def pid(self) -> int:
        """The supervisor."""
        assert self._process
        return self._process.pid

    @property
    def workers(self) -> list[int]:
        """The worker processes."""
        return children(self.pid)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the supervisor."""
        assert self._process
        self._process.send_signal(number)

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.poll() is None

    def wait(self, seconds: float = 15) -> int:
        """Its exit status."""
        assert self._process
        return self._process.wait(seconds)

    @property
    def log(self) -> list[dict[str, Any]]:
        """Every line is JSON, or this fails; one that is half written is none yet."""
        return [json.loads(line) for line in self._log.read_text().rpartition("\n")[0].splitlines()]

    def log_since(self, moment: datetime) -> list[dict[str, Any]]:
        """Lines that were made after it: each is written a moment later than that."""
        return [line for line in self.log if datetime.fromisoformat(line["timestamp"]) > moment]

    def logged(self, event: str) -> dict[str, Any]:
        """Wait for a line."""
        found = eventually(lambda: [line for line in self.log if line["event"] == event], f"log line {event!r}")
        assert isinstance(found[-1], dict)
        return found[-1]

    def get(self, path: str, host: str = "localhost", port: int | None = None) -> tuple[int, str]:
        """Status and body of a GET, to the metrics port unless told otherwise; status 0 when nobody answers."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.metrics_port, timeout=30)
        try:
            connection.request("GET", path, headers={"Host": host})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except OSError:
            return 0, ""
        finally:
            connection.close()

    def ping(self) -> int:
        """The status of the ping at the HTTP listener."""
        return self.get("/outpost.goauthentik.io/ping", port=self.http_port)[0]

    def ready(self) -> None:
        """Wait until it says so."""
        eventually(lambda: self.get("/-/health/ready/")[0] == 200, "the outpost is ready")

    def metrics(self) -> dict[str, float]:
        """Samples with their labels as they stand in the text."""
        text = self.get("/metrics")[1]
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def children(pid: int) -> list[int]:
    """The child processes of a process; none when it is gone."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie doesn't)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
