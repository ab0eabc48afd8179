"""Control's enrolment and link with the real outpost: a process of its own, over HTTP, gRPC and mutual TLS."""

import http.client
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from control.domain.outpost import Instance, InstanceState
from control.fleet.tokens import replace_token
from control.store import Store
from tests.support.fake_control import eventually
from tests.support.fleet import Deployed, deploy
from tests.support.links import Control
from tests.support.outpost_process import OutpostProcess
from tests.support.peers_program import free_port
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
        revision = unit.revision()
    # The database follows the stream by a tenth of a second.
    instance = control.instance(deployed, state=InstanceState.CONNECTED, applied_revision=revision)
    assert (instance.rejections, instance.last_error, abs(instance.clock_skew) < 60) == ((), "", True)
    assert instance.applied_revision == instance.wanted_revision > 0


def test_a_commit_is_applied_within_a_quarter_of_a_second(
    control: RealControl, deployed: Deployed, outpost: OutpostProcess
) -> None:
    outpost.ready()
    control.instance(deployed, state=InstanceState.CONNECTED)
    took = [_seconds_until_served(control, deployed, outpost, f"wiki{number}.example.com") for number in range(5)]
    assert min(took) < COMMIT_TO_APPLIED, took


def _seconds_until_served(control: RealControl, deployed: Deployed, outpost: OutpostProcess, host: str) -> float:
    """From an admin's change of the external host until the outpost asks for a sign-in there."""

    def asks_for_sign_in() -> bool:
        return check(outpost, host) == 401

    assert not asks_for_sign_in()
    begun = time.monotonic()
    with control.store.write(ADMIN) as unit:
        provider = unit.proxy_providers.get(deployed.sites[0].provider.id)
        unit.proxy_providers.update(replace(provider, external_host=f"http://{host}"))
    eventually(asks_for_sign_in, f"{host} is served")
    return time.monotonic() - begun


def check(outpost: OutpostProcess, host: str) -> int:
    """The status of nginx's question about the first page of a host."""
    connection = http.client.HTTPConnection("127.0.0.1", outpost.http_port, timeout=30)
    with closing(connection):
        headers = {"Host": host, "X-Original-URL": f"http://{host}/"}
        connection.request("GET", "/outpost.goauthentik.io/auth/nginx", headers=headers)
        return connection.getresponse().status


def test_a_replaced_token_ends_the_link_and_the_new_one_restores_it(
    control: RealControl, deployed: Deployed, outpost: OutpostProcess, tmp_path: Path
) -> None:
    outpost.ready()
    control.instance(deployed, state=InstanceState.CONNECTED)
    with control.store.write(ADMIN) as unit:
        token = replace_token(unit, deployed.outpost)
    gone = control.instance(deployed, state=InstanceState.DISCONNECTED)
    assert "revoked or replaced" in gone.last_error
    told = eventually(lambda: [line for line in outpost.log if "has revoked this token" in str(line)], "it is told why")
    assert deployed.token.secret not in str(told)
    # Cut off, it serves on from what it holds.
    assert check(outpost, "wiki.example.com") == 401
    (tmp_path / "second").mkdir()
    with OutpostProcess(tmp_path / "second", control.environment(replace(deployed, token=token))) as second:
        second.ready()
        control.instance(deployed, state=InstanceState.CONNECTED)


def test_a_token_nobody_knows_is_said_clearly(control: RealControl, tmp_path: Path) -> None:
    environment = {"AUTHENTIK_HOST": control.url, "AUTHENTIK_TOKEN": "t" * 43}
    with OutpostProcess(tmp_path, environment) as process:
        eventually(lambda: [line for line in process.log if "does not know this token" in str(line)], "it is told why")


def test_two_outposts_serve_each_their_own(control: RealControl, deployed: Deployed, tmp_path: Path) -> None:
    other = deploy(control.store, "west", ("blog",))
    folders = [tmp_path / "east", tmp_path / "west"]
    for folder in folders:
        folder.mkdir()
    with (
        OutpostProcess(folders[0], control.environment(deployed)) as east,
        OutpostProcess(folders[1], control.environment(other)) as west,
    ):
        east.ready()
        west.ready()
        hosts = ("wiki.example.com", "blog.example.com")
        assert [check(east, host) == 401 for host in hosts] == [True, False]
        assert [check(west, host) == 401 for host in hosts] == [False, True]


def test_a_stopped_outpost_is_shown_as_gone(control: RealControl, deployed: Deployed, outpost: OutpostProcess) -> None:
    outpost.ready()
    control.instance(deployed, state=InstanceState.CONNECTED)
    outpost.signal(signal.SIGTERM)
    outpost.wait()
    control.instance(deployed, state=InstanceState.DISCONNECTED)


def test_an_outpost_that_hangs_is_found_within_twenty_seconds(
    control: RealControl, deployed: Deployed, outpost: OutpostProcess
) -> None:
    outpost.ready()
    control.instance(deployed, state=InstanceState.CONNECTED)
    outpost.signal(signal.SIGSTOP)
    try:
        eventually(lambda: not connected(control, deployed), "it is noticed", 20)
    finally:
        outpost.signal(signal.SIGCONT)
    control.instance(deployed, state=InstanceState.CONNECTED)


def connected(control: RealControl, deployed: Deployed) -> bool:
    """Whether any instance is."""
    with control.store.read() as unit:
        instances = unit.instances.of_outpost(deployed.outpost.id)
    return any(instance.state is InstanceState.CONNECTED for instance in instances)


def test_a_control_that_comes_back_finds_everything_in_place(
    store: Store, clock: Clock, wakes: Wakes, tmp_path: Path
) -> None:
    deployed = deploy(store)
    port = free_port()
    state = Control(store, clock, wakes, tmp_path, port=port)
    with ExitStack() as stack:
        with RealControl(state).running() as control:
            process = stack.enter_context(OutpostProcess(tmp_path, control.environment(deployed)))
            process.ready()
            control.instance(deployed, state=InstanceState.CONNECTED)
        with RealControl(state).running() as control:
            instance = control.instance(deployed, state=InstanceState.CONNECTED)
            assert instance.applied_revision == instance.wanted_revision
            assert control.pushes() == 0


def test_what_an_outpost_refuses_is_shown_with_its_reason(
    control: RealControl, deployed: Deployed, outpost: OutpostProcess
) -> None:
    outpost.ready()
    with control.store.write(ADMIN) as unit:
        provider = unit.proxy_providers.get(deployed.sites[0].provider.id)
        unit.proxy_providers.update(replace(provider, skip_path_regex="("))
    instance = eventually(lambda: shown(control, deployed), "the refusal is shown")
    assert [each.key for each in instance.rejections] == [f"provider/{provider.id}"]
    assert check(outpost, "wiki.example.com") == 401
    with control.store.write(ADMIN) as unit:
        unit.proxy_providers.update(replace(provider, skip_path_regex="^/public"))
    control.instance(deployed, rejections=())


def shown(control: RealControl, deployed: Deployed) -> Instance | None:
    """The instance, once a refusal is noted."""
    with control.store.read() as unit:
        return next((each for each in unit.instances.of_outpost(deployed.outpost.id) if each.rejections), None)
