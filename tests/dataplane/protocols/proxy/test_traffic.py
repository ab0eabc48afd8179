"""Figures of what goes on to applications, as metrics have them."""

from pathlib import Path

from tests.dataplane.io.lines import until
from tests.dataplane.protocols.proxy.servers import connect
from tests.dataplane.protocols.proxy.standing import Site, site, standing_before
from tests.dataplane.protocols.proxy.told.scripts import WEBSOCKET, go_on, switch

HOST = "wiki.example.com"


def metrics(served: Site) -> dict[tuple[str, ...], float]:
    """Counters and gauges by name and label values."""
    snapshot = served.server.metrics()
    samples = [*snapshot["counters"], *snapshot["gauges"]]
    return {(sample["name"], *sample["labels"].values()): sample["value"] for sample in samples}


def test_connections_to_an_application(tmp_path: Path) -> None:
    with site(tmp_path) as served:
        for _ in range(3):
            served.ask()
        until(lambda: metrics(served)["garrison_proxy_upstream_connections", HOST, "idle"] == 1)
        told = metrics(served)
    assert told["garrison_proxy_upstream_connections", HOST, "busy"] == 0
    assert told["garrison_proxy_upstream_dials_total", HOST] == 1
    assert told["garrison_proxy_upstream_reused_total", HOST] == 2
    assert told["garrison_proxy_upstream_retries_total", HOST] == 0
    assert told["garrison_proxy_upstream_waiting", HOST] == 0
    assert told["garrison_proxy_open_exchanges",] == 0
    assert told["garrison_proxy_log_lines_dropped_total",] == 0


def test_what_is_open(tmp_path: Path) -> None:
    with site(tmp_path, go_on) as served:
        with connect(served.port) as client:
            client.sendall(served.request())
            client.recv(100)
            assert metrics(served)["garrison_proxy_open_exchanges",] == 1
            assert metrics(served)["garrison_proxy_upstream_connections", HOST, "busy"] == 1
        until(lambda: metrics(served)["garrison_proxy_open_exchanges",] == 0)


def test_websockets(tmp_path: Path) -> None:
    with site(tmp_path, switch) as served:
        with connect(served.port) as client:
            client.sendall(served.request(b"/", *WEBSOCKET))
            assert client.recv(1000).startswith(b"HTTP/1.1 101")
            until(lambda: metrics(served)["garrison_proxy_websockets", HOST] == 1)
        until(lambda: metrics(served)["garrison_proxy_websockets", HOST] == 0)


def test_failures(tmp_path: Path) -> None:
    with site(tmp_path, b"SSH-2.0\r\n\r\n") as served:
        served.ask()
        assert metrics(served)["garrison_proxy_upstream_failures_total", HOST, "malformed"] == 1


def test_nobody_there(tmp_path: Path) -> None:
    with site(tmp_path) as served:
        (tmp_path / "application.sock").unlink()
        served.ask()
        told = metrics(served)
    assert told["garrison_proxy_upstream_failures_total", HOST, "unreachable"] == 1
    assert told["garrison_proxy_upstream_dial_failures_total", HOST, "unreachable"] >= 1
    assert told["garrison_proxy_upstream_resting", HOST] == 1


def test_totals_dont_go_back_when_config_changes(tmp_path: Path) -> None:
    dials = "garrison_proxy_upstream_dials_total", HOST
    with site(tmp_path) as served:
        served.ask()
        assert metrics(served)[dials] == 1
        served.commit(**{"provider/p1": standing_before(f"unix://{tmp_path}/application.sock", host_header="other")})
        assert metrics(served)[dials] == 1
        served.ask()
        assert metrics(served)[dials] == 2


def test_durations(tmp_path: Path) -> None:
    with site(tmp_path) as served:
        served.ask()
        served.ask(signed_in=False)
        counts = {each["name"]: sum(each["counts"]) for each in served.server.metrics()["histograms"]}
    assert counts == {
        "authentik_outpost_proxy_request_duration_seconds": 2,
        "authentik_outpost_proxy_upstream_response_duration_seconds": 1,
    }
