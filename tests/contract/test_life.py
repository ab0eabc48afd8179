"""The life of outposts, with control and the real program: drained, stopped, and of a version that isn't served."""

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from control.domain.outpost import InstanceState
from control.fleet import instances
from control.fleet.instances import ask_drain, history
from control.store import Store
from tests.support.fake_control import eventually
from tests.support.fleet import Deployed, deploy
from tests.support.links import Control
from tests.support.outpost_process import OutpostProcess
from tests.support.real_control import RealControl
from tests.support.stores import ADMIN, Clock, Wakes


class RealClock(Clock):
    """One that goes on: what began after what matters here."""

    def __call__(self) -> datetime:
        return datetime.now(UTC)


@pytest.fixture
def clock() -> Clock:
    return RealClock()


@pytest.fixture
def control(store: Store, clock: Clock, wakes: Wakes, tmp_path: Path) -> Iterator[RealControl]:
    with RealControl(Control(store, clock, wakes, tmp_path)).running() as control:
        yield control


@pytest.fixture
def deployed(control: RealControl) -> Deployed:
    return deploy(control.store)


@pytest.fixture
def outpost(control: RealControl, deployed: Deployed, tmp_path: Path) -> Iterator[OutpostProcess]:
    with OutpostProcess(tmp_path, control.environment(deployed)) as process:
        process.ready()
        control.instance(deployed, state=InstanceState.CONNECTED, last_error="")
        yield process


def uid_of(outpost: OutpostProcess) -> str:
    return (outpost.state / "instance").read_text().strip()


def told(control: RealControl, deployed: Deployed, outpost: OutpostProcess) -> list[str]:
    """The kinds of what happened to an instance, the oldest first."""
    with control.store.read() as unit:
        events = history(unit, deployed.outpost, uid_of(outpost))
    order = ["connected", "draining", "disconnected"]
    return sorted((event.kind for event in events), key=order.index)


@contextmanager
def request_in_flight(outpost: OutpostProcess) -> Iterator[socket.socket]:
    """A request whose second half is up to the test."""
    with socket.create_connection(("127.0.0.1", outpost.http_port), timeout=30) as client:
        client.sendall(b"GET /outpost.goauthentik.io/ping HTTP/1.1\r\nHost: wiki.example.com\r\n")
        # That it has been accepted is seen by the answer to another one.
        eventually(lambda: outpost.ping() == 204, "the outpost serves")
        yield client


def test_a_drained_outpost_says_so_finishes_its_work_and_ends_well(
    control: RealControl, deployed: Deployed, outpost: OutpostProcess
) -> None:
    with request_in_flight(outpost) as client:
        with control.store.write(ADMIN) as unit:
            ask_drain(unit, deployed.outpost, uid_of(outpost))
        control.instance(deployed, state=InstanceState.DRAINING)
        eventually(lambda: outpost.ping() == 0, "new connections are refused")
        assert outpost.get("/-/health/ready/") == (503, "the outpost is draining\n")
        client.sendall(b"\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 204")
    assert outpost.wait() == 0
    control.instance(deployed, state=InstanceState.DISCONNECTED, last_error="")
    assert told(control, deployed, outpost) == ["connected", "draining", "disconnected"]
    eventually(lambda: not drains(control), "the wish is forgotten")


def drains(control: RealControl) -> int:
    with control.store.read() as unit:
        return len(unit.drains.all())


def test_what_is_started_again_after_a_drain_stays(
    control: RealControl, deployed: Deployed, outpost: OutpostProcess
) -> None:
    with control.store.write(ADMIN) as unit:
        ask_drain(unit, deployed.outpost, uid_of(outpost))
    assert outpost.wait() == 0
    # As a service manager would, at once.
    outpost.start()
    outpost.ready()
    control.instance(deployed, state=InstanceState.CONNECTED, last_error="")
    # A change that is applied proves that no drain came first.
    with control.store.write(ADMIN) as unit:
        provider = unit.proxy_providers.get(deployed.sites[0].provider.id)
        unit.proxy_providers.update(replace(provider, external_host="https://other.example.com"))
    eventually(lambda: outpost.get(NGINX, "other.example.com", outpost.http_port)[0] == 400, "it serves on")


NGINX = "/outpost.goauthentik.io/auth/nginx"


def test_one_of_two_instances_is_drained(control: RealControl, deployed: Deployed, tmp_path: Path) -> None:
    folders = [tmp_path / "east", tmp_path / "west"]
    for folder in folders:
        folder.mkdir()
    environment = control.environment(deployed)
    with OutpostProcess(folders[0], environment) as east, OutpostProcess(folders[1], environment) as west:
        for each in (east, west):
            each.ready()
            control.instance(deployed, state=InstanceState.CONNECTED, uid=uid_of(each))
        with control.store.write(ADMIN) as unit:
            ask_drain(unit, deployed.outpost, uid_of(east))
        assert east.wait() == 0
        control.instance(deployed, state=InstanceState.DISCONNECTED, uid=uid_of(east))
        control.instance(deployed, state=InstanceState.CONNECTED, uid=uid_of(west))
        assert west.ping() == 204


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_outpost_takes_its_leave(
    control: RealControl, deployed: Deployed, outpost: OutpostProcess, number: signal.Signals
) -> None:
    with request_in_flight(outpost) as client:
        outpost.signal(number)
        control.instance(deployed, state=InstanceState.DRAINING)
        client.sendall(b"\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 204")
    assert outpost.wait() == 0
    control.instance(deployed, state=InstanceState.DISCONNECTED, last_error="")
    assert told(control, deployed, outpost) == ["connected", "draining", "disconnected"]


def test_a_killed_outpost_is_lost(control: RealControl, deployed: Deployed, outpost: OutpostProcess) -> None:
    outpost.signal(signal.SIGKILL)
    outpost.wait()
    control.instance(deployed, state=InstanceState.DISCONNECTED, last_error="the connection was lost")


def test_an_outpost_of_a_protocol_that_is_not_served_serves_on_and_says_so(
    store: Store, clock: Clock, wakes: Wakes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed = deploy(store)
    with RealControl(Control(store, clock, wakes, tmp_path)).running() as control:
        environment = control.environment(deployed)
        with OutpostProcess(tmp_path, environment) as outpost:
            outpost.ready()
            control.instance(deployed, state=InstanceState.CONNECTED)
            eventually((outpost.state / "state").exists, "the state is saved")
            outpost.signal(signal.SIGTERM)
            outpost.wait()
            # Control is upgraded, by two versions.
            monkeypatch.setattr(instances, "PROTOCOLS", range(3, 5))
            outpost.start()
            reason = "speaks version 2 of the link's protocol; this control serves 3 to 4: upgrade the outpost"
            control.instance(deployed, state=InstanceState.DISCONNECTED, last_error=reason)
            told = f"ready\nbut control does not serve this outpost: {reason}\n"
            eventually(lambda: outpost.get("/-/health/ready/") == (200, told), "it is ready, and says why not")
            assert outpost.metrics()["garrison_outpost_unsupported"] == 1
            assert outpost.get(NGINX, "wiki.example.com", outpost.http_port)[0] != 404
            refused = [line for line in outpost.log if line["event"] == "no link to control"]
            assert reason in refused[-1]["reason"]
            waits = [line["in_seconds"] for line in outpost.log if line["event"] == "calling control again"]
            assert all(15 <= wait <= 30 for wait in waits)
