"""Mode proxy on one core: Garrison, nginx and HAProxy before the same application, in turns.

`measure()` is all of it; `python -m tests.bench.proxying` prints it. Garrison judges a session's cookie, says who it is
and writes a line a request; nginx and HAProxy decide nothing, add nothing and write nothing.
"""

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.bench import load
from tests.bench.ldap import resident
from tests.bench.load import LOAD_CORE, Run, pinned, processor_time, write_script, wrk
from tests.bench.proxies import HAPROXY, NGINX, OURS, QUIET, SIZES, Proxy, compiled, served
from tests.bench.samples import median, spread
from tests.support.garrison import short_folder
from tests.support.peers_program import eventually

ROUNDS = 3
MESSAGES_SECONDS = 2
IDLE = 1000
VARIED, UNLIKE = "varied", "unlike"
LOADS = ("small", VARIED, UNLIKE, *(size for size in SIZES if size != "small"))
"""What is asked for: a size, or a small answer by another address each time, or with another Referer each time."""
# The key of the example in RFC 6455 section 1.3, whose answer the load's other end knows.
UPGRADE = (
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
)
Measured = TypeVar("Measured")


@dataclass(frozen=True, slots=True, kw_only=True)
class Messages:
    """One run of WebSocket messages: round trips a second, milliseconds, microseconds of the proxy's processor each."""

    rate: float
    p50: float
    p99: float
    cpu: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """KiB that one more connection costs: one that waits for its next request, and an open WebSocket."""

    idle: float
    websocket: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxying:
    """All figures, by proxy; the answers' by name of LOADS too."""

    answers: dict[str, dict[str, list[Run]]]
    messages: dict[str, list[Messages]]
    memory: dict[str, Memory]

    def ratio(self, size: str, name: str = OURS) -> float:
        """A proxy's rate over nginx's, of the medians."""
        rates = {each: median([run.rate for run in runs]) for each, runs in self.answers[size].items()}
        return rates[name] / rates[NGINX]


def measure() -> Proxying:
    """Alternate the proxies under each load; the first run of each only warms up."""
    with short_folder() as folder, served(folder) as proxies:
        program = compiled(folder)
        return Proxying(
            answers={load: _answers(folder, proxies, load) for load in LOADS},
            messages=_alternated(proxies, lambda proxy: _messages(folder, program, proxy)),
            memory={name: _memory(folder, program, proxy) for name, proxy in proxies.items() if name != QUIET},
        )


def minutes() -> float:
    """How long it takes, about."""
    proxies, loads = 4, len(LOADS)
    return (ROUNDS + 1) * ((1 + (proxies - 1) * loads) * load.SECONDS + proxies * MESSAGES_SECONDS) / 60


def _answers(folder: Path, proxies: Mapping[str, Proxy], asked_for: str) -> dict[str, list[Run]]:
    asked = {name: proxy for name, proxy in proxies.items() if asked_for == "small" or name != QUIET}

    def run(proxy: Proxy) -> Run:
        script = write_script(folder / "request.lua", _questions(proxy, asked_for))
        return wrk(proxy.port, script, proxy.program.process.pid)

    return _alternated(asked, run)


def _questions(proxy: Proxy, asked_for: str) -> list[tuple[str, str]]:
    """What the load asks, in turns."""
    if asked_for == VARIED:
        before, after = proxy.request("/small?page=", "application").split(" HTTP/1.1", 1)
        return 2 * [(before, f" HTTP/1.1{after}")]  # of two, each has a number of its own
    if asked_for == UNLIKE:
        request = proxy.request("/small", "application", ("Referer", "https://www.example.test/pages/"))
        before, after = request.split("\r\nCookie", 1)
        return 2 * [(before, f"\r\nCookie{after}")]
    return [(proxy.request(f"/{asked_for}", "application"), "")]


def _alternated(proxies: Mapping[str, Proxy], run: Callable[[Proxy], Measured]) -> dict[str, list[Measured]]:
    rounds = [{name: run(proxy) for name, proxy in proxies.items()} for _ in range(ROUNDS + 1)][1:]
    return {name: [each[name] for each in rounds] for name in proxies}


def _messages(folder: Path, program: Path, proxy: Proxy) -> Messages:
    before = processor_time(proxy.program.process.pid)
    command = _ws(folder, program, proxy, load.CONNECTIONS, MESSAGES_SECONDS)
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    told = json.loads(done.stdout)
    return Messages(
        rate=told["messages"] / told["seconds"],
        p50=told["p50"] / 1000,
        p99=told["p99"] / 1000,
        cpu=(processor_time(proxy.program.process.pid) - before) / told["messages"] * 1e6,
    )


def _ws(folder: Path, program: Path, proxy: Proxy, connections: int, seconds: int) -> list[str]:
    request = folder / "upgrade"
    request.write_text(proxy.request("/echo", "echo", *UPGRADE))
    words = ["load", str(proxy.port), str(connections), str(seconds), str(request)]
    return [*pinned(LOAD_CORE), str(program), *words]


def _memory(folder: Path, program: Path, proxy: Proxy) -> Memory:
    session = proxy.program.process.pid
    before = resident(session)
    with _open_connections(proxy):
        idle = resident(session)
    eventually(lambda: not _connected(proxy.port), "the connections have ended")
    command = _ws(folder, program, proxy, IDLE, 0)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holding:
        assert holding.stdout is not None
        assert holding.stdout.readline() == b"open\n"
        held = resident(session)
        holding.communicate()
    # What the first connections left behind serves the others again.
    return Memory(idle=(idle - before) / IDLE * 1024, websocket=(held - before) / IDLE * 1024)


def _connected(port: int) -> int:
    """How many connections there are to a port of this machine (proc(5), net/tcp: state 01 is established)."""
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return sum(row[1].endswith(f":{port:04X}") and row[3] == "01" for row in rows)


@contextmanager
def _open_connections(proxy: Proxy) -> Iterator[None]:
    """Each has had an answer and waits."""
    request = proxy.request("/small", "application").encode()
    with ExitStack() as stack:
        for _ in range(IDLE):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", proxy.port), timeout=10))
            connection.sendall(request)
            got = b""
            while not got.endswith(b"x" * SIZES["small"]):
                got += connection.recv(65536)
        yield


_TITLES = {
    "small": "128 bytes",
    VARIED: "128 bytes, another address each time",
    UNLIKE: "128 bytes, other headers each time",
    "medium": "100 kB",
    "large": "10 MB",
}


def section(measured: Proxying) -> list[str]:
    """What the page says of it."""
    runs = len(measured.answers["small"][OURS])
    return [
        "## Mode proxy",
        "",
        "One worker of an outpost in mode proxy, nginx with one worker and HAProxy with one thread, in turns on the",
        "same core, before the same application (nginx with files) on the other core, which the load shares. Garrison",
        "looks at the session's cookie, strips it, adds the identity headers with the signed token and writes a line a",
        f"request; nginx and HAProxy pass on what comes, and log nothing. {load.CONNECTIONS} connections by wrk, all",
        f"kept, and kept ones to the application: {runs} runs of {load.SECONDS} s each, medians.",
        "",
        "| answer | proxy | a second | lowest to highest | times nginx | p50 ms | p99 ms | processor µs | core used |",
        "|---|---|---|---|---|---|---|---|---|",
        *(_row(measured, size, name) for size in LOADS for name in measured.answers[size]),
        "",
        f"WebSocket messages of 64 bytes over {load.CONNECTIONS} connections, one on its way on each, there and back;",
        "the load and the echo behind the proxy are one program in C. Memory of one more connection: one that waits",
        f"for its next request, and an open WebSocket, of {IDLE:,} each.",
        "",
        "| proxy | a second | times nginx | p50 ms | p99 ms | processor µs | KiB a connection | KiB a WebSocket |",
        "|---|---|---|---|---|---|---|---|",
        *(_messages_row(measured, name) for name in measured.memory),
        "",
        *_verdict(measured),
        "",
    ]


def _row(measured: Proxying, size: str, name: str) -> str:
    runs = measured.answers[size][name]
    rates = [run.rate for run in runs]
    cells = [
        _TITLES[size],
        name,
        f"{median(rates):,.0f}",
        spread(rates),
        f"**{measured.ratio(size, name):.2f}**" if name.startswith(OURS) else f"{measured.ratio(size, name):.2f}",
        f"{median([run.p50 for run in runs]):.2f}",
        f"{median([run.p99 for run in runs]):.2f}",
        f"{median([run.cpu for run in runs]):,.1f}",
        f"{median([run.busy for run in runs]):.0%}",
    ]
    return "| " + " | ".join(cells) + " |"


def _messages_row(measured: Proxying, name: str) -> str:
    runs, rates = measured.messages[name], {each: _rate(runs) for each, runs in measured.messages.items()}
    cells = [
        name,
        f"{rates[name]:,.0f}",
        f"{rates[name] / rates[NGINX]:.2f}",
        f"{median([run.p50 for run in runs]):.2f}",
        f"{median([run.p99 for run in runs]):.2f}",
        f"{median([run.cpu for run in runs]):.1f}",
        f"{measured.memory[name].idle:.1f}",
        f"{measured.memory[name].websocket:.1f}",
    ]
    return "| " + " | ".join(cells) + " |"


def _rate(runs: list[Messages]) -> float:
    return median([run.rate for run in runs])


def _verdict(measured: Proxying) -> list[str]:
    small = measured.answers["small"]
    ours, quiet, nginx, haproxy = (median([run.cpu for run in small[name]]) for name in (OURS, QUIET, NGINX, HAPROXY))
    return [
        f"For small answers Garrison reaches **{measured.ratio('small'):.2f}** of nginx's rate, and",
        f"{measured.ratio('small', QUIET):.2f} without the access log. By processor time, which says more where others",
        f"don't use up their core, it is **{nginx / ours:.2f}** and {nginx / quiet:.2f}: {ours:.1f} µs a request,",
        f"{ours - quiet:.1f} of them for the log's line, against {nginx:.1f} (HAProxy {haproxy:.1f}). What holds it is",
        "Python: two heads parsed and two written, the judgement, the switches between greenlets; a third is the",
        "kernel's. Headers that came before are parsed no more, whatever address is asked for with them:",
        f"{measured.ratio(VARIED):.2f} of nginx's rate. Headers that never came before are parsed, and written anew",
        f"for the application: {measured.ratio(UNLIKE):.2f}. Large answers are buffers that go by: the kernel's",
        "copying counts for more, and the distance is smaller.",
    ]


if __name__ == "__main__":
    sys.stdout.write("\n".join(section(measure())) + "\n")
