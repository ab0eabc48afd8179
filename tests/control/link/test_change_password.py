"""ChangePassword over real gRPC: who may ask for whom, every answer by its words, and bounded reading."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest

from control.auth.password_change import ChangeAsked
from control.domain.decision import Channel
from control.domain.grant import PasswordRefusal, PasswordRefused, PasswordSet
from control.link import gate
from control.link.reading import MOST_PASSWORD
from control.store import Actor
from protos.outpost.v1 import gate_pb2
from tests.support.fleet import Deployed, deploy, deploy_ldap
from tests.support.links import Actress, Control, outpost

Request = gate_pb2.ChangePasswordRequest


def play(control: Control, deployed: Deployed, ask: Callable[[Actress], Any]) -> Any:
    given = control.enrol(deployed)

    async def played() -> Any:
        async with control.link() as link, outpost(link, given) as edge:
            return await ask(edge)

    return asyncio.run(played())


def answered(control: Control, deployed: Deployed, **fields: Any) -> gate_pb2.ChangePasswordResponse:
    usual: dict[str, Any] = {
        "provider": str(next(iter(deployed.outpost.providers))),
        "protocol": gate_pb2.PROTOCOL_LDAP,
        "username": "alice",
        "present": "old",
        "wanted": "new",
        "client_address": "198.51.100.7",
        "request_id": "r-7",
    }
    request = Request(**{**usual, **fields})
    response: gate_pb2.ChangePasswordResponse = play(control, deployed, lambda edge: edge.gate.ChangePassword(request))
    return response


def test_what_is_asked_is_passed_on(control: Control) -> None:
    deployed = deploy_ldap(control.store)
    control.gatekeeper.change = PasswordSet(generated="made up")
    assert answered(control, deployed).changed.generated == "made up"
    ((caller, asked),) = control.gatekeeper.asked
    assert caller == Actor(name="outpost/ldap", address="127.0.0.1")
    assert asked == ChangeAsked(
        provider=next(iter(deployed.outpost.providers)),
        channel=Channel.LDAP,
        username="alice",
        present="old",
        wanted="new",
        address="198.51.100.7",
        request_id="r-7",
    )
    assert "old" not in repr(asked)
    assert "new" not in repr(asked)


@pytest.mark.parametrize("reason", list(PasswordRefusal))
def test_a_refusal_carries_its_reason(control: Control, reason: PasswordRefusal) -> None:
    control.gatekeeper.change = PasswordRefused(reason=reason, retry_after=timedelta(seconds=15))
    refused = answered(control, deploy_ldap(control.store)).refused
    assert gate_pb2.PasswordRefused.Reason.Name(refused.reason) == f"REASON_{reason.upper()}"
    assert refused.retry_after.ToTimedelta() == timedelta(seconds=15)


@pytest.mark.parametrize("fields", [{"protocol": 0}, {"username": "x" * 1001}, {"present": "x" * (MOST_PASSWORD + 1)}])
def test_what_may_be_nothing_opens_nothing(control: Control, fields: dict[str, Any]) -> None:
    refused = answered(control, deploy_ldap(control.store), **fields).refused
    assert refused.reason == gate_pb2.PasswordRefused.REASON_INVALID_CREDENTIALS
    assert control.gatekeeper.asked == []


def test_a_password_that_is_far_too_long_stays_too_long(control: Control) -> None:
    answered(control, deploy_ldap(control.store), wanted="x" * 100_000)
    ((_, asked),) = control.gatekeeper.asked
    assert len(asked.wanted) == MOST_PASSWORD


def test_another_outposts_provider_is_out_of_scope(control: Control) -> None:
    mine, other = deploy_ldap(control.store, "mine"), deploy_ldap(control.store, "other")
    for key in (next(iter(other.outpost.providers)), uuid4(), "x"):
        with pytest.raises(grpc.aio.AioRpcError) as error:
            answered(control, mine, provider=str(key))
        assert error.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert control.gatekeeper.asked == []


def test_a_proxy_outpost_asks_for_nobody_at_a_directory(control: Control) -> None:
    shown = next(iter(deploy_ldap(control.store).outpost.providers))
    with pytest.raises(grpc.aio.AioRpcError) as error:
        answered(control, deploy(control.store), provider=str(shown))
    assert error.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_that_too_many_ask_is_an_answer(control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    deployed = deploy_ldap(control.store)
    request = Request(provider=str(next(iter(deployed.outpost.providers))), protocol=gate_pb2.PROTOCOL_LDAP)

    async def ask(edge: Actress) -> gate_pb2.ChangePasswordResponse:
        monkeypatch.setattr(gate, "MAX_WAITING", 0)
        response: gate_pb2.ChangePasswordResponse = await edge.gate.ChangePassword(request)
        return response

    refused = play(control, deployed, ask).refused
    assert (refused.reason, refused.retry_after.seconds) == (gate_pb2.PasswordRefused.REASON_BUSY, 5)
    assert control.gatekeeper.asked == []


def test_nothing_inner_is_told(control: Control) -> None:
    control.gatekeeper.fails = ValueError("hush")
    with pytest.raises(grpc.aio.AioRpcError) as error:
        answered(control, deploy_ldap(control.store))
    assert (error.value.code(), "hush" in str(error.value.details())) == (grpc.StatusCode.INTERNAL, False)
