"""Enrolment: trade the token, which never travels, for a client certificate of the installation's CA.

`ask` builds the signed request and `read` judges the answer, both pure; `enrol` posts one and hands over the
other. Whatever goes wrong is one EnrolmentFailed with a message that says what to do.
"""

import base64
import hashlib
import hmac
import json
import ssl
from asyncio import timeout
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from http import HTTPStatus
from socket import gaierror

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from dataplane.link import http
from dataplane.link.keys import control_key, outpost_key, token_fingerprint
from dataplane.link.target import Credentials, Instance, Target

PATH = "/-/enrol"
DEADLINE = 20.0
TOLERATED_SKEW = 60.0
_MAC = "x-garrison-mac"
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NOT_READY = frozenset({429, 502, 503, 504})
# Said of a token that control knows, and so with its proof; whoever stands between might say them of any.
_PROVEN = frozenset({"revoked_token", "expired_token", "wrong_type", "clock_skew"})


class Failure(StrEnum):
    """Why enrolment failed; the label of the metric."""

    UNKNOWN_TOKEN = "unknown_token"
    REVOKED_TOKEN = "revoked_token"
    EXPIRED_TOKEN = "expired_token"
    WRONG_TYPE = "wrong_type"
    CLOCK_SKEW = "clock_skew"
    ALTERED = "altered"
    NOT_CONTROL = "not_control"
    NOT_READY = "not_ready"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    TLS = "tls"


class EnrolmentFailed(Exception):
    """Enrolment did not succeed; the message says why and what to do."""

    def __init__(self, failure: Failure, message: str) -> None:
        super().__init__(message)
        self.failure = failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A signed request, with what is needed to judge the answer."""

    body: bytes
    mac: str
    nonce: bytes
    private_key: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """The credentials, and how far control's clock is ahead of ours in seconds."""

    credentials: Credentials
    skew: float


class _Answer(msgspec.Struct, frozen=True):
    """The body of a good answer."""

    certificate: str
    ca: str
    link: tuple[str, ...]
    outpost: str
    name: str
    clock: float


class _Error(msgspec.Struct, frozen=True):
    """The body of a refusal."""

    error: str
    expected: str = ""
    detail: str = ""


async def enrol(
    target: Target, instance: Instance, clock: Callable[[], float], random: Callable[[int], bytes]
) -> Enrolled:
    """Enrol once. Raises EnrolmentFailed."""
    question = ask(target, instance, clock(), random(32))
    endpoint = http.Endpoint(url=target.url + PATH, socket=target.socket, insecure=bool(target.insecure))
    reply = await _post(endpoint, question, where(target))
    return read(target, question, reply, clock())


def where(target: Target) -> str:
    """How messages name the control plane."""
    return f"unix:{target.socket}" if target.socket else target.url


def ask(target: Target, instance: Instance, now: float, nonce: bytes) -> Question:
    """A fresh key with its CSR, in a request signed under the token's key."""
    key = ec.generate_private_key(ec.SECP256R1())
    body = json.dumps(
        {
            "token_id": token_fingerprint(target.token),
            "instance": instance.uid,
            "type": instance.type,
            "csr": _csr(key, instance.uid),
            "nonce": base64.urlsafe_b64encode(nonce).decode(),
            "clock": now,
            "version": instance.version,
        }
    ).encode()
    mac = hmac.new(outpost_key(target.token), body, hashlib.sha256).hexdigest()
    return Question(body=body, mac=mac, nonce=nonce, private_key=_pem(key))


def _csr(key: ec.EllipticCurvePrivateKey, uid: str) -> str:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, uid)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


def _pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


async def _post(endpoint: http.Endpoint, question: Question, place: str) -> http.Reply:
    headers = {"Content-Type": "application/json", "X-Garrison-Mac": question.mac}
    try:
        async with timeout(DEADLINE):
            return await http.post(endpoint, question.body, headers)
    except (OSError, http.NotHttp, UnicodeError) as error:
        raise unreachable(error, place) from error


def unreachable(error: Exception, place: str) -> EnrolmentFailed:
    """The failure that a network error amounts to. The order matters: most of these are OSErrors."""
    match error:
        case ssl.SSLCertVerificationError():
            failure = Failure.TLS
            why = f"its certificate can't be verified ({error.verify_message}); AUTHENTIK_INSECURE=true accepts any"
        case ssl.SSLError():
            failure, why = Failure.TLS, f"it doesn't speak TLS there ({error.reason or 'handshake failed'})"
        case http.NotHttp():
            failure, why = Failure.NOT_CONTROL, f"it is no control plane: {error}"
        case gaierror() | UnicodeError():
            failure, why = Failure.UNREACHABLE, "the host name can't be resolved"
        case ConnectionRefusedError():
            failure, why = Failure.UNREACHABLE, "connection refused"
        case TimeoutError():
            failure, why = Failure.UNREACHABLE, f"no answer within {DEADLINE:g} s"
        case _:
            failure, why = Failure.UNREACHABLE, str(error)
    return EnrolmentFailed(failure, f"control at {place} can't be reached: {why}")


def read(target: Target, question: Question, reply: http.Reply, now: float) -> Enrolled:
    """What the answer amounts to. Raises EnrolmentFailed."""
    if reply.status != HTTPStatus.OK:
        raise _refusal(target, question, reply)
    if not _proven(target.token, question, reply):
        raise _impostor(where(target))
    try:
        answer = msgspec.json.decode(reply.body, type=_Answer)
        credentials = _credentials(target, question, answer, now)
    except (msgspec.MsgspecError, ValueError) as error:
        text = f"control at {where(target)} sent an answer that can't be used: {error}"
        raise EnrolmentFailed(Failure.REFUSED, text) from error
    return Enrolled(credentials=credentials, skew=answer.clock - now)


def _proven(token: str, question: Question, reply: http.Reply) -> bool:
    expected = hmac.new(control_key(token), question.nonce + reply.body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), reply.headers.get(_MAC, "").encode())


def _impostor(place: str) -> EnrolmentFailed:
    text = f"the host at {place} can't prove that it knows the token: it is not this outpost's control plane"
    return EnrolmentFailed(Failure.NOT_CONTROL, text)


def _credentials(target: Target, question: Question, answer: _Answer, now: float) -> Credentials:
    leaf = x509.load_pem_x509_certificate(answer.certificate.encode())
    own = serialization.load_pem_private_key(question.private_key.encode(), None)
    if leaf.public_key() != own.public_key():
        raise ValueError("the certificate is for another key")
    addresses = target.link or tuple(_address(target, text) for text in answer.link)
    if not addresses:
        raise ValueError("it names no address of the link")
    return Credentials(
        certificate=answer.certificate,
        private_key=question.private_key,
        authority=answer.ca,
        addresses=addresses,
        outpost=answer.outpost,
        name=answer.name,
        issued=now,
        expires=leaf.not_valid_after_utc.timestamp(),
        token=token_fingerprint(target.token),
    )


def _address(target: Target, text: str) -> str:
    return target.hostname + text if text.startswith(":") else text


def _refusal(target: Target, question: Question, reply: http.Reply) -> EnrolmentFailed:
    place = where(target)
    try:
        error = msgspec.json.decode(reply.body, type=_Error)
    except msgspec.MsgspecError:
        return _foreign(place, reply)
    needs_proof = error.error in _PROVEN or reply.status == HTTPStatus.FORBIDDEN
    if needs_proof and not _proven(target.token, question, reply):
        return _impostor(place)
    return _explained(place, error, reply.status)


# Control's error codes that need no more than a sentence.
_SENTENCES = {
    "unknown_token": (
        Failure.UNKNOWN_TOKEN,
        "does not know this token: copy AUTHENTIK_TOKEN again from the outpost's page",
    ),
    "bad_mac": (
        Failure.ALTERED,
        "received a request that differs from what was sent: something on the way alters it",
    ),
    "revoked_token": (
        Failure.REVOKED_TOKEN,
        "has revoked this token: set AUTHENTIK_TOKEN to the outpost's current one",
    ),
    "expired_token": (
        Failure.EXPIRED_TOKEN,
        "says that this token has expired: set AUTHENTIK_TOKEN to the outpost's current one",
    ),
}


def _explained(place: str, error: _Error, status: int) -> EnrolmentFailed:
    if error.error in _SENTENCES:
        failure, text = _SENTENCES[error.error]
    elif error.error == "wrong_type":
        failure = Failure.WRONG_TYPE
        text = f"says that this token belongs to an outpost of type {error.expected}: start that type instead"
    elif error.error == "clock_skew":
        failure, text = Failure.CLOCK_SKEW, f"can't enrol this host: {error.detail}; set the clock"
    elif status == HTTPStatus.NOT_FOUND:
        failure = Failure.NOT_CONTROL
        text = f"has nothing at {PATH} below that address (404): set AUTHENTIK_HOST to the address people sign in at"
    elif status in _NOT_READY:
        failure, text = Failure.NOT_READY, f"is not ready ({status} {error.error})"
    else:
        failure, text = Failure.REFUSED, f"refused the request ({status} {error.error}): {error.detail}"
    return EnrolmentFailed(failure, f"control at {place} {text}")


def _foreign(place: str, reply: http.Reply) -> EnrolmentFailed:
    location = reply.headers.get("location")
    if reply.status in _REDIRECTS and location:
        text = f"the host at {place} redirects to {location.removesuffix(PATH)}: set AUTHENTIK_HOST to that"
        return EnrolmentFailed(Failure.NOT_CONTROL, text)
    if reply.status in _NOT_READY:
        return EnrolmentFailed(Failure.NOT_READY, f"control at {place} is not ready (HTTP {reply.status})")
    text = f"the host at {place} is not a control plane: it answered {reply.status} to POST {PATH}"
    return EnrolmentFailed(Failure.NOT_CONTROL, text)


def skew_warning(skew: float, now: float) -> str | None:
    """A sentence about clocks that differ by more than a minute."""
    if abs(skew) <= TOLERATED_SKEW:
        return None
    ours = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")
    return f"this host's clock ({ours}) is {abs(skew):.0f} s {'behind' if skew > 0 else 'ahead of'} control's"
