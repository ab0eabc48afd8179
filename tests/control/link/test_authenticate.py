"""Authenticate over real gRPC: bounded reading, every answer by its words, and no flood that starves other calls."""

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest

from control.auth.deciding import AnswerGiven, PasswordGiven, TokenGiven
from control.auth.granting import Asked, Granted
from control.auth.lockout import UNREADABLE
from control.auth.passwords import DEFAULT_LIMITS
from control.domain.decision import Challenged, Channel, Refused, RefusedReason
from control.link import gate
from control.link.limits import Limits
from control.link.metrics import Metrics
from control.link.reading import read_asked
from control.store import Actor
from protos.outpost.v1 import gate_pb2
from tests.support.fleet import deploy
from tests.support.links import Actress, Control, FakeGatekeeper, eventually, issued_session, outpost

Request = gate_pb2.AuthenticateRequest
Ask = Callable[[Actress], Any]
HTTP = gate_pb2.PROTOCOL_HTTP


def request(provider: object, **fields: Any) -> gate_pb2.AuthenticateRequest:
    usual: dict[str, Any] = {"protocol": HTTP, "client_address": "198.51.100.7", "request_id": "r-7"}
    if not {"bearer", "answer"} & set(fields):
        usual["password"] = gate_pb2.PasswordCredentials(username="alice", password="hush")
    return Request(provider=str(provider), **{**usual, **fields})


def play(control: Control, deployed: Any, ask: Ask) -> Any:
    given = control.enrol(deployed)

    async def played() -> Any:
        async with control.link() as link, outpost(link, given) as edge:
            return await ask(edge)

    return asyncio.run(played())


def answered(control: Control, **fields: Any) -> gate_pb2.AuthenticateResponse:
    deployed = deploy(control.store, config=fields.pop("config", {}))
    asked = request(deployed.sites[0].provider.id, **fields)
    response: gate_pb2.AuthenticateResponse = play(control, deployed, lambda edge: edge.gate.Authenticate(asked))
    return response


GIVEN = [
    ({}, PasswordGiven(username="alice", password="hush")),
    ({"bearer": "t0ken"}, TokenGiven(secret="t0ken")),
    ({"answer": gate_pb2.ChallengeAnswer(state="st", code="123456")}, AnswerGiven(state="st", code="123456")),
]


@pytest.mark.parametrize(("fields", "expected"), GIVEN)
def test_who_is_let_in_gets_a_session_and_all_that_goes_with_it(
    control: Control, fields: dict[str, Any], expected: object
) -> None:
    session = issued_session()
    control.gatekeeper.verdict = Granted(session=session, attributes={"team": "blü"}, lasting=True)
    allowed = answered(control, dialogue=True, **fields).allowed
    assert (allowed.session.id, allowed.session.id_token) == (str(session.id), "ey.secret.jwt")
    assert allowed.attributes == '{"team": "blü"}'
    assert allowed.cache.ToTimedelta() == timedelta(minutes=10), "the default of garrison_bind_cache"
    assert allowed.clock.ToDatetime(UTC) == session.clock
    ((caller, asked),) = control.gatekeeper.asked
    assert caller == Actor(name="outpost/edge", address="127.0.0.1")
    assert asked == Asked(
        provider=asked.provider,
        channel=Channel.HTTP,
        given=expected,  # type: ignore[arg-type]  # one of the three
        address="198.51.100.7",
        request_id="r-7",
        dialogue=True,
    )


@pytest.mark.parametrize(("lasting", "config"), [(False, {}), (True, {"garrison_bind_cache": ""})])
def test_what_is_not_to_be_kept_says_so(control: Control, lasting: bool, config: dict[str, Any]) -> None:
    control.gatekeeper.verdict = Granted(session=issued_session(), attributes={}, lasting=lasting)
    assert not answered(control, config=config).allowed.HasField("cache")


@pytest.mark.parametrize("reason", list(RefusedReason))
def test_a_refusal_carries_its_reason(control: Control, reason: RefusedReason) -> None:
    control.gatekeeper.verdict = Refused(reason=reason, retry_after=timedelta(seconds=15))
    denied = answered(control).denied
    assert gate_pb2.Denied.Reason.Name(denied.reason) == f"REASON_{reason.upper()}"
    assert denied.retry_after.ToTimedelta() == timedelta(seconds=15)


def test_a_challenge_carries_its_state(control: Control) -> None:
    control.gatekeeper.verdict = Challenged(state="sealed", expires_in=timedelta(minutes=5))
    challenge = answered(control).challenge
    assert (challenge.state, challenge.expires_in.ToTimedelta()) == ("sealed", timedelta(minutes=5))


UNFIT: list[dict[str, Any]] = [
    {"protocol": 0},
    {"protocol": 99},
    {"password": gate_pb2.PasswordCredentials(username="x" * 1_001, password="x")},
    {"password": gate_pb2.PasswordCredentials(username="x", password="x" * 1_125)},
    {"bearer": "x" * 65_537},
    {"answer": gate_pb2.ChallengeAnswer(state="x" * 254, code="1")},
    {"answer": gate_pb2.ChallengeAnswer(state="x", code="1" * 1_001)},
]


@pytest.mark.parametrize("fields", UNFIT)
def test_what_cannot_be_right_is_not_even_asked(control: Control, fields: dict[str, Any]) -> None:
    denied = answered(control, **fields).denied
    assert denied.reason == gate_pb2.Denied.REASON_INVALID_CREDENTIALS
    assert control.gatekeeper.asked == []


def test_without_credentials_nobody_gets_in() -> None:
    assert read_asked(Request(protocol=HTTP), uuid4()) is None


@pytest.mark.parametrize("address", ["", " "])
def test_cve_2024_47070_an_outpost_that_says_nowhere_is_counted_as_garbage(address: str) -> None:
    asked = read_asked(request(uuid4(), client_address=address), uuid4())
    assert asked is not None
    assert asked.address in {UNREADABLE, " "}


@given(st.text(), st.text(), st.text())
def test_whatever_is_said_is_bounded_and_fit_for_a_log(address: str, request_id: str, username: str) -> None:
    credentials = gate_pb2.PasswordCredentials(username=username, password="x")
    said = request(uuid4(), client_address=address, request_id=request_id, password=credentials)
    asked = read_asked(said, uuid4())
    assert asked is not None
    assert asked.address.isprintable()
    assert asked.request_id.isprintable()
    assert max(len(asked.address), len(asked.request_id)) <= 80


@pytest.mark.parametrize("which", ["another outpost's", "no id", "unknown"])
def test_what_is_out_of_scope_is_denied(control: Control, which: str) -> None:
    deployed, other = deploy(control.store), deploy(control.store, "west", ("blog",))
    provider = {"another outpost's": other.sites[0].provider.id, "no id": "wiki", "unknown": uuid4()}[which]
    with pytest.raises(grpc.aio.AioRpcError) as error:
        play(control, deployed, lambda edge: edge.gate.Authenticate(request(provider)))
    assert error.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert control.gatekeeper.asked == []


class SlowGatekeeper(FakeGatekeeper):
    """Takes its time over credentials until it may go on."""

    def __init__(self) -> None:
        super().__init__()
        self.may_go_on = threading.Event()
        self.verdict = Refused(reason=RefusedReason.INVALID_CREDENTIALS)

    def authenticate(self, caller: Actor, asked: Asked) -> Granted | Refused | Challenged:
        assert self.may_go_on.wait(60)
        return super().authenticate(caller, asked)


def test_a_flood_of_credentials_is_told_to_come_back_and_starves_no_other_call(control: Control) -> None:
    control.gatekeeper = slow = SlowGatekeeper()
    control.limits = Limits(calls_of_outpost=40)
    slow.answer = issued_session()
    deployed = deploy(control.store)
    provider = deployed.sites[0].provider.id
    redeem = gate_pb2.RedeemCodeRequest(
        provider=str(provider), code="c0de", redirect_uri="https://x/y", code_verifier="v"
    )

    async def flood(edge: Actress) -> tuple[list[gate_pb2.AuthenticateResponse], float]:
        asked = [asyncio.ensure_future(edge.gate.Authenticate(request(provider))) for _ in range(60)]
        done, _ = await asyncio.wait(asked, timeout=30, return_when=asyncio.FIRST_COMPLETED)
        assert done, "some are told at once"
        began = datetime.now(UTC)
        for _ in range(5):
            assert (await edge.gate.RedeemCode(redeem)).HasField("session")
        took = (datetime.now(UTC) - began).total_seconds()
        await eventually(lambda: sum(each.done() for each in asked) == 20)
        slow.may_go_on.set()
        return [await each for each in asked], took

    answers, took = play(control, deployed, flood)
    reasons = [answer.denied.reason for answer in answers]
    assert reasons.count(gate_pb2.Denied.REASON_BUSY) == 20
    assert reasons.count(gate_pb2.Denied.REASON_INVALID_CREDENTIALS) == 40
    assert took < 10, "while all threads for credentials were taken"
    assert all(answer.denied.retry_after.ToTimedelta() for answer in answers if answer.denied.reason == 5)


def test_more_threads_take_credentials_than_can_wait_for_a_hash() -> None:
    assert DEFAULT_LIMITS.at_once + DEFAULT_LIMITS.waiting < gate.CREDENTIALS_THREADS


def test_what_is_decided_here_is_counted_here() -> None:
    told = generate_latest(Metrics().registry).decode()
    for name in ("garrison_decisions", "garrison_lockouts", "garrison_password_hash_refused"):
        assert f"# TYPE {name}_total counter" in told
