"""Control says by its exit code, and in one line, whether it is ready."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from control.main import main
from tests.support.peers_program import free_port


@contextmanager
def answering(status: int) -> Iterator[str]:
    """A metrics port that answers the ready page, and nothing else, with this status; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/-/health/ready/" else 404)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_ready(capsys: pytest.CaptureFixture[str]) -> None:
    with answering(204) as address:
        assert main(["healthcheck", "--metrics", address]) == 0
    assert capsys.readouterr() == ("", "")


def test_not_ready(capsys: pytest.CaptureFixture[str]) -> None:
    with answering(503) as address:
        assert main(["healthcheck", "--metrics", address]) == 1
    expected = f"garrison: not ready: http://{address}/-/health/ready/ answered 503, expected 204\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize("host", ["", "0.0.0.0", "127.0.0.1"])
def test_nobody_there(host: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    monkeypatch.setenv("AUTHENTIK_LISTEN__METRICS", f"{host}:{port}")
    assert main(["healthcheck"]) == 1
    assert f"http://127.0.0.1:{port}/-/health/ready/ answered nothing (" in capsys.readouterr().err
