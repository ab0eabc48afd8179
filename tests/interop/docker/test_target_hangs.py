"""An engine that hangs, or is none: whoever asks is told in time, and by the right code."""

import json
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from control.integrations.docker.connect import Connection, connect
from control.integrations.docker.limits import Limits
from control.integrations.docker.preflight import preflight
from control.integrations.docker.refusals import Refused
from control.integrations.docker.spec import creation
from control.integrations.docker.target import DockerTarget
from control.integrations.model import TargetAway
from tests.support.engine_wanted import QUICK, TOKEN, owner_and_name, wanted_container
from tests.support.peers_program import eventually
from tests.support.peers_tls import self_signed

pytestmark = pytest.mark.interop
HASTY = replace(QUICK, connect=0.3, call=0.5, quiet=0.3, answer=100_000)
LONG = 20.0
"""Seconds: what is told after one of these limits is told before, on any machine; what is told after none, never."""
_LIST = b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Type: application/json\r\n"


def test_an_engine_that_was_stopped(engine_socket: Path) -> None:
    """The system still takes connections for it."""
    dockerd = int((engine_socket.parent / "docker.pid").read_text())
    with connect(Connection(url=f"unix://{engine_socket}"), HASTY) as connected:
        os.kill(dockerd, signal.SIGSTOP)
        try:
            eventually(lambda: _has_stopped(dockerd), "none of its threads goes on")
            began = time.monotonic()
            for ask in (
                lambda: connected.containers("x"),
                lambda: connected.create({}, "x"),
                lambda: list(connected.pull("x")),
                lambda: list(connected.events({}, 0.2)),
                connected.version,
                lambda: _away(f"unix://{engine_socket}"),
            ):
                assert _told(ask) == "engine_away"
            assert time.monotonic() - began < LONG
        finally:
            os.kill(dockerd, signal.SIGCONT)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        pytest.param(b"", "engine_away", id="nothing"),
        pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", "engine_away", id="ssh"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "not_an_engine", id="a web site"),
        pytest.param(
            b"HTTP/1.1 302 Found\r\nLocation: http://x/\r\nContent-Length: 0\r\n\r\n", "not_an_engine", id="sent on"
        ),
        pytest.param(b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy", "engine_away", id="a proxy without engine"),
        pytest.param(_LIST.replace(b"1.41", b"banana"), "not_an_engine", id="no version"),
        pytest.param(_LIST.replace(b"1.41", b"1.5"), "not_an_engine", id="an engine of old times"),
        pytest.param(_LIST.replace(b"1.41", b"9" * 5000), "not_an_engine", id="a long version"),
        pytest.param(_LIST + b"Content-Length: 9\r\n\r\n[", "engine_away", id="cut off"),
        pytest.param(_LIST + b"Content-Length: 200000\r\n\r\n" + b" " * 200_000, "engine_away", id="too much"),
    ],
)
def test_what_is_no_engine(folder: Path, answer: bytes, code: str) -> None:
    with _server(folder, lambda client: client.sendall(answer)) as url:
        assert _told(lambda: _away(url)) == code


@pytest.mark.parametrize("answer", [b'["a", 1, null]', b'{"message": "x"}', b"[[]]", b'{"Id": "abc"}', b"null", b"7"])
def test_answers_of_no_engine(folder: Path, answer: bytes) -> None:
    """It may say whatever it wants: nothing but TargetAway comes of it."""
    head = _LIST + f"Content-Length: {len(answer)}\r\n\r\n".encode()

    def serve(client: socket.socket) -> None:
        client.sendall(head + answer)
        while client.recv(1 << 16):
            client.sendall(head + answer)

    with _server(folder, serve) as url, connect(Connection(url=url), HASTY) as connected:
        for ask in (
            lambda: DockerTarget(connected, lambda _: False).observe(frozenset({uuid4()})),
            lambda: connected.inspect("x"),
            connected.version,
        ):
            assert _told(ask) in {"not_an_engine", "engine_away"}


def test_a_check_asks_all_that_a_survey_asks(folder: Path) -> None:
    """What answers whoever checks, and not whoever looks then, would be in health and out of it by turns."""
    unusable = b"all=1"

    def serve(client: socket.socket) -> None:
        if unusable not in _asked[-1]:
            body = b"[]" if b"/containers/json" in _asked[-1] else b'{"Version": "1", "Id": "abc"}'
            client.sendall(_LIST + f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)

    with _server(folder, serve) as url, connect(Connection(url=url), QUICK) as connected:
        assert _told(lambda: preflight(connected)) == "engine_away"
        unusable = b"nothing"
        assert _told(lambda: preflight(connected)) == "not_an_engine"


def test_what_repeats_a_request_in_its_error_repeats_no_token(folder: Path) -> None:
    def serve(client: socket.socket) -> None:
        said = json.dumps({"message": f"can't do {_asked[-1].decode()}"}).encode()
        is_list = b"GET /containers/json" in _asked[-1]
        head = _LIST if is_list else _LIST.replace(b"200 OK", b"500 Oh")
        body = b"[]" if is_list else said
        client.sendall(head + f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)

    wanted = wanted_container(*owner_and_name())
    with (
        _server(folder, serve) as url,
        connect(Connection(url=url), QUICK) as connected,
        pytest.raises(Refused) as refused,
    ):
        connected.create(creation(wanted), "x")

    assert "AUTHENTIK_TOKEN=" in refused.value.words
    assert TOKEN not in refused.value.words


def test_nobody_answers(folder: Path) -> None:
    with _server(folder, lambda client: client.recv(1)) as url:
        began = time.monotonic()
        assert _told(lambda: _away(url)) == "engine_away"
        assert time.monotonic() - began < LONG


def test_an_engine_that_is_slow_is_told_from_one_that_hangs(folder: Path) -> None:
    """Only its first answer has to come soon: a list of many containers may take its time."""
    limits = replace(HASTY, first=1, call=2 * LONG)

    def serve(client: socket.socket) -> None:
        if b"all=1" in _asked[-1]:
            time.sleep(1.2)
        client.sendall(_LIST + b"Content-Length: 2\r\nConnection: close\r\n\r\n[]")

    with _server(folder, serve) as url, connect(Connection(url=url), limits) as connected:
        assert connected.containers("x") == []
    (folder / "any.sock").unlink()
    with _server(folder, lambda client: client.recv(1)) as url:
        began = time.monotonic()
        assert _told(lambda: _away(url, limits=limits)) == "engine_away"
        assert time.monotonic() - began < LONG


def test_an_answer_that_trickles(folder: Path) -> None:
    """Never silent for as long as is waited for, and never at an end."""

    def trickle(client: socket.socket) -> None:
        client.sendall(_LIST + b"Content-Length: 1000\r\n\r\n")
        for _ in range(100):
            client.sendall(b" ")
            time.sleep(0.05)

    with _server(folder, trickle) as url, pytest.raises(TargetAway) as away:
        _away(url)
    assert (away.value.code, away.value.detail) == ("engine_away", "GET /containers/json: no answer within 0.5 s")


@pytest.mark.parametrize("said", [b"", b'{"status": "so"}\n'])
def test_a_pull_that_falls_silent_can_be_given_up(folder: Path, said: bytes) -> None:
    """Whoever follows it has a turn while nothing comes, and the engine notices at once that nobody does any more."""
    gone = threading.Event()

    def serve(client: socket.socket) -> None:
        if b"/containers/json" in _asked[-1]:
            client.sendall(_LIST + b"Content-Length: 2\r\nConnection: close\r\n\r\n[]")
            return
        head = _LIST + b"Transfer-Encoding: chunked\r\n\r\n"
        client.sendall(head + f"{len(said):x}\r\n".encode() + said + b"\r\n" if said else b"")
        assert client.recv(1) == b""
        gone.set()

    with _server(folder, serve) as url, connect(Connection(url=url), replace(HASTY, quiet=2 * LONG)) as connected:
        began = time.monotonic()
        with closing(connected.pull("x")) as messages:
            assert [next(messages), next(messages)] == [{"status": "so"} if said else None, None]
        assert gone.wait(LONG)
        assert time.monotonic() - began < LONG


def test_where_nothing_is(folder: Path) -> None:
    with pytest.raises(TargetAway) as away:
        _away(f"unix://{folder}/none.sock")
    assert (away.value.code, away.value.detail) == (
        "engine_away",
        f"GET /containers/json: No such file or directory: {folder}/none.sock",
    )
    assert _told(lambda: _away("tcp://127.0.0.1:1")) == "engine_away"
    assert _told(lambda: _away("ssh://127.0.0.1:1", key="")) == "engine_away"
    assert _told(lambda: _away("gopher://x")) == "engine_away"


def test_a_file_of_dockers_own_that_is_none(engine_socket: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has to mend it is told which one."""
    (folder / "config.json").write_text('{"auths": {"registry.example": 5}}')
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))

    with pytest.raises(TargetAway) as away:
        _away(f"unix://{engine_socket}")

    assert "config.json" in away.value.detail


def test_an_ssh_server_that_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        began = time.monotonic()
        assert _told(lambda: _away(f"ssh://127.0.0.1:{server.getsockname()[1]}")) == "engine_away"
        assert time.monotonic() - began < LONG


def test_tls_that_says_nothing(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        began = time.monotonic()
        connection = Connection(
            url=f"tcp://127.0.0.1:{server.getsockname()[1]}", ca=self_signed(folder, "localhost")[0].read_text()
        )
        with pytest.raises(TargetAway) as away, connect(connection, HASTY):
            pass
        assert (away.value.code, time.monotonic() - began < LONG) == ("engine_away", True)


def _has_stopped(process: int) -> bool:
    """Whether all threads have: a signal reaches one after the other."""
    states = [task.read_text().rpartition(")")[2].split()[0] for task in Path(f"/proc/{process}/task").glob("*/stat")]
    return set(states) == {"T"}


def _away(url: str, key: str = "", limits: Limits = HASTY) -> None:
    with connect(Connection(url=url, key=key), limits):
        pass


def _told(ask: Callable[[], object]) -> str:
    with pytest.raises(TargetAway) as away:
        ask()
    return away.value.code


_asked: list[bytes] = []


def _request(client: socket.socket) -> bytes:
    asked = client.recv(1 << 16)
    length = re.search(rb"content-length: (\d+)", asked.lower())
    while length and len(asked.partition(b"\r\n\r\n")[2]) < int(length[1]):
        asked += client.recv(1 << 16)
    return asked


@contextmanager
def _server(folder: Path, answer: Callable[[socket.socket], object]) -> Iterator[str]:
    """Something that listens at a socket and answers whatever it is asked so."""
    path = folder / "any.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(path))
        server.listen()

        def serve() -> None:
            while not ending.is_set():
                client, _ = server.accept()
                with client, suppress(OSError):
                    client.settimeout(2 * LONG)
                    if asked := _request(client):
                        _asked.append(asked)
                        answer(client)

        ending = threading.Event()
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"unix://{path}"
        finally:
            ending.set()
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as last:
                last.connect(str(path))
            thread.join(10)
        assert not thread.is_alive()
