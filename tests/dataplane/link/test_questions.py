"""What is asked of control and every answer there is, from our own values to messages and back."""

from dataclasses import replace

import pytest
from google.protobuf.duration_pb2 import Duration

from dataplane.gate import (
    Allowed,
    Answer,
    Attempt,
    BasicCredentials,
    BearerToken,
    Challenge,
    ChallengeAnswer,
    Channel,
    Credentials,
    Denied,
    DenyReason,
    PasswordAnswer,
    PasswordChange,
    PasswordChanged,
    PasswordCredentials,
    PasswordRefusal,
    ProxySession,
    Refusal,
    SessionReference,
    Unavailable,
)
from dataplane.link import questions
from protos.outpost.v1 import gate_pb2, identity_pb2
from tests.dataplane.link.test_reading import ALICE, ALICE_MESSAGE, AT, UNTIL, stamp

SESSION_MESSAGE = gate_pb2.ProxySession(
    id="s1",
    identity=ALICE_MESSAGE,
    authenticated=stamp(AT),
    expires=stamp(UNTIL),
    id_token="a.b.c",
    proof="pr00f",
    basic_credentials=identity_pb2.BasicCredentials(username="al", password="pw"),
)
SESSION = ProxySession(
    id="s1",
    identity=ALICE,
    authenticated=AT,
    expires=UNTIL,
    id_token="a.b.c",
    proof="pr00f",
    basic=BasicCredentials(username="al", password="pw"),
)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        ({"session": SESSION_MESSAGE}, SESSION),
        ({"refusal": gate_pb2.Refusal(reason=gate_pb2.Refusal.REASON_INVALID_CODE)}, Refusal.INVALID_CODE),
        ({"refusal": gate_pb2.Refusal(reason=gate_pb2.Refusal.REASON_SESSION_ENDED)}, Refusal.SESSION_ENDED),
        ({"refusal": gate_pb2.Refusal(reason=gate_pb2.Refusal.REASON_ACCESS_DENIED)}, Refusal.ACCESS_DENIED),
    ],
)
def test_answers_about_sessions(
    result: dict[str, gate_pb2.ProxySession | gate_pb2.Refusal], expected: ProxySession | Refusal
) -> None:
    for kind in (gate_pb2.RedeemCodeResponse, gate_pb2.LookUpSessionResponse):
        assert questions.session_answer(kind(**result)) == expected  # type: ignore[arg-type]  # one of two fields


def test_a_session_without_credentials_for_the_application() -> None:
    answer = questions.session_answer(gate_pb2.LookUpSessionResponse(session=gate_pb2.ProxySession(id="s1")))
    assert isinstance(answer, ProxySession)
    assert answer.basic is None


def test_an_answer_of_a_newer_control_is_no_answer() -> None:
    for message in (gate_pb2.RedeemCodeResponse(), gate_pb2.RedeemCodeResponse(refusal=gate_pb2.Refusal())):
        assert isinstance(questions.session_answer(message), Unavailable)
    for unread in (gate_pb2.AuthenticateResponse(), gate_pb2.AuthenticateResponse(denied=gate_pb2.Denied())):
        answer = questions.answer(unread)
        assert isinstance(answer, Unavailable)
        assert answer.refused, "it was there: nothing that was kept stands in for it"


def test_a_session_is_asked_for_by_its_bounds() -> None:
    reference = SessionReference(provider="p", session="s", subject="u", authenticated=AT, expires=UNTIL, proof="pr00f")
    request = questions.look_up_request(reference)
    assert (request.provider, request.session, request.subject, request.proof) == ("p", "s", "u", "pr00f")
    assert (request.authenticated.ToMilliseconds(), request.expires.ToMilliseconds()) == (AT * 1000, UNTIL * 1000)


@pytest.mark.parametrize(
    ("credentials", "expected"),
    [
        (
            PasswordCredentials(username="alice", password="pässword;123456"),
            {"password": gate_pb2.PasswordCredentials(username="alice", password="pässword;123456")},
        ),
        (BearerToken("t0ken"), {"bearer": "t0ken"}),
        (
            ChallengeAnswer(state="st", code="123456"),
            {"answer": gate_pb2.ChallengeAnswer(state="st", code="123456")},
        ),
    ],
)
def test_credentials_as_they_travel(credentials: Credentials, expected: dict[str, str]) -> None:
    attempt = Attempt(
        provider="p",
        channel=Channel.LDAP,
        credentials=credentials,
        client_address="192.0.2.7",
        request_id="r1",
        dialogue=True,
    )
    assert questions.authenticate_request(attempt) == gate_pb2.AuthenticateRequest(
        provider="p",
        protocol=gate_pb2.PROTOCOL_LDAP,
        client_address="192.0.2.7",
        request_id="r1",
        dialogue=True,
        **expected,  # type: ignore[arg-type]  # one of three fields
    )


REASONS = {each.name.removeprefix("REASON_").lower(): each.number for each in gate_pb2.Denied.Reason.DESCRIPTOR.values}


def test_every_reason_of_control_is_known() -> None:
    assert REASONS.keys() - {"unspecified"} == set(DenyReason)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            gate_pb2.AuthenticateResponse(
                allowed=gate_pb2.Allowed(session=SESSION_MESSAGE, attributes='{"a": 1}', cache=Duration(seconds=600))
            ),
            Allowed(session=SESSION, attributes='{"a": 1}', cache=600.0),
        ),
        (
            gate_pb2.AuthenticateResponse(allowed=gate_pb2.Allowed(session=SESSION_MESSAGE)),
            Allowed(session=SESSION, attributes="", cache=0.0),
        ),
        *(
            (
                gate_pb2.AuthenticateResponse(
                    denied=gate_pb2.Denied(reason=REASONS[reason], retry_after=Duration(seconds=15))  # type: ignore[arg-type]  # by number
                ),
                Denied(reason=reason, retry_after=15.0),
            )
            for reason in DenyReason
        ),
        (
            gate_pb2.AuthenticateResponse(challenge=gate_pb2.Challenge(state="st", expires_in=Duration(seconds=60))),
            Challenge(state="st", expires_in=60.0),
        ),
    ],
)
def test_answers_about_credentials(message: gate_pb2.AuthenticateResponse, expected: Answer) -> None:
    assert questions.answer(message) == expected


def test_whoever_is_let_in_tells_controls_time() -> None:
    allowed = gate_pb2.AuthenticateResponse(allowed=gate_pb2.Allowed(clock=stamp(AT)))
    assert questions.find_clock(allowed) == AT
    assert questions.find_clock(gate_pb2.AuthenticateResponse(denied=gate_pb2.Denied())) is None


CHANGE = PasswordChange(
    provider="p", channel=Channel.LDAP, username="alice", present="0ld", wanted=None, client_address="192.0.2.7"
)


@pytest.mark.parametrize(("wanted", "travels"), [(None, ""), ("n3w;1", "n3w;1")])
def test_a_new_password_as_it_travels(wanted: str | None, travels: str) -> None:
    assert questions.change_request(replace(CHANGE, wanted=wanted)) == gate_pb2.ChangePasswordRequest(
        provider="p",
        protocol=gate_pb2.PROTOCOL_LDAP,
        username="alice",
        present="0ld",
        wanted=travels,
        client_address="192.0.2.7",
    )


PASSWORD_REASONS = {
    each.name.removeprefix("REASON_").lower(): each.number
    for each in gate_pb2.PasswordRefused.Reason.DESCRIPTOR.values
    if each.number
}


def test_every_reason_against_a_password_is_known() -> None:
    assert PASSWORD_REASONS.keys() == set(PasswordRefusal)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (gate_pb2.ChangePasswordResponse(changed=gate_pb2.PasswordChanged()), PasswordChanged()),
        (gate_pb2.ChangePasswordResponse(changed=gate_pb2.PasswordChanged(generated="x")), PasswordChanged("x")),
        *(
            (
                gate_pb2.ChangePasswordResponse(refused=gate_pb2.PasswordRefused(reason=number)),  # type: ignore[arg-type]  # a number
                PasswordRefusal(name),
            )
            for name, number in PASSWORD_REASONS.items()
        ),
    ],
)
def test_answers_about_passwords(message: gate_pb2.ChangePasswordResponse, expected: PasswordAnswer) -> None:
    assert questions.password_answer(message) == expected
    assert questions.find_clock(message) is None


def test_an_answer_about_passwords_of_a_newer_control_is_no_answer() -> None:
    for unread in (
        gate_pb2.ChangePasswordResponse(),
        gate_pb2.ChangePasswordResponse(refused=gate_pb2.PasswordRefused()),
    ):
        answer = questions.password_answer(unread)
        assert isinstance(answer, Unavailable)
        assert answer.refused
