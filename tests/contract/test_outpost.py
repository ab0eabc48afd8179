"""The outpost program against a control plane that speaks the real protos: what an operator sees from outside."""

import signal
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest

from protos.outpost.v1 import link_pb2
from tests.support.fake_control import FakeControl, eventually, options, provider
from tests.support.outpost_process import OutpostProcess, alive
from tests.support.peers_program import free_port

NO_SUCH_MODE = 9
TRUSTED = "AUTHENTIK_LISTEN__TRUSTED_PROXY_CIDRS"


@pytest.fixture
def control() -> Iterator[FakeControl]:
    with FakeControl() as running:
        yield running


@pytest.fixture
def outpost(control: FakeControl, tmp_path: Path) -> Iterator[OutpostProcess]:
    """Connected, with options and one provider in force."""
    revision = control.hold(options(), provider())
    with OutpostProcess(tmp_path, control.environment()) as running:
        control.settled(revision)
        running.ready()
        yield running


def test_enrols_says_hello_applies_and_beats(control: FakeControl, outpost: OutpostProcess, tmp_path: Path) -> None:
    hello = control.hellos[0]
    assert (hello.type, hello.protocol, hello.revision, dict(hello.held)) == ("proxy", 2, 0, {})
    assert hello.instance == (outpost.state / "instance").read_text().strip()
    assert eventually(lambda: control.healths, "a beat")[-1].memory_bytes > 0
    assert control.token not in (tmp_path / "outpost.log").read_text()


def test_a_push_in_parts_is_applied_as_one(control: FakeControl, outpost: OutpostProcess) -> None:
    control.part_size = 3
    many = [provider(f"app{number}", f"https://app{number}.example.com") for number in range(10)]
    revision = control.hold(*many)
    assert not control.settled(revision).rejected
    assert [each.revision for each in control.applied] == [1, revision]
    assert outpost.metrics()["garrison_outpost_resources"] == 12
    assert outpost.metrics()["garrison_outpost_config_revision"] == revision


def test_a_refused_resource_keeps_its_previous_version_and_the_rest_is_applied(
    control: FakeControl, outpost: OutpostProcess
) -> None:
    before = control.resources["provider/wiki"].digest
    revision = control.hold(provider(mode=NO_SUCH_MODE), provider("blog", "https://blog.example.com"))
    rejected = control.settled(revision).rejected
    assert [(each.key, each.digest) for each in rejected] == [
        ("provider/wiki", control.resources["provider/wiki"].digest)
    ]
    assert "mode 9 is not known" in rejected[0].reason
    assert outpost.metrics()["garrison_outpost_rejected_resources"] == 1
    control.stop_link()
    control.start_link()
    hello = eventually(lambda: control.hellos[1:], "another hello")[0]
    assert hello.held["provider/wiki"] == before
    assert "provider/blog" in hello.held


def test_a_refused_resource_is_served_once_it_is_mended(control: FakeControl, outpost: OutpostProcess) -> None:
    control.settled(control.hold(provider(mode=NO_SUCH_MODE)))
    assert not control.settled(control.hold(provider())).rejected
    assert outpost.metrics()["garrison_outpost_rejected_resources"] == 0


def test_an_outpost_that_drifted_says_hello_again(control: FakeControl, outpost: OutpostProcess) -> None:
    missed = provider("missed", "https://missed.example.com")
    control.resources[missed.key] = missed
    wanted = {key: resource.digest for key, resource in control.resources.items()}
    control.tell(link_pb2.WatchResponse(digests=link_pb2.Digests(revision=1, wanted=wanted)))
    eventually(lambda: len(control.hellos) > 1, "another hello")
    eventually(lambda: outpost.metrics()["garrison_outpost_resources"] == 3, "the missed resource is held")


@pytest.mark.usefixtures("outpost")
def test_digests_in_parts_count_together(control: FakeControl) -> None:
    *most, last = control.resources.values()
    some = {resource.key: resource.digest for resource in most}
    control.tell(link_pb2.WatchResponse(digests=link_pb2.Digests(revision=1, wanted=some, continued=True)))
    control.tell(link_pb2.WatchResponse(digests=link_pb2.Digests(revision=1, wanted={last.key: last.digest})))
    control.settled(control.hold(provider("other", "https://other.example.com")))
    assert len(control.hellos) == 1


@pytest.mark.usefixtures("outpost")
def test_an_outpost_that_holds_what_is_wanted_stays_silent(control: FakeControl) -> None:
    control.settled(control.hold(provider(mode=NO_SUCH_MODE)))
    wanted = {key: resource.digest for key, resource in control.resources.items()}
    control.tell(link_pb2.WatchResponse(digests=link_pb2.Digests(revision=1, wanted=wanted)))
    # An answer to a later push proves that the digests were read.
    control.settled(control.hold(provider("other", "https://other.example.com")))
    assert len(control.hellos) == 1


def test_log_level_changes_live(control: FakeControl, outpost: OutpostProcess) -> None:
    control.settled(control.hold(options(log_level="error")))
    quiet = datetime.now(UTC)
    control.settled(control.hold(provider("quiet", "https://quiet.example.com")))
    assert not outpost.log_since(quiet)


def test_serves_from_the_last_good_state_while_control_is_away(control: FakeControl, outpost: OutpostProcess) -> None:
    eventually((outpost.state / "state").exists, "the state is saved")
    outpost.signal(signal.SIGTERM)
    assert outpost.wait() == 0
    control.stop_link()
    control.stop_http()
    outpost.start()
    outpost.ready()
    assert outpost.logged("serving from the last good state")["resources"] == 2
    assert outpost.get("/outpost.goauthentik.io/auth/nginx", "wiki.example.com", outpost.http_port)[0] != 0
    metrics = outpost.metrics()
    assert metrics["garrison_outpost_resources"] == 2
    assert [value for name, value in metrics.items() if name.startswith("authentik_outpost_connection")] == [0]


def test_goes_on_with_its_certificate_when_only_controls_web_is_away(
    control: FakeControl, outpost: OutpostProcess
) -> None:
    eventually((outpost.state / "state").exists, "the state is saved")
    outpost.signal(signal.SIGTERM)
    outpost.wait()
    url = control.environment()
    control.stop_http()
    with OutpostProcess(outpost.state.parent, url) as again:
        hello = eventually(lambda: control.hellos[1:], "another hello")[0]
        assert set(hello.held) == {"options", "provider/wiki"}
        assert len(control.enrolments) == 1
        again.ready()


@pytest.mark.parametrize("content", [b"", b"garbage", b"garrison-outpost-state 1\n\x92\x80\xc4\x01x"])
def test_a_damaged_state_is_set_aside_and_fetched_anew(
    control: FakeControl, outpost: OutpostProcess, content: bytes
) -> None:
    state = outpost.state / "state"
    eventually(state.exists, "the state is saved")
    outpost.signal(signal.SIGTERM)
    outpost.wait()
    state.write_bytes(content)
    outpost.start()
    hello = eventually(lambda: control.hellos[1:], "another hello")[0]
    assert not hello.held
    outpost.ready()
    assert (outpost.state / "state.damaged-1").read_bytes() == content


def test_a_state_of_another_outpost_is_set_aside(outpost: OutpostProcess) -> None:
    eventually((outpost.state / "state").exists, "the state is saved")
    outpost.signal(signal.SIGTERM)
    outpost.wait()
    with FakeControl() as other, OutpostProcess(outpost.state.parent, other.environment()) as again:
        other.settled(other.hold(options("other")))
        again.ready()
        assert again.metrics()["garrison_outpost_resources"] == 1
        assert again.logged("the last good state is set aside")["reason"] == "it belongs to another token"


def test_state_is_not_readable_and_holds_no_secret_in_clear(control: FakeControl, outpost: OutpostProcess) -> None:
    state = outpost.state / "state"
    eventually(state.exists, "the state is saved")
    assert state.stat().st_mode & 0o777 == 0o600
    assert outpost.state.stat().st_mode & 0o777 == 0o700
    secret = control.resources["provider/wiki"].proxy_provider.session_keys[0].secret
    assert secret not in state.read_bytes()
    assert b"PRIVATE KEY" not in state.read_bytes()


def test_two_processes_cannot_share_a_state_folder(control: FakeControl, outpost: OutpostProcess) -> None:
    with OutpostProcess(outpost.state.parent, control.environment()) as second:
        assert second.wait() == 1
        assert "in use by another outpost process" in second.logged("the outpost can't run")["reason"]


def test_a_port_that_is_taken_is_named(control: FakeControl, outpost: OutpostProcess, tmp_path: Path) -> None:
    second = OutpostProcess(tmp_path / "second", control.environment())
    (tmp_path / "second").mkdir()
    second.http_port = outpost.http_port
    with second:
        assert second.wait() == 1
        reason = second.logged("the outpost can't run")["reason"]
        assert reason == f"--http: can't listen on 127.0.0.1:{outpost.http_port}: another process listens there"


def test_reconnects_when_the_link_comes_back(control: FakeControl, outpost: OutpostProcess) -> None:
    control.stop_link()
    eventually(lambda: outpost.metrics()["garrison_outpost_link_losses_total"] == 1, "the loss is counted")
    revision = control.hold(provider("late", "https://late.example.com"))
    control.start_link()
    assert not control.settled(revision).rejected
    assert outpost.get("/-/health/ready/")[0] == 200


def test_link_addresses_are_tried_in_turn(control: FakeControl, tmp_path: Path) -> None:
    control.link_addresses = [f"127.0.0.1:{free_port()}", f":{control.link_port}"]
    revision = control.hold(options())
    with OutpostProcess(tmp_path, control.environment()) as outpost:
        control.settled(revision)
        assert outpost.logged("connected to control")["link"] == f"localhost:{control.link_port}"
        assert not [line for line in outpost.log if line["event"] == "calling control again"]


def test_a_refused_certificate_is_replaced(control: FakeControl, outpost: OutpostProcess) -> None:
    control.refuse_streams = grpc.StatusCode.UNAUTHENTICATED, "the token was replaced"
    control.tell(control.refuse_streams)
    eventually(lambda: len(control.enrolments) > 1, "another enrolment")
    assert "the token was replaced" in outpost.logged("no link to control")["reason"]
    control.refuse_streams = None
    eventually(lambda: len(control.hellos) > 1, "another hello")


def test_a_certificate_is_renewed_before_it_ends_without_losing_the_link(control: FakeControl, tmp_path: Path) -> None:
    control.lifetimes = iter([8.0])
    revision = control.hold(options())
    with OutpostProcess(tmp_path, control.environment()) as outpost:
        control.settled(revision)
        eventually(lambda: len(control.hellos) > 1, "a hello under the renewed certificate")
        assert len(control.enrolments) == 2
        assert outpost.metrics()["garrison_outpost_link_losses_total"] == 0
        control.settled(control.hold(provider()))


def test_clock_skew_is_said(control: FakeControl, tmp_path: Path) -> None:
    control.skew = 300
    control.hold(options())
    with OutpostProcess(tmp_path, control.environment()) as outpost:
        outpost.ready()
        assert any("behind control's" in line["event"] for line in outpost.log if line["level"] == "warning")
        assert outpost.metrics()["garrison_outpost_clock_skew_seconds"] == pytest.approx(300, abs=5)


def test_ready_says_why_not(control: FakeControl, tmp_path: Path) -> None:
    control.knows_token = False
    with OutpostProcess(tmp_path, control.environment()) as outpost:
        status, text = eventually(lambda: _unready(outpost, "does not know this token"), "the reason")
        assert status == 503
        assert outpost.ping() == 204
        assert outpost.get("/outpost.goauthentik.io/ping")[0] == 204
        assert outpost.get("/")[0] == 204
        assert 'enrolment_failures_total{reason="unknown_token"}' in outpost.get("/metrics")[1]
        assert "AUTHENTIK_TOKEN" in text


def _unready(outpost: OutpostProcess, reason: str) -> tuple[int, str] | None:
    answer = outpost.get("/-/health/ready/")
    return answer if reason in answer[1] else None


def test_a_drain_from_control_ends_the_outpost(control: FakeControl, outpost: OutpostProcess) -> None:
    control.tell(link_pb2.WatchResponse(command=link_pb2.Command(drain=link_pb2.Drain())))
    assert outpost.wait() == 0


@pytest.mark.usefixtures("outpost")
def test_something_of_a_newer_control_does_no_harm(control: FakeControl) -> None:
    control.tell(link_pb2.WatchResponse())
    control.tell(link_pb2.WatchResponse(command=link_pb2.Command()))
    control.settled(control.hold(provider("after", "https://after.example.com")))
    assert len(control.hellos) == 1


def test_a_broken_push_costs_the_stream_only(control: FakeControl, outpost: OutpostProcess) -> None:
    control.tell(link_pb2.WatchResponse(config=link_pb2.Config(revision=9, part=3, last=True)))
    assert "part 3 came where 0 was due" in outpost.logged("no link to control")["reason"]
    eventually(lambda: len(control.hellos) > 1, "another hello")
    assert outpost.ping() == 204


def test_an_unwritable_state_folder_costs_a_warning_only(control: FakeControl, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    revision = control.hold(options())
    with OutpostProcess(tmp_path, control.environment()) as outpost:
        control.settled(revision)
        outpost.ready()
        outpost.logged("the last good state can't be saved")
        assert outpost.metrics()["garrison_outpost_state_save_failures_total"] >= 1


def test_workers_do_not_get_the_token(control: FakeControl, outpost: OutpostProcess) -> None:
    for pid in outpost.workers:
        assert control.token.encode() not in Path(f"/proc/{pid}/environ").read_bytes()
        assert alive(pid)


def test_nor_by_the_variable_that_names_it(control: FakeControl, tmp_path: Path) -> None:
    environment = control.environment() | {"AUTHENTIK_TOKEN": "env://EDGE_TOKEN", "EDGE_TOKEN": control.token}
    with OutpostProcess(tmp_path, environment) as outpost:
        control.settled(control.hold(options()))
        outpost.ready()
        for pid in outpost.workers:
            assert control.token.encode() not in Path(f"/proc/{pid}/environ").read_bytes()


@pytest.mark.parametrize(("set_", "times"), [({}, 1), ({TRUSTED: "192.0.2.1/32"}, 0)], ids=["default", "named"])
def test_says_at_its_start_that_it_believes_all_neighbours(
    control: FakeControl, tmp_path: Path, set_: dict[str, str], times: int
) -> None:
    control.hold(options())
    with OutpostProcess(tmp_path, control.environment() | set_) as outpost:
        outpost.ready()
        assert [line["level"] for line in outpost.log if TRUSTED in line["event"]] == ["info"] * times


def test_listens_on_both_families_by_default(control: FakeControl, tmp_path: Path) -> None:
    control.hold(options())
    outpost = OutpostProcess(tmp_path, control.environment())
    outpost.http_address = f":{outpost.http_port}"
    with outpost:
        outpost.ready()
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            with socket.socket(family, socket.SOCK_STREAM) as client:
                client.settimeout(30)
                client.connect((address, outpost.http_port))
                client.sendall(b"GET /outpost.goauthentik.io/ping HTTP/1.1\r\nHost: x\r\n\r\n")
                assert client.recv(100).startswith(b"HTTP/1.1 204")
