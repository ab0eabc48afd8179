"""The Gate over real gRPC: answers, refusals, a control that is away, a breaker, a renewed certificate."""

import asyncio
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from dataplane.gate import (
    Attempt,
    Channel,
    Denied,
    DenyReason,
    Gate,
    PasswordChange,
    PasswordChanged,
    PasswordCredentials,
    Redemption,
    Refusal,
    SessionReference,
    Unavailable,
)
from dataplane.link import calls
from dataplane.link.calls import ControlGate
from dataplane.link.clock import ControlClock
from dataplane.link.enrol import enrol
from dataplane.link.target import Credentials, Target
from tests.dataplane.link.test_enrol import INSTANCE
from tests.support.fake_control import FakeControl, eventually
from tests.support.peers_program import free_port
from tests.support.relay import Relay

REDEMPTION = Redemption(provider="wiki", code="c", redirect_uri="https://wiki.example.com/cb", code_verifier="v")
ATTEMPT = Attempt(
    provider="wiki",
    channel=Channel.HTTP,
    credentials=PasswordCredentials(username="alice", password="secret"),
    client_address="192.0.2.7",
)


@pytest.fixture
def control() -> Iterator[FakeControl]:
    with FakeControl() as running:
        yield running


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def controls(self) -> ControlClock:
        return ControlClock(time.time, self)


def credentials_of(control: FakeControl) -> Credentials:
    target = Target(url=control.url, token=control.token)
    return asyncio.run(enrol(target, INSTANCE, time.time, os.urandom)).credentials


def gate_of(control: FakeControl, clock: Clock | None = None) -> ControlGate:
    gate = ControlGate(lambda _provider, _session: None, (clock or Clock()).controls())
    gate.use(credentials_of(control))
    return gate


def test_a_refusal_is_an_answer(control: FakeControl) -> None:
    gate: Gate = gate_of(control)
    assert gate.redeem_code(REDEMPTION) is Refusal.INVALID_CODE
    assert control.redeemed[0].code == "c"
    assert control.redeemed[0].code_verifier == "v"


def test_a_password_is_changed(control: FakeControl) -> None:
    gate: Gate = gate_of(control)
    change = PasswordChange(
        provider="wiki", channel=Channel.LDAP, username="alice", present="old", wanted="new", client_address=""
    )
    assert gate.change_password(change) == PasswordChanged()
    assert [(each.username, each.present, each.wanted) for each in control.changes] == [("alice", "old", "new")]
    control.refuse_calls = grpc.StatusCode.UNAVAILABLE, "away"
    assert gate.change_password(change) == Unavailable("UNAVAILABLE: away")


def test_before_the_first_connection_control_is_unavailable() -> None:
    gate = ControlGate(lambda _provider, _session: None, Clock().controls())
    assert gate.redeem_code(REDEMPTION) == Unavailable("the outpost has not reached control yet")


def test_a_call_that_control_forbids_opens_no_breaker(control: FakeControl) -> None:
    control.refuse_calls = grpc.StatusCode.PERMISSION_DENIED, "not yours"
    gate = gate_of(control)
    for _ in range(5):
        assert gate.redeem_code(REDEMPTION) == Unavailable("PERMISSION_DENIED: not yours", refused=True)
    assert not gate.breaker.is_open


def test_a_certificate_that_is_refused_and_replaced_costs_the_caller_nothing(control: FakeControl) -> None:
    gate = gate_of(control)
    control.refuse_calls = grpc.StatusCode.UNAUTHENTICATED, "the token was retired"
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(gate.redeem_code, REDEMPTION) for _ in range(3)]
        eventually(lambda: control.refused == 3, "all are refused")
        control.refuse_calls = None
        gate.use(credentials_of(control))
        assert [each.result(5) for each in asked] == [Refusal.INVALID_CODE] * 3
    assert gate.outcomes == {("redeem_code", "answered"): 3}


def test_a_certificate_that_is_refused_for_good_keeps_callers_waiting_once(
    control: FakeControl, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "RENEWAL_SECONDS", 0.2)
    clock = Clock()
    gate = gate_of(control, clock)
    control.refuse_calls = grpc.StatusCode.UNAUTHENTICATED, "the token was revoked"
    waited = waits_of(gate, monkeypatch)
    for clock.now in (0.0, 0.3):
        assert gate.redeem_code(REDEMPTION) == Unavailable("UNAUTHENTICATED: the token was revoked", refused=True)
    assert waited == [0.2, 0]


def waits_of(gate: ControlGate, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that callers are given for another certificate, as they come to it."""
    assert gate._line is not None
    retired, waited = gate._line._retired, list[float]()
    wait = retired.wait

    def recorded(seconds: float) -> bool:
        waited.append(seconds)
        return wait(seconds)

    monkeypatch.setattr(retired, "wait", recorded)
    return waited


def test_a_call_that_control_does_not_know_is_unavailable(control: FakeControl) -> None:
    reference = SessionReference(provider="wiki", session="s", subject="u", authenticated=1.0, expires=2.0)
    assert isinstance(gate_of(control).look_up_session(reference), Unavailable)


def test_the_breaker_answers_at_once_and_a_probe_closes_it(control: FakeControl) -> None:
    clock = Clock()
    gate = gate_of(control, clock)
    control.refuse_calls = grpc.StatusCode.UNAVAILABLE, "away"
    answers = [gate.redeem_code(REDEMPTION) for _ in range(4)]
    assert answers[:2] == [Unavailable("UNAVAILABLE: away")] * 2
    assert answers[2:] == [Unavailable("control did not answer the last calls")] * 2
    assert gate.outcomes["redeem_code", "breaker_open"] == 2
    control.refuse_calls = None
    clock.now = 10.0
    assert gate.redeem_code(REDEMPTION) is Refusal.INVALID_CODE
    assert not gate.breaker.is_open


def test_credentials_are_asked_about(control: FakeControl) -> None:
    assert gate_of(control).authenticate(ATTEMPT) == Denied(reason=DenyReason.INVALID_CREDENTIALS)
    (asked,) = control.attempts
    assert (asked.password.username, asked.password.password, asked.client_address) == ("alice", "secret", "192.0.2.7")


def test_a_flood_of_credentials_that_control_is_too_busy_for_stops_no_sign_in(control: FakeControl) -> None:
    gate = gate_of(control)
    control.refuse_attempts = grpc.StatusCode.RESOURCE_EXHAUSTED, "too many calls"
    answers = [gate.authenticate(ATTEMPT) for _ in range(3)]
    assert answers[0] == Unavailable("RESOURCE_EXHAUSTED: too many calls")
    assert answers[2] == Unavailable("control did not answer the last calls")
    assert gate.redeem_code(REDEMPTION) is Refusal.INVALID_CODE
    control.refuse_attempts = None
    gate.use(credentials_of(control))
    assert isinstance(gate.authenticate(ATTEMPT), Denied)


@pytest.mark.parametrize("code", [grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN])
def test_credentials_that_control_fails_at_are_nobody_elses_trouble(
    control: FakeControl, code: grpc.StatusCode
) -> None:
    control.link_addresses = [f":{control.link_port}", f"127.0.0.1:{free_port()}"]
    gate = gate_of(control)
    control.refuse_attempts = code, "control failed"
    assert [gate.authenticate(ATTEMPT) for _ in range(5)] == [Unavailable(f"{code.name}: control failed")] * 5
    assert not gate.credentials_breaker.is_open
    control.refuse_attempts = None
    assert isinstance(gate.authenticate(ATTEMPT), Denied), "and at the same address"


@pytest.mark.parametrize("code", [grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN])
def test_control_that_fails_at_sessions_is_left_alone_for_a_while(control: FakeControl, code: grpc.StatusCode) -> None:
    gate = gate_of(control)
    control.refuse_calls = code, "control failed"
    for _ in range(2):
        assert gate.redeem_code(REDEMPTION) == Unavailable(f"{code.name}: control failed")
    assert gate.breaker.is_open


def test_a_new_connection_of_the_supervisor_closes_the_breaker(control: FakeControl) -> None:
    gate = gate_of(control)
    control.refuse_calls = grpc.StatusCode.UNAVAILABLE, "away"
    for _ in range(2):
        gate.redeem_code(REDEMPTION)
    control.refuse_calls = None
    gate.use(credentials_of(control))
    assert gate.redeem_code(REDEMPTION) is Refusal.INVALID_CODE


def test_a_new_connection_of_the_supervisor_is_one_of_the_worker_too(control: FakeControl) -> None:
    """The name may lead elsewhere now, and a channel that has failed asks DNS again when it likes."""
    with Relay(("127.0.0.1", control.link_port)) as relay:
        control.link_addresses = [relay.address]
        credentials = credentials_of(control)
        gate = ControlGate(lambda _provider, _session: None, Clock().controls())
        for expected in (1, 2):
            gate.use(credentials)
            assert gate.redeem_code(REDEMPTION) is Refusal.INVALID_CODE
            assert relay.accepted == expected


def test_an_outage_is_found_without_a_call(control: FakeControl) -> None:
    clock = Clock()
    gate = gate_of(control, clock)
    assert gate.find_outage() is None
    control.stop_link()
    assert gate.find_outage() is None, "it is looked every two seconds only"
    clock.now += 2
    found = gate.find_outage()
    assert found is not None
    assert "refused" in found.reason
    gate.use(credentials_of(control))
    assert gate.find_outage() is None, "the supervisor has just reached it"
    control.start_link()
    clock.now += 2
    assert gate.find_outage() is None
    assert not control.redeemed


def test_a_balancer_with_nobody_behind_it_is_an_outage(control: FakeControl) -> None:
    with Relay(("127.0.0.1", control.link_port)) as relay:
        control.link_addresses = [relay.address]
        clock = Clock()
        gate = gate_of(control, clock)
        assert gate.find_outage() is None
        control.stop_link()
        clock.now += 2
        assert gate.find_outage() is not None


def test_an_answered_call_is_no_outage(control: FakeControl) -> None:
    control.link_addresses = [f"127.0.0.1:{free_port()}", f":{control.link_port}"]
    gate = gate_of(control)
    assert gate.find_outage() is None, "the second address answers"
    gate.redeem_code(REDEMPTION)
    gate.redeem_code(REDEMPTION)
    control.stop_link()
    assert gate.find_outage() is None


def test_before_the_first_connection_there_is_an_outage() -> None:
    gate = ControlGate(lambda _provider, _session: None, Clock().controls())
    assert gate.find_outage() == Unavailable("the outpost has not reached control yet")


def test_an_answer_tells_the_time(control: FakeControl) -> None:
    clock = Clock().controls()
    gate = ControlGate(lambda _provider, _session: None, clock)
    gate.use(credentials_of(control))
    control.clock = int(time.time()) + 600
    gate.redeem_code(REDEMPTION)
    assert clock() == control.clock


def test_the_next_address_is_tried(control: FakeControl) -> None:
    control.link_addresses = [f"127.0.0.1:{free_port()}", f":{control.link_port}"]
    gate = gate_of(control)
    assert isinstance(gate.redeem_code(REDEMPTION), Unavailable)
    assert gate.redeem_code(REDEMPTION) is Refusal.INVALID_CODE


def test_a_link_of_another_installation_is_not_trusted(control: FakeControl) -> None:
    with FakeControl() as other:
        gate = ControlGate(lambda _provider, _session: None, Clock().controls())
        own = credentials_of(control)
        stolen = Credentials(
            certificate=own.certificate,
            private_key=own.private_key,
            authority=own.authority,
            addresses=(f"localhost:{other.link_port}",),
            outpost=own.outpost,
            name=own.name,
            issued=own.issued,
            expires=own.expires,
        )
        gate.use(stolen)
        assert isinstance(gate.redeem_code(REDEMPTION), Unavailable)
        assert not other.redeemed


def test_a_sign_out_is_handed_over() -> None:
    handed: list[tuple[str, str]] = []
    ControlGate(lambda provider, session: handed.append((provider, session)), Clock().controls()).end_session(
        "wiki", "s1"
    )
    assert handed == [("wiki", "s1")]
