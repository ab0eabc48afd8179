"""What is told of an engine that doesn't answer in time, or says too much."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from threading import Event, Thread

import pytest

from control.integrations.docker.dialing import UnixDialer, Wire
from control.integrations.docker.engine import Engine
from control.integrations.docker.limits import Limits
from control.integrations.model import TargetAway


class _Hangs(UnixDialer):
    """No connection comes about before it is cut: as SSH, it only knows then that something ended."""

    def __init__(self) -> None:
        super().__init__("/nowhere")
        self._was_cut = Event()

    def dial(self, within: float) -> Wire:
        assert self._was_cut.wait(10 * within)
        raise TargetAway("ssh_refused", "ended the connection")

    def cut(self) -> None:
        self._was_cut.set()


def test_who_is_cut_off_was_late_whatever_the_dialer_says() -> None:
    with pytest.raises(TargetAway) as away, closing(Engine(_Hangs(), Limits(connect=0.5, first=0.01, call=0.01))):
        pass

    assert away.value.code == "engine_away"
    assert away.value.detail.endswith("no answer within 0.01 s")


class _Talker(BaseHTTPRequestHandler):
    """Its version is a novel, in lines."""

    def do_GET(self) -> None:
        """Whatever is asked."""
        body = json.dumps({"Version": "24.0\n" + "x" * 1000} if self.path.endswith("/version") else []).encode()
        self.send_response(200)
        self.send_header("Api-Version", "1.43")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Nothing."""


class _Server(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True


@contextmanager
def talking(path: Path) -> Iterator[Engine]:
    """An engine that says too much."""
    with _Server(str(path), _Talker) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        with closing(Engine(UnixDialer(str(path)), Limits())) as engine:
            yield engine
        server.shutdown()


def test_a_version_is_one_line_that_can_be_stored(tmp_path: Path) -> None:
    with talking(tmp_path / "engine.sock") as engine:
        assert engine.version() == "24.0 " + "x" * 75
