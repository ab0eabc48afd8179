"""The metrics port with real sockets: merged metrics, pings, readiness, and children that don't answer."""

import socket
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from control.serve.observatory import Observatory, Sources
from control.serve.unix_http import Unreachable, get, serve_metrics


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a path short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="garrison") as path:
        yield Path(path)


def counted(name: str, value: int) -> CollectorRegistry:
    registry = CollectorRegistry()
    Counter(name, "Things.", registry=registry).inc(value)
    return registry


def listen(observatory: Observatory) -> Iterator[str]:
    server = observatory.listen("127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def url(folder: Path) -> Iterator[str]:
    serve_metrics(folder / "web", counted("things", 2))
    serve_metrics(folder / "link", counted("things", 3))
    metrics = {"web": folder / "web", "link": folder / "link", "proxy": folder / "proxy"}
    sources = Sources(own=counted("own", 1), metrics=metrics, ready=(folder / "web",))
    yield from listen(Observatory(sources))


def fetch(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_metrics_of_all_and_who_did_not_answer(url: str) -> None:
    status, text = fetch(f"{url}/metrics")
    lines = text.splitlines()
    assert status == 200
    assert {"things_total 5.0", "own_total 1.0"} <= set(lines)
    assert 'garrison_process_scraped{process="web"} 1.0' in lines
    assert 'garrison_process_scraped{process="proxy"} 0.0' in lines


@pytest.mark.parametrize("path", ["/", "/outpost.goauthentik.io/ping", "/-/health/live/", "/?x=1"])
def test_pings(url: str, path: str) -> None:
    assert fetch(url + path) == (204, "")


def test_other_paths(url: str) -> None:
    assert fetch(f"{url}/secret")[0] == 404


def test_not_ready_while_somebody_is_not(url: str) -> None:
    assert fetch(f"{url}/-/health/ready/")[0] == 503


def test_a_child_that_hangs_is_left_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("control.serve.observatory.SCRAPE_SECONDS", 0.05)
    with closing(socket.socket(socket.AF_UNIX)) as mute:
        mute.bind(str(folder / "mute"))
        mute.listen()
        sources = Sources(own=counted("own", 1), metrics={"mute": folder / "mute"}, ready=())
        text = Observatory(sources).text().decode()
    assert 'garrison_process_scraped{process="mute"} 0.0' in text
    assert "own_total 1.0" in text


def test_nobody_there_is_unreachable(folder: Path) -> None:
    with pytest.raises(Unreachable):
        get(folder / "none", "/", 1)


def test_a_socket_left_behind_is_replaced(folder: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as old:
        old.bind(str(folder / "web"))
    serve_metrics(folder / "web", counted("things", 7))
    status, body = get(folder / "web", "/metrics", 5)
    assert (status, b"things_total 7.0" in body) == (200, True)
    assert (folder / "web").stat().st_mode & 0o777 == 0o600
    assert get(folder / "web", "/other", 5) == (404, b"")


def test_a_client_that_goes_away_is_no_traceback(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    class Endless(CollectorRegistry):
        asked = threading.Event()

        def collect(self) -> Iterator[Metric]:
            gone.wait(10)
            yield GaugeMetricFamily("much", "Much." * 1_000_000, 1)
            self.asked.set()

    gone = threading.Event()
    registry = Endless()
    serve_metrics(folder / "web", registry)
    with closing(socket.socket(socket.AF_UNIX)) as hasty:
        hasty.connect(str(folder / "web"))
        hasty.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
    gone.set()
    assert registry.asked.wait(10)
    assert get(folder / "web", "/other", 10)[0] == 404
    assert "Traceback" not in capfd.readouterr().err
