"""What workers ask of control and what it answers, as messages: the counterpart of `translate` for unary calls."""

from typing import assert_never

from dataplane.gate import (
    Allowed,
    Answer,
    Attempt,
    BearerToken,
    Challenge,
    ChallengeAnswer,
    Channel,
    Denied,
    DenyReason,
    PasswordAnswer,
    PasswordChange,
    PasswordChanged,
    PasswordCredentials,
    PasswordRefusal,
    ProxySession,
    Redemption,
    Refusal,
    SessionAnswer,
    SessionReference,
    Unavailable,
)
from dataplane.link.reading import basic, identity
from dataplane.link.stamps import seconds, timestamp
from protos.outpost.v1 import gate_pb2


def redeem_request(redemption: Redemption) -> gate_pb2.RedeemCodeRequest:
    """A code on its way to control."""
    return gate_pb2.RedeemCodeRequest(
        provider=redemption.provider,
        code=redemption.code,
        redirect_uri=redemption.redirect_uri,
        code_verifier=redemption.code_verifier,
    )


def look_up_request(reference: SessionReference) -> gate_pb2.LookUpSessionRequest:
    """A session by its bounds."""
    return gate_pb2.LookUpSessionRequest(
        provider=reference.provider,
        session=reference.session,
        subject=reference.subject,
        authenticated=timestamp(reference.authenticated),
        expires=timestamp(reference.expires),
        proof=reference.proof,
    )


def end_request(provider: str, session: str) -> gate_pb2.EndSessionRequest:
    """A sign-out."""
    return gate_pb2.EndSessionRequest(provider=provider, session=session)


_UNREADABLE = "control gave an answer that this version of the outpost doesn't know"
_REFUSALS = {
    gate_pb2.Refusal.REASON_INVALID_CODE: Refusal.INVALID_CODE,
    gate_pb2.Refusal.REASON_SESSION_ENDED: Refusal.SESSION_ENDED,
    gate_pb2.Refusal.REASON_ACCESS_DENIED: Refusal.ACCESS_DENIED,
}


def session_answer(message: gate_pb2.RedeemCodeResponse | gate_pb2.LookUpSessionResponse) -> SessionAnswer:
    """Control's answer; one we can't read counts as none, so the caller refuses the request."""
    match message.WhichOneof("result"):
        case "session":
            return _session(message.session)
        case "refusal" if message.refusal.reason in _REFUSALS:
            return _REFUSALS[message.refusal.reason]
        case _:
            return Unavailable(_UNREADABLE, refused=True)


_CHANNELS = {
    Channel.HTTP: gate_pb2.PROTOCOL_HTTP,
    Channel.LDAP: gate_pb2.PROTOCOL_LDAP,
    Channel.RADIUS: gate_pb2.PROTOCOL_RADIUS,
}


def authenticate_request(attempt: Attempt) -> gate_pb2.AuthenticateRequest:
    """Credentials on their way to control."""
    message = gate_pb2.AuthenticateRequest(
        provider=attempt.provider,
        protocol=_CHANNELS[attempt.channel],
        client_address=attempt.client_address,
        request_id=attempt.request_id,
        dialogue=attempt.dialogue,
    )
    match attempt.credentials:
        case PasswordCredentials(username=username, password=password):
            message.password.CopyFrom(gate_pb2.PasswordCredentials(username=username, password=password))
        case BearerToken(secret=secret):
            message.bearer = secret
        case ChallengeAnswer(state=state, code=code):
            message.answer.CopyFrom(gate_pb2.ChallengeAnswer(state=state, code=code))
        case _:
            assert_never(attempt.credentials)
    return message


_DENIALS = {
    gate_pb2.Denied.REASON_INVALID_CREDENTIALS: DenyReason.INVALID_CREDENTIALS,
    gate_pb2.Denied.REASON_LOCKED_OUT: DenyReason.LOCKED_OUT,
    gate_pb2.Denied.REASON_ACCESS_DENIED: DenyReason.ACCESS_DENIED,
    gate_pb2.Denied.REASON_SECOND_FACTOR: DenyReason.SECOND_FACTOR,
    gate_pb2.Denied.REASON_BUSY: DenyReason.BUSY,
}


def answer(message: gate_pb2.AuthenticateResponse) -> Answer:
    """Control's answer about credentials; one we can't read counts as none, so the caller refuses the request."""
    match message.WhichOneof("result"):
        case "allowed":
            allowed = message.allowed
            cache = allowed.cache.ToMilliseconds() / 1000
            return Allowed(session=_session(allowed.session), attributes=allowed.attributes, cache=cache)
        case "denied" if message.denied.reason in _DENIALS:
            retry_after = message.denied.retry_after.ToMilliseconds() / 1000
            return Denied(reason=_DENIALS[message.denied.reason], retry_after=retry_after)
        case "challenge":
            expires_in = message.challenge.expires_in.ToMilliseconds() / 1000
            return Challenge(state=message.challenge.state, expires_in=expires_in)
        case _:
            return Unavailable(_UNREADABLE, refused=True)


def change_request(change: PasswordChange) -> gate_pb2.ChangePasswordRequest:
    """A new password on its way to control; an empty one asks for one of control's."""
    return gate_pb2.ChangePasswordRequest(
        provider=change.provider,
        protocol=_CHANNELS[change.channel],
        username=change.username,
        present=change.present,
        wanted=change.wanted or "",
        client_address=change.client_address,
        request_id=change.request_id,
    )


_PASSWORD_REFUSALS = {
    gate_pb2.PasswordRefused.REASON_INVALID_CREDENTIALS: PasswordRefusal.INVALID_CREDENTIALS,
    gate_pb2.PasswordRefused.REASON_LOCKED_OUT: PasswordRefusal.LOCKED_OUT,
    gate_pb2.PasswordRefused.REASON_BUSY: PasswordRefusal.BUSY,
    gate_pb2.PasswordRefused.REASON_UNSUITABLE: PasswordRefusal.UNSUITABLE,
    gate_pb2.PasswordRefused.REASON_ACCESS_DENIED: PasswordRefusal.ACCESS_DENIED,
}


def password_answer(message: gate_pb2.ChangePasswordResponse) -> PasswordAnswer:
    """Control's answer about a new password; one we can't read counts as none."""
    match message.WhichOneof("result"):
        case "changed":
            return PasswordChanged(generated=message.changed.generated)
        case "refused" if message.refused.reason in _PASSWORD_REFUSALS:
            return _PASSWORD_REFUSALS[message.refused.reason]
        case _:
            return Unavailable(_UNREADABLE, refused=True)


def find_clock(
    message: gate_pb2.RedeemCodeResponse
    | gate_pb2.LookUpSessionResponse
    | gate_pb2.AuthenticateResponse
    | gate_pb2.ChangePasswordResponse,
) -> float | None:
    """Control's time as it answered, where it says so."""
    match message:
        case gate_pb2.RedeemCodeResponse() if message.HasField("clock"):
            return seconds(message.clock)
        case gate_pb2.AuthenticateResponse() if message.allowed.HasField("clock"):
            return seconds(message.allowed.clock)
    return None


def _session(message: gate_pb2.ProxySession) -> ProxySession:
    return ProxySession(
        id=message.id,
        identity=identity(message.identity),
        authenticated=seconds(message.authenticated),
        expires=seconds(message.expires),
        id_token=message.id_token,
        proof=message.proof,
        basic=basic(message.basic_credentials) if message.HasField("basic_credentials") else None,
    )
