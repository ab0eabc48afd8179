"""Control's enrolment and link with the real outpost: a process of its own, over HTTP, gRPC and mutual TLS."""

import http.client
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from control.domain.outpost import InstanceState
from control.store import Store
from tests.support.fake_control import eventually
from tests.support.fleet import Deployed, deploy
from tests.support.links import Control
from tests.support.outpost_process import OutpostProcess
from tests.support.real_control import RealControl
from tests.support.stores import ADMIN, Clock, Wakes

COMMIT_TO_APPLIED = 0.25


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime.now(UTC))


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
        yield process


def test_enrols_connects_applies_and_tells_how_it_is(
    control: RealControl, deployed: Deployed, outpost: OutpostProcess
) -> None:
    outpost.ready()
    with control.store.read() as unit:
        wanted = unit.instances.of_outpost(deployed.outpost.id)[0].wanted_revision
    # The database follows the stream by a tenth of a second.
    instance = control.instance(deployed, state=InstanceState.CONNECTED, applied_revision=wanted)
    assert (instance.rejections, instance.last_error, abs(instance.clock_skew) < 60) == ((), "", True)
    assert instance.applied_revision == instance.wanted_revision > 0


def test_a_commit_is_applied_within_a_quarter_of_a_second(
    control: RealControl, deployed: Deployed, outpost: OutpostProcess
) -> None:
    outpost.ready()
    control.instance(deployed, state=InstanceState.CONNECTED)
    took = [_seconds_until_served(control, deployed, outpost, f"wiki{number}.example.com") for number in range(5)]
    assert sorted(took)[2] < COMMIT_TO_APPLIED, took


def _seconds_until_served(control: RealControl, deployed: Deployed, outpost: OutpostProcess, host: str) -> float:
    """From an admin's change of the external host until the outpost asks for a sign-in there."""

    def asks_for_sign_in() -> bool:
        return check(outpost, host) == 401

    assert not asks_for_sign_in()
    begun = time.monotonic()
    with control.store.write(ADMIN) as unit:
        provider = unit.providers.get(deployed.sites[0].provider.id)
        unit.providers.update(replace(provider, external_host=f"http://{host}"))
    eventually(asks_for_sign_in, f"{host} is served")
    return time.monotonic() - begun


def check(outpost: OutpostProcess, host: str) -> int:
    """The status of nginx's question about the first page of a host."""
    connection = http.client.HTTPConnection("127.0.0.1", outpost.http_port, timeout=10)
    with closing(connection):
        headers = {"Host": host, "X-Original-URL": f"http://{host}/"}
        connection.request("GET", "/outpost.goauthentik.io/auth/nginx", headers=headers)
        return connection.getresponse().status
