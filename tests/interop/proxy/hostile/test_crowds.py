"""Ten thousand idle connections to one worker: what they cost, and that nobody else notices."""

import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.garrison import short_folder
from tests.support.hostile_program import Settings, Worker
from tests.support.hostile_recorder import Recorder
from tests.support.peers_program import eventually

pytestmark = pytest.mark.interop
IDLE, ADDRESSES = 10_000, 4
AT_ONCE = 500
"""So many ask before the first is heard; the queue of a listener is as long as the system lets it be."""
SPARE = 2_000
"""Descriptors for what is no such connection, of other tests' too."""
MOST_EACH = 20 * 1024
"""Bytes for a connection; 11 KiB were measured."""
ASK = b"GET /page HTTP/1.1\r\nHost: app.test\r\nUser-Agent: test\r\n\r\n"


@pytest.fixture
def worker() -> Iterator[Worker]:
    """With its usual limits, before an application, in mode proxy."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard >= IDLE + SPARE, f"the limit of open files is {hard}"
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, IDLE + SPARE), hard))
    with short_folder() as folder:
        recorder = Recorder(folder / "application")
        worker = Worker(Settings(folder=str(folder), application=recorder.port))
        yield worker
        worker.program.stop()
        recorder.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def resident(process: int) -> int:
    """Bytes that a process has in memory."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * resource.getpagesize()


def connect(port: int, number: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 10, source_address=(f"127.0.1.{1 + number % ADDRESSES}", 0))


def hear(client: socket.socket) -> None:
    answer = client.recv(65536)
    assert answer.startswith(b"HTTP/1.1 200 "), answer[:200]


def test_ten_thousand_idle_connections(worker: Worker, record_property: Callable[[str, object], None]) -> None:
    process = worker.program.process.pid
    with ExitStack() as held:
        crowd: list[socket.socket] = []
        before = 0
        for first in range(0, IDLE, AT_ONCE):
            batch = [held.enter_context(connect(worker.http, number)) for number in range(first, first + AT_ONCE)]
            for client in batch:
                client.sendall(ASK)
            for client in batch:
                hear(client)
            crowd += batch
            before = before or resident(process)  # what the first ones have made room for is for all
        each = (resident(process) - before) / (IDLE - AT_ONCE)
        record_property("bytes_per_idle_connection", round(each))
        assert worker.counts == {"open": IDLE}
        assert each < MOST_EACH
        other = held.enter_context(connect(worker.http, 0))
        for _ in range(100):
            other.sendall(ASK)
            hear(other)
        for client in crowd[::100]:
            client.sendall(ASK)
            hear(client)
    eventually(lambda: not worker.counts["open"], "they are gone")
