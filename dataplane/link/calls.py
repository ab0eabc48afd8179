"""Unary calls to control from a worker: the Gate over exactly one gRPC channel.

Blocking code; the worker has made gRPC cooperative beforehand. It never raises: what the network did is
Unavailable. Sign-outs are not called from here: the supervisor queues them, on disk, and no worker's death loses
one. A renewed certificate brings a new channel; the old one closes with its last call.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

import grpc

from dataplane.gate import (
    Answer,
    Attempt,
    PasswordAnswer,
    PasswordChange,
    Redemption,
    SessionAnswer,
    SessionReference,
    Unavailable,
)
from dataplane.link import questions
from dataplane.link.breaker import Breaker
from dataplane.link.channel import gate_stub, open_call_channel
from dataplane.link.clock import ControlClock
from dataplane.link.lookout import Lookout
from dataplane.link.target import Credentials
from protos.outpost.v1 import gate_pb2, gate_pb2_grpc

DEADLINE = 5.0
# For a certificate in the place of one that control takes no more: the supervisor hears of it and enrols anew.
RENEWAL_SECONDS = 3.0
# Control could not be reached, or has too much to do.
_AWAY = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    }
)
# Control was there and failed at this question. The rest of the codes are answers: it said no.
_FAILED = frozenset({grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN})
_NEVER = "the outpost has not reached control yet"
log = logging.getLogger("dataplane.link.calls")

_Response = TypeVar(
    "_Response",
    gate_pb2.RedeemCodeResponse,
    gate_pb2.LookUpSessionResponse,
    gate_pb2.AuthenticateResponse,
    gate_pb2.ChangePasswordResponse,
)
_Call = Callable[[gate_pb2_grpc.GateStub], _Response]


class _Line:
    """A channel with the number of calls on it."""

    __slots__ = ("_refused_at", "_retired", "_users", "channel", "stub")

    def __init__(self, channel: grpc.Channel) -> None:
        self.channel = channel
        self.stub = gate_stub(channel)
        self._users = 0
        self._retired = threading.Event()
        self._refused_at: float | None = None

    def call(self, call: _Call[_Response]) -> _Response:
        """Ask over this channel. Raises RpcError."""
        self._users += 1
        try:
            return call(self.stub)
        finally:
            self._users -= 1
            self._close_if_idle()

    def retire(self) -> None:
        self._retired.set()
        self._close_if_idle()

    def is_replaced(self, now: float) -> bool:
        """Whether another takes its place within a while of the first time that its certificate was refused."""
        if self._refused_at is None:
            self._refused_at = now
        return self._retired.wait(max(self._refused_at + RENEWAL_SECONDS - now, 0))

    def _close_if_idle(self) -> None:
        if self._retired.is_set() and not self._users:
            self.channel.close()


class ControlGate:
    """Implements `dataplane.gate.Gate`. `outcomes` counts (call, outcome).

    Questions about credentials have a breaker of their own: strangers can cause as many as they like, and where control
    is too slow for these, signing in by a browser goes on. That control fails at what one of them sent opens it for
    nobody else.
    """

    def __init__(self, forward_ending: Callable[[str, str], None], clock: ControlClock) -> None:
        self._forward_ending = forward_ending
        self._clock = clock
        self._monotonic = clock.monotonic
        self._credentials: Credentials | None = None
        self._address = 0
        self._line: _Line | None = None
        self._lookout = Lookout(clock.monotonic)
        self.breaker = Breaker()
        self.credentials_breaker = Breaker()
        self.outcomes: Counter[tuple[str, str]] = Counter()

    def use(self, credentials: Credentials) -> None:
        """Call with these from now on; the first address is the one that is known to work.

        Also where they are the same: a channel that has failed may hold on to an address that control has left.
        """
        self._credentials = credentials
        self._address = 0
        self._dial(credentials)
        self.breaker.succeeded()
        self.credentials_breaker.succeeded()
        self._lookout.seen()

    def find_outage(self) -> Unavailable | None:
        """Why control can't be asked just now: nobody listens, at none of its addresses."""
        if self._credentials is None:
            return Unavailable(_NEVER)
        outage = self._lookout.find_outage(self._credentials.addresses)
        return None if outage is None else Unavailable(outage)

    def redeem_code(self, redemption: Redemption) -> SessionAnswer:
        """Trade an authorization code, good once, for a session."""
        request = questions.redeem_request(redemption)
        message = self._ask("redeem_code", lambda stub: stub.RedeemCode(request, timeout=DEADLINE), self.breaker)
        return message if isinstance(message, Unavailable) else questions.session_answer(message)

    def look_up_session(self, reference: SessionReference) -> SessionAnswer:
        """Fetch the session again for a cookie that could not hold it."""
        request = questions.look_up_request(reference)
        message = self._ask("look_up_session", lambda stub: stub.LookUpSession(request, timeout=DEADLINE), self.breaker)
        return message if isinstance(message, Unavailable) else questions.session_answer(message)

    def authenticate(self, attempt: Attempt) -> Answer:
        """Whether somebody who brings credentials may come in."""
        request, breaker = questions.authenticate_request(attempt), self.credentials_breaker
        message = self._ask("authenticate", lambda stub: stub.Authenticate(request, timeout=DEADLINE), breaker)
        return message if isinstance(message, Unavailable) else questions.answer(message)

    def change_password(self, change: PasswordChange) -> PasswordAnswer:
        """Change a person's password, who proves to know the present one."""
        request, breaker = questions.change_request(change), self.credentials_breaker
        message = self._ask("change_password", lambda stub: stub.ChangePassword(request, timeout=DEADLINE), breaker)
        return message if isinstance(message, Unavailable) else questions.password_answer(message)

    def end_session(self, provider: str, session: str) -> None:
        """Hand the sign-out to the supervisor, which queues it."""
        self._forward_ending(provider, session)

    def _ask(self, name: str, call: _Call[_Response], breaker: Breaker) -> _Response | Unavailable:
        line = self._line
        if line is None:
            return self._unavailable(name, "never_connected", Unavailable(_NEVER))
        if not breaker.admits(self._monotonic()):
            return self._unavailable(name, "breaker_open", Unavailable("control did not answer the last calls"))
        asked = self._monotonic()
        try:
            message = self._called(line, call)
        except grpc.RpcError as error:
            return self._failed(name, error, breaker)
        breaker.succeeded()
        self._lookout.seen()
        self.outcomes[name, "answered"] += 1
        log.debug("control answered a call", extra={"call": name})
        time = questions.find_clock(message)
        if time is not None:
            self._clock.heard(time, asked)
        return message

    def _called(self, line: _Line, call: _Call[_Response]) -> _Response:
        """The answer, over the channel of the next certificate where control refuses this one's. Raises RpcError."""
        try:
            return line.call(call)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNAUTHENTICATED or not line.is_replaced(self._monotonic()):
                raise
        return (self._line or line).call(call)

    def _failed(self, name: str, error: grpc.RpcError, breaker: Breaker) -> Unavailable:
        code, details = error.code(), error.details()
        if code in _AWAY or (code in _FAILED and breaker is not self.credentials_breaker):
            breaker.failed(self._monotonic())
            self._try_next_address()
        else:
            breaker.succeeded()
        refused = code not in _AWAY | _FAILED
        log.warning("a call to control failed", extra={"call": name, "status": code.name, "reason": details})
        return self._unavailable(name, code.name.lower(), Unavailable(f"{code.name}: {details}", refused))

    def _unavailable(self, name: str, outcome: str, unavailable: Unavailable) -> Unavailable:
        self.outcomes[name, outcome] += 1
        return unavailable

    def _try_next_address(self) -> None:
        credentials = self._credentials
        if credentials and len(credentials.addresses) > 1:
            self._address = (self._address + 1) % len(credentials.addresses)
            self._dial(credentials)

    def _dial(self, credentials: Credentials) -> None:
        before = self._line
        self._line = _Line(open_call_channel(credentials, credentials.addresses[self._address]))
        if before:
            before.retire()
