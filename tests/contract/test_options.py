"""The options of an outpost take effect while it runs: control, its link and the real program."""

import http.client
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from control.domain.outpost import InstanceState
from control.store import Store
from tests.support.fake_authority import Authority
from tests.support.fake_control import FakeControl, eventually, options
from tests.support.fleet import Deployed, deploy
from tests.support.links import Control
from tests.support.outpost_process import OutpostProcess
from tests.support.real_control import RealControl
from tests.support.stores import ADMIN, Clock, Wakes


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


@contextmanager
def running(control: RealControl, deployed: Deployed, folder: Path, **environment: str) -> Iterator[OutpostProcess]:
    """An outpost that serves, with more in its environment."""
    with OutpostProcess(folder, control.environment(deployed) | environment) as outpost:
        outpost.ready()
        control.instance(deployed, state=InstanceState.CONNECTED)
        yield outpost


def configure(control: RealControl, deployed: Deployed, **config: Any) -> None:
    """Change the outpost's options as an admin would."""
    with control.store.write(ADMIN) as unit:
        unit.outposts.update(replace(unit.outposts.get(deployed.outpost.id), config=config))


def logged(outpost: OutpostProcess, level: str, **fields: Any) -> int:
    """How many lines of a level there are, with these fields."""
    wanted = {"level": level, **fields}
    return sum(1 for line in outpost.log if all(line.get(name) == value for name, value in wanted.items()))


def test_the_log_level_changes_up_and_down(control: RealControl, deployed: Deployed, tmp_path: Path) -> None:
    with running(control, deployed, tmp_path) as outpost:
        assert logged(outpost, "trace") == 0
        configure(control, deployed, log_level="trace")
        # The supervisor and its workers alike.
        eventually(lambda: logged(outpost, "trace", event="told control", what="applied"), "traces")
        configure(control, deployed, log_level="error")
        control.instance(deployed, applied_revision=revision(control))
        quiet = datetime.now(UTC)
        configure(control, deployed, log_level="error", refresh_interval="minutes=6")
        control.instance(deployed, applied_revision=revision(control))
        assert not outpost.log_since(quiet)


def revision(control: RealControl) -> int:
    with control.store.read() as unit:
        return unit.revision()


def test_the_option_wins_over_the_environment_as_with_authentik(
    control: RealControl, deployed: Deployed, tmp_path: Path
) -> None:
    with running(control, deployed, tmp_path, AUTHENTIK_LOG_LEVEL="error") as outpost:
        # Until it has options the environment's level counts; afterwards theirs, which by default is info.
        assert not [line for line in outpost.log if line["event"] == "the outpost is up"]
        configure(control, deployed, refresh_interval="minutes=6")
        eventually(lambda: logged(outpost, "info", event="a configuration is in force"), "info is logged")


def test_a_front_door_logs_as_control_does(tmp_path: Path) -> None:
    with FakeControl() as control, control.on_socket(tmp_path / "web.sock") as path:
        control.hold(options(log_level="error"))
        environment = control.environment() | {"GARRISON_CONTROL_SOCKET": path, "AUTHENTIK_LOG_LEVEL": "debug"}
        with OutpostProcess(tmp_path, environment) as outpost:
            control.settled(1)
            control.settled(control.hold(options(log_level="error")))
            eventually(lambda: logged(outpost, "info", event="a configuration is in force") == 2, "both are logged")


def test_the_refresh_interval_changes_at_once(
    control: RealControl, deployed: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("control.fleet.options.SHORTEST_REFRESH", timedelta())
    configure(control, deployed, log_level="trace", refresh_interval="hours=1")
    with running(control, deployed, tmp_path) as outpost:
        assert logged(outpost, "trace", what="Wanted") == 0
        configure(control, deployed, log_level="trace", refresh_interval="milliseconds=200")
        eventually(lambda: logged(outpost, "trace", what="Wanted") >= 3, "what is held is compared", 3)


def sent_to(outpost: OutpostProcess) -> str:
    """Where a browser is sent to sign in."""
    connection = http.client.HTTPConnection("127.0.0.1", outpost.http_port, timeout=30)
    headers = {"Host": "wiki.example.com", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "wiki.example.com"}
    try:
        connection.request("GET", "/outpost.goauthentik.io/start", headers=headers)
        return (connection.getresponse().getheader("Location") or "").partition("/application/")[0]
    finally:
        connection.close()


def test_browsers_are_sent_where_the_options_say(control: RealControl, deployed: Deployed, tmp_path: Path) -> None:
    with running(control, deployed, tmp_path) as outpost:
        assert sent_to(outpost) == "http://localhost:9000"
        for config, expected in (
            ({"authentik_host": "https://auth.example.com/"}, "https://auth.example.com"),
            (
                {"authentik_host": "https://auth.internal", "authentik_host_browser": "https://login.example.com"},
                "https://login.example.com",
            ),
            ({"authentik_host_browser": "https://other.example.com"}, "https://other.example.com"),
            ({}, "http://localhost:9000"),
        ):
            configure(control, deployed, **config)
            control.instance(deployed, applied_revision=revision(control))
            assert sent_to(outpost) == expected


def test_one_instance_may_have_an_address_for_browsers_of_its_own(
    control: RealControl, deployed: Deployed, tmp_path: Path
) -> None:
    with running(control, deployed, tmp_path, AUTHENTIK_HOST_BROWSER="https://here.example.com") as outpost:
        configure(control, deployed, authentik_host_browser="https://other.example.com")
        control.instance(deployed, applied_revision=revision(control))
        assert sent_to(outpost) == "https://here.example.com"


@pytest.mark.parametrize(
    ("option", "environment", "enrols"),
    [
        (False, {}, False),
        (True, {}, True),
        (True, {"AUTHENTIK_INSECURE": "false"}, False),
        (False, {"AUTHENTIK_INSECURE": "true"}, True),
    ],
)
def test_whether_controls_certificate_is_checked_is_up_to_the_options_unless_the_environment_says(
    tmp_path: Path, environment: dict[str, str], *, option: bool, enrols: bool
) -> None:
    with FakeControl() as control:
        revision = control.hold(options(insecure=option))
        with OutpostProcess(tmp_path, control.environment()) as outpost:
            control.settled(revision)
            eventually((outpost.state / "state").exists, "the state is saved")
            outpost.signal(signal.SIGTERM)
            outpost.wait()
        control.stop_http()
        control.https = Authority().issue("localhost")
        control.start_http()
        before = len(control.enrolments)
        # So that it has to enrol again.
        control.refuse_streams = grpc.StatusCode.UNAUTHENTICATED, "revoked"
        with OutpostProcess(tmp_path, control.environment() | environment) as outpost:
            if enrols:
                eventually(lambda: len(control.enrolments) > before, "it enrols")
            else:
                eventually(lambda: [line for line in outpost.log if "certificate" in str(line)], "it says why not")
                assert len(control.enrolments) == before
