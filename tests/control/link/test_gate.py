"""The Gate service over real gRPC: who may ask about what, and that nothing inner leaks."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import grpc
import pytest
from sqlalchemy.exc import OperationalError

from control.auth.gatekeeper import Redemption
from control.domain.errors import NotFound
from control.domain.grant import Refusal, RefusalReason
from control.fleet.tokens import revoke_token
from protos.outpost.v1 import gate_pb2
from tests.support.fleet import deploy
from tests.support.links import Actress, Control, issued_session, outpost
from tests.support.stores import ADMIN

Ask = Callable[[Actress], Any]


def answered(control: Control, ask: Ask, deployed: Any = None) -> Any:
    """What the gate answers an outpost."""
    given = control.enrol(deployed or deploy(control.store))

    async def play() -> Any:
        async with control.link() as link, outpost(link, given) as edge:
            return await ask(edge)

    return asyncio.run(play())


def refused(control: Control, ask: Ask, deployed: Any = None) -> tuple[grpc.StatusCode, str]:
    """How the gate refuses an outpost."""
    with pytest.raises(grpc.aio.AioRpcError) as error:
        answered(control, ask, deployed)
    return error.value.code(), error.value.details() or ""


def redeem(provider: object) -> Ask:
    request = gate_pb2.RedeemCodeRequest(
        provider=str(provider), code="c0de", redirect_uri="https://x/y", code_verifier="v"
    )
    return lambda edge: edge.gate.RedeemCode(request)


def look_up(provider: object, session: object, subject: object) -> Ask:
    request = gate_pb2.LookUpSessionRequest(provider=str(provider), session=str(session), subject=str(subject))
    request.authenticated.GetCurrentTime()
    request.expires.GetCurrentTime()
    return lambda edge: edge.gate.LookUpSession(request)


def end(provider: object, session: object) -> Ask:
    request = gate_pb2.EndSessionRequest(provider=str(provider), session=str(session))
    return lambda edge: edge.gate.EndSession(request)


def test_a_code_buys_a_session(control: Control) -> None:
    deployed = deploy(control.store)
    provider = deployed.sites[0].provider.id
    session = control.gatekeeper.answer = issued_session()
    answer = answered(control, redeem(provider), deployed).session
    assert (answer.id, answer.id_token) == (str(session.id), "ey.secret.jwt")
    assert (answer.identity.username, dict(answer.identity.additional_headers)) == ("alice", {"X-Team": "blue"})
    assert answer.identity.subject == str(session.identity.subject)
    ((caller, redemption),) = control.gatekeeper.asked
    assert (caller.name, caller.address) == ("outpost/edge", "127.0.0.1")
    expected = Redemption(provider=provider, code="c0de", redirect_uri="https://x/y", verifier="v")
    assert redemption == expected


@pytest.mark.parametrize("reason", list(RefusalReason))
def test_a_refusal_carries_its_reason(control: Control, reason: RefusalReason) -> None:
    deployed = deploy(control.store)
    provider = deployed.sites[0].provider.id
    control.gatekeeper.answer = Refusal(reason)
    answer = answered(control, redeem(provider), deployed)
    assert gate_pb2.Refusal.Reason.Name(answer.refusal.reason) == f"REASON_{reason.upper()}"


def test_a_session_is_looked_up(control: Control) -> None:
    deployed = deploy(control.store)
    control.gatekeeper.answer = issued_session()
    answer = answered(control, look_up(deployed.sites[0].provider.id, uuid4(), uuid4()), deployed)
    assert answer.session.identity.username == "alice"


def test_a_session_that_is_no_id_has_ended(control: Control) -> None:
    deployed = deploy(control.store)
    answer = answered(control, look_up(deployed.sites[0].provider.id, "../etc", "x"), deployed)
    assert answer.refusal.reason == gate_pb2.Refusal.REASON_SESSION_ENDED
    assert control.gatekeeper.asked == []


def test_a_sign_out_is_passed_on(control: Control) -> None:
    deployed = deploy(control.store)
    provider, session = deployed.sites[0].provider.id, uuid4()
    answered(control, end(provider, session), deployed)
    ((caller, *rest),) = control.gatekeeper.asked
    assert (caller.name, rest) == ("outpost/edge", [session])


@pytest.mark.parametrize("which", ["another outpost's", "no id", "unknown"])
def test_a_sign_out_is_taken_also_when_its_provider_is_elsewhere_or_gone(control: Control, which: str) -> None:
    deployed, other = deploy(control.store), deploy(control.store, "west", ("blog",))
    provider = {"another outpost's": other.sites[0].provider.id, "no id": "wiki", "unknown": uuid4()}[which]
    session = uuid4()
    answered(control, end(provider, session), deployed)
    ((_, ended),) = control.gatekeeper.asked
    assert ended == session


@pytest.mark.parametrize("kind", ["redeem", "look_up"])
@pytest.mark.parametrize("which", ["another outpost's", "no id", "unknown"])
def test_what_is_out_of_scope_is_denied(control: Control, kind: str, which: str) -> None:
    deployed, other = deploy(control.store), deploy(control.store, "west", ("blog",))
    provider = {"another outpost's": other.sites[0].provider.id, "no id": "wiki", "unknown": uuid4()}[which]
    ask = {"redeem": redeem(provider), "look_up": look_up(provider, uuid4(), uuid4())}[kind]
    assert refused(control, ask, deployed) == (
        grpc.StatusCode.PERMISSION_DENIED,
        "the provider is not one of this outpost's",
    )
    assert control.gatekeeper.asked == []


def test_a_revoked_token_is_noticed_at_each_call(control: Control) -> None:
    deployed = deploy(control.store)

    async def ask(edge: Actress) -> None:
        provider = deployed.sites[0].provider.id
        await redeem(provider)(edge)
        control.sends_wakes = False
        with control.store.write(ADMIN) as unit:
            revoke_token(unit, deployed.token)
        await redeem(provider)(edge)

    code, message = refused(control, ask, deployed)
    assert (code, "revoked" in message) == (grpc.StatusCode.UNAUTHENTICATED, True)
    assert len(control.gatekeeper.asked) == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OperationalError("SELECT hunter2", {}, Exception("hunter2")), grpc.StatusCode.UNAVAILABLE),
        (RuntimeError("hunter2"), grpc.StatusCode.INTERNAL),
        (NotFound("provider", "x"), grpc.StatusCode.NOT_FOUND),
    ],
)
def test_what_fails_inside_stays_inside(control: Control, error: Exception, code: grpc.StatusCode) -> None:
    deployed = deploy(control.store)
    control.gatekeeper.fails = error
    found, message = refused(control, redeem(deployed.sites[0].provider.id), deployed)
    assert (found, "hunter2" in message) == (code, False)
