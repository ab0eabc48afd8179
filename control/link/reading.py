"""What outposts say, from protobuf to our own values: bounded, since a peer may say anything.

The other half of `control.link.translate`, which makes the messages that control sends.
"""

import re
from datetime import UTC, datetime
from itertools import islice
from math import isfinite
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from control.auth.challenges import LONGEST_STATE
from control.auth.deciding import AnswerGiven, Given, PasswordGiven, TokenGiven
from control.auth.gatekeeper import Redemption, SessionClaim
from control.auth.granting import Asked
from control.auth.lockout import UNREADABLE
from control.auth.oidc.presented import LONGEST_TOKEN
from control.auth.password_change import ChangeAsked
from control.auth.passwords import LONGEST
from control.domain.decision import Channel
from control.domain.directory import Position
from control.domain.text import printable
from control.link.messages import Applied, DirectoryApplied, Health, HeldPart, Hello, Rejected, TokenHeld
from protos.outpost.v1 import gate_pb2, link_pb2

# What the database can hold of a peer's numbers and words.
MOST = 2**63 - 1
MOST_SMALL = 2**31 - 1
MOST_TEXT = 1000
# Of a key and a digest; ours are shorter (control.fleet.resources).
MOST_KEY = 300
MOST_DIGEST = 64
# Of what is asked for a session: what makes up a request of a browser is no longer either.
MOST_ASKED = 4096
# Of a password with a code behind it (control.auth.passwords).
MOST_PASSWORD = LONGEST + 100
MOST_ADDRESS, MOST_REQUEST_ID = 80, 80
# An instance that refuses more is taken to hold the rest: it knows better, and nothing is sent for it.
MOST_REJECTED = 10_000
# What an installation may have to do with. Other times would overflow where they are compared.
YEARS = range(2000, 2200)
_SPACE = re.compile(r"\s")
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")

_CHANNELS = {
    gate_pb2.PROTOCOL_HTTP: Channel.HTTP,
    gate_pb2.PROTOCOL_LDAP: Channel.LDAP,
    gate_pb2.PROTOCOL_RADIUS: Channel.RADIUS,
}

Read = Hello | HeldPart | Applied | Health | DirectoryApplied | TokenHeld


def read_watch(message: link_pb2.WatchRequest) -> Read | None:
    """What an outpost said; None for what a newer one may say and we don't know."""
    said: Read | None = None
    match message.WhichOneof("message"):
        case "hello":
            said = _hello(message.hello)
        case "applied":
            said = _applied(message.applied)
        case "held":
            said = HeldPart(held=dict(message.held.held), last=message.held.last)
        case "health":
            said = _health(message.health)
        case "directory_applied":
            said = DirectoryApplied(position=_position(message.directory_applied.position))
        case "token_held":
            said = TokenHeld(fingerprint=_fingerprint(message.token_held.fingerprint))
    return said


def _hello(hello: link_pb2.Hello) -> Hello:
    return Hello(
        # No longer than one more than a certificate can name.
        instance=hello.instance[:65],
        type=read_line(hello.type, 80),
        hostname=read_line(hello.hostname),
        version=read_line(hello.version),
        build=read_line(hello.build),
        protocol=min(hello.protocol, MOST_SMALL),
        started=read_time(hello.started) if hello.HasField("started") else None,
        clock=read_time(hello.clock) if hello.HasField("clock") else None,
        held=dict(hello.held),
        revision=min(hello.revision, MOST),
        continued=hello.continued,
        directory=_position(hello.directory) if hello.HasField("directory") else None,
        environment_token=_fingerprint(hello.environment_token),
        held_token=_fingerprint(hello.held_token),
    )


def _position(position: link_pb2.DirectoryPosition) -> Position | None:
    """The position, if it is one that we may have given."""
    epoch = read_id(position.epoch)
    return Position(epoch=epoch, revision=min(position.position, MOST)) if epoch else None


def _fingerprint(text: str) -> str:
    """A token's fingerprint, or empty where it is none."""
    return text if _FINGERPRINT.fullmatch(text) else ""


def _applied(applied: link_pb2.Applied) -> Applied:
    some = islice(applied.rejected, MOST_REJECTED)
    known = (each for each in some if len(each.key) <= MOST_KEY and len(each.digest) <= MOST_DIGEST)
    rejected = tuple(Rejected(key=each.key, digest=each.digest, reason=read_line(each.reason)) for each in known)
    return Applied(revision=min(applied.revision, MOST), rejected=rejected, count=len(applied.rejected))


def _health(health: link_pb2.Health) -> Health:
    return Health(
        clock=read_time(health.clock) if health.HasField("clock") else None,
        workers=min(health.workers, MOST_SMALL),
        memory_bytes=min(health.memory_bytes, MOST),
        load=health.load if isfinite(health.load) else 0.0,
        last_error=read_line(health.last_error),
        draining=health.draining,
    )


def read_redemption(request: gate_pb2.RedeemCodeRequest, provider: UUID) -> Redemption | None:
    """What is to be redeemed, if it may be anything."""
    if max(map(len, (request.code, request.redirect_uri, request.code_verifier))) > MOST_ASKED:
        return None
    return Redemption(
        provider=provider, code=request.code, redirect_uri=request.redirect_uri, verifier=request.code_verifier
    )


def read_claim(request: gate_pb2.LookUpSessionRequest, provider: UUID) -> SessionClaim | None:
    """What is claimed of a session, if it may be anything."""
    session, subject = read_id(request.session), read_id(request.subject)
    authenticated, expires = read_time(request.authenticated), read_time(request.expires)
    if session is None or subject is None or authenticated is None or expires is None:
        return None
    return SessionClaim(
        provider=provider,
        session=session,
        subject=subject,
        authenticated=authenticated,
        expires=expires,
        proof=request.proof[:MOST_ASKED],
    )


def read_asked(request: gate_pb2.AuthenticateRequest, provider: UUID) -> Asked | None:
    """What is asked of somebody, if it may be anything. Who is said to be nowhere is where all garbage is."""
    channel, given = _CHANNELS.get(request.protocol), _given(request)
    if channel is None or given is None:
        return None
    return Asked(
        provider=provider,
        channel=channel,
        given=given,
        address=read_line(request.client_address, MOST_ADDRESS) or UNREADABLE,
        request_id=read_line(request.request_id, MOST_REQUEST_ID),
        dialogue=request.dialogue,
    )


def read_change(request: gate_pb2.ChangePasswordRequest, provider: UUID) -> ChangeAsked | None:
    """Whose password is to be changed to what, if it may be anything."""
    channel = _CHANNELS.get(request.protocol)
    if channel is None or len(request.username) > MOST_TEXT or len(request.present) > MOST_PASSWORD:
        return None
    return ChangeAsked(
        provider=provider,
        channel=channel,
        username=request.username,
        present=request.present,
        # What is longer is too long as it is, which is said once the present one has proved to be right.
        wanted=request.wanted[:MOST_PASSWORD],
        address=read_line(request.client_address, MOST_ADDRESS) or UNREADABLE,
        request_id=read_line(request.request_id, MOST_REQUEST_ID),
    )


def _given(request: gate_pb2.AuthenticateRequest) -> Given | None:
    """The credentials, unless they are longer than any that could be right."""
    match request.WhichOneof("credentials"):
        case "password":
            username, password = request.password.username, request.password.password
            fits = len(username) <= MOST_TEXT and len(password) <= MOST_PASSWORD
            return PasswordGiven(username=username, password=password) if fits else None
        case "bearer":
            return TokenGiven(secret=request.bearer) if len(request.bearer) <= LONGEST_TOKEN else None
        case "answer":
            state, code = request.answer.state, request.answer.code
            fits = len(state) <= LONGEST_STATE and len(code) <= MOST_TEXT
            return AnswerGiven(state=state, code=code) if fits else None
    return None


def read_id(text: str) -> UUID | None:
    """The id in a text from the wire, if it is one."""
    try:
        return UUID(text[:MOST_KEY])
    except ValueError:
        return None


def read_time(stamp: Timestamp) -> datetime | None:
    """The time in a Timestamp, if it is one that we may have to do with."""
    try:
        moment = stamp.ToDatetime(UTC)
    except (ValueError, OverflowError):
        return None
    return moment if moment.year in YEARS else None


def read_line(text: str, most: int = MOST_TEXT) -> str:
    """A peer's text as far as it is kept: bounded, and such that no log, terminal or page does anything but show it."""
    kept = text[:most]
    return kept if kept.isprintable() else printable(_SPACE.sub(" ", kept))
