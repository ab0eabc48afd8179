"""Enrolment: an outpost trades its token, which never travels, for a client certificate of the link.

Both sides prove that they know the token by a MAC under keys derived from it. `parse_request` reads an untrusted
body, `decide` judges it, both without I/O; `enrol` looks up what they need and acts. The web view only carries bytes.
"""

import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from control.domain.outpost import Outpost, Token
from control.fleet.authority import Client, ensure_authority, issue_client, trust_bundle
from control.fleet.enrolment_request import BadRequest, EnrolmentRequest, parse_request
from control.fleet.enrolment_trail import Trail
from control.fleet.tokens import TokenState, token_state
from control.store import Actor, Event, Store, Unit

# Clocks ten minutes off are served, with some room; `control.store.revoking.SLACK` is as much.
TOLERATED_SKEW = timedelta(minutes=15)
OK, BAD_REQUEST, UNAUTHORIZED, FORBIDDEN = 200, 400, 401, 403


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """The request is good: what to issue, and for whom."""

    request: EnrolmentRequest
    outpost: Outpost
    token: Token


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """No certificate. `proof` is the token to answer under, where there is one; `more` goes into the answer."""

    status: int
    code: str
    more: tuple[tuple[str, str | float], ...] = ()
    request: EnrolmentRequest | None = None
    outpost: Outpost | None = None
    proof: Token | None = None


Decision = Enrolled | Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """An enrolment as it arrived."""

    body: bytes
    mac: str
    address: str
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What to send back; `mac` is empty where nothing could be proven."""

    status: int
    body: bytes
    mac: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the database says about the token a request names."""

    token: Token | None = None
    outpost: Outpost | None = None


def enrol(
    store: Store,
    message: Message,
    link_addresses: Sequence[str],
    *,
    trail: Trail | None = None,
    record_strangers: bool = True,
) -> Answer:
    """Judge one request, act, and answer. Who knows no token need not be recorded: anybody can make such requests.

    `trail` bounds how many lines of the audit trail those get who do; without it each has one.
    """
    try:
        request = parse_request(message.body)
    except BadRequest as error:
        refused = Refused(status=BAD_REQUEST, code="bad_request", more=(("detail", str(error)),))
        return _answer(refused.status, _refusal_body(refused), refused)
    with store.read() as unit:
        decision = decide(request, message, _known(unit, request), unit.now)
    if isinstance(decision, Refused) and decision.proof is None and not record_strangers:
        return _answer(decision.status, _refusal_body(decision), decision)
    with store.write(_actor(decision, message)) as unit:
        _record(unit, decision, trail or Trail())
        return _act(unit, decision, link_addresses)


def decide(request: EnrolmentRequest, message: Message, known: Known, now: datetime) -> Decision:
    """Whether the request is answered with a certificate. The MAC is looked at before anything is told."""
    token, outpost = known.token, known.outpost
    if token is None or outpost is None:
        return Refused(status=UNAUTHORIZED, code="unknown_token", request=request)
    if not proves(token, message):
        return Refused(status=UNAUTHORIZED, code="bad_mac", request=request, outpost=outpost)
    return _decide_proven(request, token, outpost, now)


def proves(token: Token, message: Message) -> bool:
    """Whether the body was signed by one who knows the token; in constant time."""
    expected = mac(token.secret, "outpost", message.body)
    return hmac.compare_digest(expected.encode(), message.mac.encode("utf-8", "surrogateescape"))


def mac(secret: str, side: str, message: bytes) -> str:
    """The MAC of a message under the key of one side, `outpost` or `control`, as hex."""
    key = HKDF(SHA256(), 32, salt=b"garrison enrol v1", info=side.encode()).derive(secret.encode())
    return hmac.new(key, message, sha256).hexdigest()


def _decide_proven(request: EnrolmentRequest, token: Token, outpost: Outpost, now: datetime) -> Decision:
    code, more = _objection(request, token, outpost, now)
    if not code:
        return Enrolled(request=request, outpost=outpost, token=token)
    return Refused(status=FORBIDDEN, code=code, more=tuple(more.items()), request=request, outpost=outpost, proof=token)


def _objection(
    request: EnrolmentRequest, token: Token, outpost: Outpost, now: datetime
) -> tuple[str, dict[str, str | float]]:
    """What speaks against a request whose sender knows the token: a code and its parameters, or nothing."""
    state = token_state(token, now)
    if state is not TokenState.VALID:
        return f"{state}_token", {}
    if request.type != outpost.type:
        return "wrong_type", {"expected": str(outpost.type)}
    # What is older was recorded and is played again, or comes from a clock that no certificate would suit.
    if abs(request.clock - now.timestamp()) > TOLERATED_SKEW.total_seconds():
        detail = f"the clocks differ by more than {TOLERATED_SKEW.total_seconds():.0f} s"
        return "clock_skew", {"clock": now.timestamp(), "detail": detail}
    return "", {}


def _known(unit: Unit, request: EnrolmentRequest) -> Known:
    token = unit.tokens.find_by_fingerprint(request.token_id)
    outpost = unit.outposts.find_by_service_account(token.user) if token else None
    return Known(token=token, outpost=outpost)


def _actor(decision: Decision, message: Message) -> Actor:
    name = f"outpost/{decision.outpost.name}" if decision.outpost else "unknown outpost"
    return Actor(name=name, address=message.address, request_id=message.request_id)


def _act(unit: Unit, decision: Decision, link_addresses: Sequence[str]) -> Answer:
    if isinstance(decision, Refused):
        return _answer(decision.status, _refusal_body(decision), decision)
    unit.tokens.touch(decision.token.id)
    return _answer(OK, _issue(unit, decision, link_addresses), decision)


def _record(unit: Unit, decision: Decision, trail: Trail) -> None:
    token = decision.proof if isinstance(decision, Refused) else decision.token
    untold = trail.find_untold(token.id, unit.now) if token is not None else 0
    if untold is not None:
        unit.record(_event(decision, untold))


def _event(decision: Decision, untold: int) -> Event:
    refused = isinstance(decision, Refused)
    return Event(
        action="enrolment refused" if refused else "enrolled",
        kind="outpost",
        target=str(decision.outpost.id) if decision.outpost else "",
        name=decision.outpost.name if decision.outpost else "",
        fields=(f"{untold} more before it",) if untold else (),
        outcome=decision.code if isinstance(decision, Refused) else "success",
    )


def _issue(unit: Unit, enrolled: Enrolled, link_addresses: Sequence[str]) -> dict[str, object]:
    outpost, request = enrolled.outpost, enrolled.request
    authority = ensure_authority(unit)
    client = Client(outpost=outpost.id, instance=request.instance, token=enrolled.token.id)
    return {
        "certificate": issue_client(authority, request.key, client, unit.now),
        "ca": trust_bundle(unit.authorities.all(), unit.now),
        "link": list(link_addresses),
        "outpost": str(outpost.id),
        "name": outpost.name,
        "type": str(outpost.type),
        "clock": unit.now.timestamp(),
    }


def _refusal_body(refused: Refused) -> dict[str, object]:
    return {"error": refused.code, **dict(refused.more)}


def _answer(status: int, fields: Mapping[str, object], decision: Decision) -> Answer:
    body = json.dumps(fields).encode()
    proof = decision.proof if isinstance(decision, Refused) else decision.token
    proven = mac(proof.secret, "control", decision.request.nonce + body) if proof and decision.request else ""
    code = decision.code if isinstance(decision, Refused) else "enrolled"
    return Answer(status=status, body=body, mac=proven, code=code)
