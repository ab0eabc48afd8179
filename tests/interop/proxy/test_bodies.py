"""Bodies as large and as slow as they come: at flat memory, in both directions, without waiting for their end."""

import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.interop.proxy.asking import curl_command, request, response, wire
from tests.interop.proxy.world import ProxyWorld
from tests.support.peers_program import eventually, plain_environment
from tests.support.upstreams import Call

pytestmark = pytest.mark.interop
GIBIBYTE = 1 << 30
MEBIBYTE = 1 << 20
GROWTH = 32 * MEBIBYTE
FIRST, LAST = b"<the very first bytes>", b"<the very last bytes>"
FRAMING = re.compile(rb"\r\n[0-9A-Fa-f]+\r\n")


def processes(world: ProxyWorld) -> list[Path]:
    """The outpost's, in /proc: supervisor and worker."""
    pid = world.outpost.program.process.pid
    return [Path(f"/proc/{pid}"), *(Path(f"/proc/{child}") for child in children(pid))]


def children(pid: int) -> list[int]:
    """All below a process."""
    found = [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return found + [below for child in found for below in children(child)]


def memory(process: Path, field: str) -> int:
    """VmRSS or VmHWM in bytes."""
    match = re.search(rf"^{field}:\s+(\d+) kB", (process / "status").read_text(), re.MULTILINE)
    return int(match[1]) * 1024 if match else 0


@contextmanager
def flat_memory(world: ProxyWorld, most: int = GROWTH) -> Iterator[None]:
    """No process of the outpost may grow by more meanwhile, not even for a moment."""
    watched = processes(world)
    for process in watched:
        (process / "clear_refs").write_text("5")  # VmHWM begins anew (proc(5))
    before = {process: memory(process, "VmRSS") for process in watched}
    yield
    grown = {process.name: (memory(process, "VmHWM") - size) // MEBIBYTE for process, size in before.items()}
    assert max(grown.values()) < most // MEBIBYTE, f"MiB by process: {grown}"


@pytest.fixture(scope="module")
def large(world: ProxyWorld) -> Iterator[Path]:
    """A gibibyte, all zeros but for its ends, without taking any room."""
    path = world.pages / "large"
    with path.open("wb") as file:
        file.write(FIRST)
        file.seek(GIBIBYTE - len(LAST))
        file.write(LAST)
    yield path
    path.unlink()


@pytest.mark.usefixtures("large")
def test_a_gibibyte_comes_down_at_flat_memory(world: ProxyWorld) -> None:
    command = [*curl_command(world, "apache", path="/large"), "--no-include", "-w", "%{stderr}%{size_download}"]
    with (
        flat_memory(world),
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=plain_environment()) as curl,
    ):
        assert curl.stdout is not None
        assert curl.stderr is not None
        first, last = curl.stdout.read(len(FIRST)), b""
        while piece := curl.stdout.read(MEBIBYTE):
            last = (last + piece)[-len(LAST) :]
        assert (first, last, curl.stderr.read()) == (FIRST, LAST, b"%d" % GIBIBYTE)


def test_a_large_body_over_tls(world: ProxyWorld) -> None:
    command = [*curl_command(world, "secure", path=f"/zeros/{GIBIBYTE // 8}"), "--no-include", "-o", "/dev/null"]
    with flat_memory(world):
        done = subprocess.run(
            [*command, "-w", "%{size_download} %{http_code}"], capture_output=True, check=True, timeout=60,
            env=plain_environment(),
        )  # fmt: skip
    assert done.stdout == b"%d 200" % (GIBIBYTE // 8)


@pytest.mark.parametrize("known", [True, False], ids=["length", "chunked"])
def test_a_gibibyte_goes_up_at_flat_memory(scripted: ProxyWorld, large: Path, known: bool) -> None:
    taken: list[tuple[int, bytes, bytes]] = []

    def take(call: Call) -> None:
        chunked = call.header("Transfer-Encoding") == "chunked"
        taken.append(drain(call, None if chunked else int(call.header("Content-Length"))))
        call.answer(b"thank you", "Connection: close")

    scripted.scripted.answer = take
    source = [] if known else ["-H", "Transfer-Encoding: chunked", "-H", "Content-Length:"]
    with flat_memory(scripted):
        done = subprocess.run(
            [*curl_command(scripted, "scripted", "-T", str(large), *source, path="/up")],
            capture_output=True, check=False, timeout=60, env=plain_environment(),
        )  # fmt: skip
    assert done.stdout.endswith(b"thank you"), done
    ((size, first, last),) = taken
    assert (first, last) == (FIRST, LAST)
    assert size == GIBIBYTE if known else size > GIBIBYTE


def drain(call: Call, length: int | None) -> tuple[int, bytes, bytes]:
    """All of a body: its size as it came over the wire, its first and its last bytes."""
    buffer = bytearray(4 * MEBIBYTE)
    tail = call.rest
    size, head = len(tail), tail
    while not (size >= length if length is not None else tail.endswith(b"\r\n0\r\n\r\n")):
        count = call.connection.recv_into(buffer)
        assert count, f"the upload broke off after {size} bytes"
        size += count
        tail = (tail + buffer[max(0, count - 64) : count])[-64:]
        head = head if len(head) > 2 * len(FIRST) else head + bytes(buffer[:64])
    if length is None:  # a chunk may end anywhere
        head = FRAMING.sub(b"", b"\r\n" + head)
        tail = FRAMING.sub(b"", tail.removesuffix(b"\r\n0\r\n\r\n"))
    return size, head[: len(FIRST)], tail[-len(LAST) :]


def test_a_reader_who_stops_stops_the_application_and_loses_nothing(scripted: ProxyWorld) -> None:
    sent = 0
    finished = threading.Event()

    def answer(call: Call) -> None:
        nonlocal sent
        call.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (200 * MEBIBYTE))
        for _ in range(200):
            call.send(b"x" * MEBIBYTE)
            sent += 1
        finished.set()

    def has_stopped() -> bool:
        before = sent
        return before > 0 and not finished.wait(0.3) and sent == before

    scripted.scripted.answer = answer
    with flat_memory(scripted), wire(scripted) as connection:
        connection.sendall(request(scripted, "scripted", "GET / HTTP/1.1"))
        answered = response(connection)
        eventually(has_stopped, "the application waits for the reader")
        assert sent < 60
        assert len(answered.read()) == 200 * MEBIBYTE


def test_an_application_that_stops_reading_stops_the_upload(scripted: ProxyWorld) -> None:
    go_on = threading.Event()

    def answer(call: Call) -> None:
        go_on.wait(10)
        call.read(100 * MEBIBYTE)
        call.answer(b"all")

    scripted.scripted.answer = answer
    with flat_memory(scripted), wire(scripted) as connection:
        length = ("Content-Length", str(100 * MEBIBYTE))
        connection.sendall(request(scripted, "scripted", "PUT / HTTP/1.1", length))
        connection.settimeout(0.5)
        sent = 0
        try:
            while sent < 100 * MEBIBYTE:
                sent += connection.send(b"y" * min(MEBIBYTE, 100 * MEBIBYTE - sent))
        except TimeoutError:
            pass
        assert sent < 60 * MEBIBYTE, "nobody held the upload up"
        go_on.set()
        connection.settimeout(20)
        connection.sendall(b"y" * (100 * MEBIBYTE - sent))
        assert response(connection).read() == b"all"


def test_events_are_seen_while_the_answer_is_open(scripted: ProxyWorld) -> None:
    go_on = threading.Event()

    def answer(call: Call) -> None:
        call.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        call.send(b"d\r\ndata: first\n\n\r\n")
        assert go_on.wait(10)
        call.send(b"e\r\ndata: second\n\n\r\n0\r\n\r\n")

    scripted.scripted.answer = answer
    with wire(scripted) as connection:
        connection.sendall(request(scripted, "scripted", "GET /events HTTP/1.1", ("Accept", "text/event-stream")))
        answered = response(connection)
        assert (answered.status, answered.getheader("Content-Type")) == (200, "text/event-stream")
        assert answered.readline() == b"data: first\n"
        go_on.set()
        assert answered.read() == b"\ndata: second\n\n"


def test_a_head_without_a_body_is_seen_at_once(scripted: ProxyWorld) -> None:
    go_on = threading.Event()

    def answer(call: Call) -> None:
        call.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 4\r\n\r\n")
        assert go_on.wait(10)
        call.send(b"late")

    scripted.scripted.answer = answer
    with wire(scripted) as connection:
        connection.sendall(request(scripted, "scripted", "GET / HTTP/1.1"))
        answered = response(connection)
        assert answered.status == 200
        go_on.set()
        assert answered.read() == b"late"


def test_an_upload_arrives_while_it_is_sent(scripted: ProxyWorld) -> None:
    """A body of two parts, the second of which is sent only when the application has the first."""
    first = threading.Event()
    size = MEBIBYTE

    def answer(call: Call) -> None:
        assert call.read(1) == b"a"
        first.set()
        call.read(2 * size - 1)
        call.answer(b"both")

    scripted.scripted.answer = answer
    with wire(scripted) as connection:
        connection.sendall(request(scripted, "scripted", "PUT / HTTP/1.1", ("Content-Length", str(2 * size))))
        connection.sendall(b"a" * size)
        assert first.wait(5), "the application has nothing of a body that is half there"
        connection.sendall(b"b" * size)
        assert response(connection).read() == b"both"


def test_an_answer_byte_by_byte_arrives_as_it_is(scripted: ProxyWorld) -> None:
    whole = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"

    def answer(call: Call) -> None:
        for byte in whole:
            call.send(bytes([byte]))

    scripted.scripted.answer = answer
    with wire(scripted) as connection:
        for _ in range(3):
            connection.sendall(request(scripted, "scripted", "GET / HTTP/1.1"))
            assert response(connection).read() == b"hello world"


def test_a_request_byte_by_byte_is_answered(scripted: ProxyWorld) -> None:
    scripted.scripted.answer = lambda call: call.answer(call.read(5))
    with wire(scripted) as connection:
        for byte in request(scripted, "scripted", "POST / HTTP/1.1", ("Content-Length", "5")) + b"12345":
            connection.sendall(bytes([byte]))
        assert response(connection).read() == b"12345"


def test_a_long_poll_waits(scripted: ProxyWorld) -> None:
    def answer(call: Call) -> None:
        assert not call.ended(within=1.5)
        call.answer(b"at last")

    scripted.scripted.answer = answer
    with wire(scripted) as connection:
        connection.sendall(request(scripted, "scripted", "GET /poll HTTP/1.1"))
        assert response(connection).read() == b"at last"


def test_an_answer_before_the_upload_is_over_reaches_the_client(scripted: ProxyWorld) -> None:
    def answer(call: Call) -> None:
        call.answer(b"too large", "Connection: close", status="413 Content Too Large")

    scripted.scripted.answer = answer
    with wire(scripted) as connection:
        connection.sendall(request(scripted, "scripted", "PUT / HTTP/1.1", ("Content-Length", str(50 * MEBIBYTE))))
        connection.sendall(b"x" * 200_000)
        answered = response(connection)
        assert (answered.status, answered.read()) == (413, b"too large")


def test_a_client_that_leaves_is_told_to_the_application(scripted: ProxyWorld) -> None:
    left = threading.Event()

    def answer(call: Call) -> None:
        call.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        # It gets some seconds to finish, as clients may close one side only.
        if call.ended(within=10):
            left.set()

    scripted.scripted.answer = answer
    with wire(scripted) as connection:
        connection.sendall(request(scripted, "scripted", "GET / HTTP/1.1"))
        assert response(connection).read(5) == b"hello"
    assert left.wait(10), "the application still believes that somebody reads"
