"""What control answers to the calls of outposts, as messages: that part of `control.link.translate`."""

import json
from datetime import timedelta
from typing import assert_never

from control.auth.granting import Granted
from control.domain.decision import Challenged, Refused, RefusedReason
from control.domain.grant import (
    IssuedSession,
    PasswordRefusal,
    PasswordRefused,
    PasswordSet,
    Refusal,
    RefusalReason,
)
from control.link.translate import basic, identity, timestamp
from protos.outpost.v1 import gate_pb2

_REASONS = {
    RefusalReason.INVALID_CODE: gate_pb2.Refusal.REASON_INVALID_CODE,
    RefusalReason.SESSION_ENDED: gate_pb2.Refusal.REASON_SESSION_ENDED,
    RefusalReason.ACCESS_DENIED: gate_pb2.Refusal.REASON_ACCESS_DENIED,
}
_DENIALS = {
    RefusedReason.INVALID_CREDENTIALS: gate_pb2.Denied.REASON_INVALID_CREDENTIALS,
    RefusedReason.LOCKED_OUT: gate_pb2.Denied.REASON_LOCKED_OUT,
    RefusedReason.ACCESS_DENIED: gate_pb2.Denied.REASON_ACCESS_DENIED,
    RefusedReason.SECOND_FACTOR: gate_pb2.Denied.REASON_SECOND_FACTOR,
    RefusedReason.BUSY: gate_pb2.Denied.REASON_BUSY,
}
_REFUSALS = {
    PasswordRefusal.INVALID_CREDENTIALS: gate_pb2.PasswordRefused.REASON_INVALID_CREDENTIALS,
    PasswordRefusal.LOCKED_OUT: gate_pb2.PasswordRefused.REASON_LOCKED_OUT,
    PasswordRefusal.BUSY: gate_pb2.PasswordRefused.REASON_BUSY,
    PasswordRefusal.UNSUITABLE: gate_pb2.PasswordRefused.REASON_UNSUITABLE,
    PasswordRefusal.ACCESS_DENIED: gate_pb2.PasswordRefused.REASON_ACCESS_DENIED,
}


def redeemed(answer: IssuedSession | Refusal) -> gate_pb2.RedeemCodeResponse:
    """The answer to RedeemCode."""
    match answer:
        case IssuedSession():
            return gate_pb2.RedeemCodeResponse(session=_session(answer), clock=timestamp(answer.clock))
        case Refusal(reason=reason):
            return gate_pb2.RedeemCodeResponse(refusal=gate_pb2.Refusal(reason=_REASONS[reason]))
        case _:
            assert_never(answer)


def looked_up(answer: IssuedSession | Refusal) -> gate_pb2.LookUpSessionResponse:
    """The answer to LookUpSession."""
    match answer:
        case IssuedSession():
            return gate_pb2.LookUpSessionResponse(session=_session(answer))
        case Refusal(reason=reason):
            return gate_pb2.LookUpSessionResponse(refusal=gate_pb2.Refusal(reason=_REASONS[reason]))
        case _:
            assert_never(answer)


def granted(answer: Granted, cache: timedelta) -> gate_pb2.AuthenticateResponse:
    """The answer to Authenticate where somebody may in; `cache` is for how long the outpost may keep one that lasts."""
    session = answer.session
    attributes = json.dumps(answer.attributes, ensure_ascii=False)
    allowed = gate_pb2.Allowed(session=_session(session), attributes=attributes, clock=timestamp(session.clock))
    if answer.lasting and cache:
        allowed.cache.FromTimedelta(cache)
    return gate_pb2.AuthenticateResponse(allowed=allowed)


def refused(answer: Refused | Challenged) -> gate_pb2.AuthenticateResponse:
    """The answer to Authenticate where somebody may not, or not yet."""
    match answer:
        case Refused(reason=reason, retry_after=retry_after):
            denied = gate_pb2.Denied(reason=_DENIALS[reason])
            if retry_after:
                denied.retry_after.FromTimedelta(retry_after)
            return gate_pb2.AuthenticateResponse(denied=denied)
        case Challenged(state=state, expires_in=expires_in):
            challenge = gate_pb2.Challenge(state=state)
            challenge.expires_in.FromTimedelta(expires_in)
            return gate_pb2.AuthenticateResponse(challenge=challenge)
        case _:
            assert_never(answer)


def password_changed(answer: PasswordSet | PasswordRefused) -> gate_pb2.ChangePasswordResponse:
    """The answer to ChangePassword."""
    match answer:
        case PasswordSet(generated=generated):
            return gate_pb2.ChangePasswordResponse(changed=gate_pb2.PasswordChanged(generated=generated))
        case PasswordRefused(reason=reason, retry_after=retry_after):
            refusal = gate_pb2.PasswordRefused(reason=_REFUSALS[reason])
            if retry_after:
                refusal.retry_after.FromTimedelta(retry_after)
            return gate_pb2.ChangePasswordResponse(refused=refusal)
        case _:
            assert_never(answer)


def _session(session: IssuedSession) -> gate_pb2.ProxySession:
    return gate_pb2.ProxySession(
        id=str(session.id),
        identity=identity(session.identity),
        authenticated=timestamp(session.authenticated),
        expires=timestamp(session.expires),
        id_token=session.id_token,
        proof=session.proof,
        basic_credentials=None if session.basic is None else basic(session.basic),
    )
