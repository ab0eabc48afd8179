"""The Gate service: what workers ask while they serve. Thin: checks the caller, asks `Gatekeeper`, translates.

The work is synchronous, so it runs in a bounded pool; when too much waits, a call is refused rather than queued.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NoReturn, Protocol, TypeVar
from uuid import UUID

import grpc

from control.auth.gatekeeper import Redemption, SessionClaim
from control.auth.granting import Asked, Granted
from control.auth.password_change import ChangeAsked
from control.domain.application import Provider
from control.domain.decision import Challenged, Refused, RefusedReason
from control.domain.grant import IssuedSession, PasswordRefusal, PasswordRefused, PasswordSet, Refusal, RefusalReason
from control.fleet.authority import Client
from control.fleet.options import options_of
from control.link import answers, reading
from control.link.caller import (
    CallRefused,
    find_objection,
    get_client,
    get_outpost,
    peer_address,
    refused,
    require_provider,
    unanswered,
)
from control.link.limits import Crowd, Limits
from control.link.metrics import Metrics
from control.link.revisions import Revisions
from control.link.state import State
from control.store import Actor, Store
from protos.outpost.v1 import gate_pb2, gate_pb2_grpc

THREADS = 8
# Half of them may wait for a hash (control.auth.passwords); the others answer what needs none.
CREDENTIALS_THREADS = 16
RETRY_AFTER = timedelta(seconds=5)
MAX_WAITING = 2_048

Context = grpc.aio.ServicerContext[Any, Any]
Answer = TypeVar("Answer")
Other = TypeVar("Other")


class Gatekeeper(Protocol):
    """Who decides: control.auth. Synchronous; called from many threads."""

    def redeem_code(self, caller: Actor, redemption: Redemption) -> IssuedSession | Refusal:
        """Trade a code for a session."""
        ...

    def look_up_session(self, claim: SessionClaim) -> IssuedSession | Refusal:
        """Say what a session is now."""
        ...

    def end_session(self, caller: Actor, session: UUID) -> None:
        """End the sign-in and all that was born of it."""
        ...

    def authenticate(self, caller: Actor, asked: Asked) -> Granted | Refused | Challenged:
        """Say whether somebody with credentials may in."""
        ...

    def change_password(self, caller: Actor, asked: ChangeAsked) -> PasswordSet | PasswordRefused:
        """Change the password of a person who knows the present one."""
        ...


class Reporter(Protocol):
    """Who keeps what outposts tell: control.link.reporting."""

    async def take(self, context: Context, request: gate_pb2.ReportRequest) -> None:
        """Keep it. Raises CallRefused."""
        ...


class Desk:
    """Where calls wait for a thread: at most `MAX_WAITING` of them, callers checked first, each outpost its share."""

    def __init__(self, store: Store, revisions: Revisions, limits: Limits, threads: int = THREADS) -> None:
        self._store = store
        self._revisions = revisions
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="gate")
        self._waiting = 0
        self._crowd = Crowd()
        self._limits = limits

    async def ask(self, context: Context, provider: str, work: Callable[[Actor, UUID], Answer]) -> Answer:
        """Do the work for a caller who may ask it about that provider. Raises CallRefused."""
        client = get_client(context.auth_context())

        def checked(caller: Actor) -> Answer:
            return work(caller, require_provider(self.served(client.outpost), reading.read_id(provider)))

        return await self.ask_any(context, checked)

    async def ask_any(self, context: Context, work: Callable[[Actor], Answer]) -> Answer:
        """Do the work for a caller who may ask at all. Raises CallRefused."""
        client = get_client(context.auth_context())
        address = peer_address(context.peer())

        def checked() -> Answer:
            return work(self._caller(client, address))

        with self._crowd.entered(client.outpost, self._limits.calls_of_outpost, "too_many_calls_of_outpost"):
            return await self._while_welcome(client, self.run(checked))

    async def _while_welcome(self, client: Client, work: Coroutine[Any, Any, Answer]) -> Answer:
        """What the work yields, unless its caller loses its leave to call meanwhile. Raises CallRefused."""
        lost: asyncio.Future[CallRefused] = asyncio.get_running_loop().create_future()

        def on_state(state: State) -> None:
            objection = find_objection(state.facts, client, state.facts.at)
            if objection is not None and not lost.done():
                lost.set_result(refused(objection))

        asked = asyncio.ensure_future(work)
        try:
            with self._revisions.listening(on_state):
                await asyncio.wait((asked, lost), return_when=asyncio.FIRST_COMPLETED)
            if lost.done():
                raise lost.result()
            return asked.result()
        finally:
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)

    async def run(self, work: Callable[[], Answer]) -> Answer:
        """Do the work in a thread. Raises CallRefused when too many wait."""
        if self._waiting >= MAX_WAITING:
            raise CallRefused(grpc.StatusCode.RESOURCE_EXHAUSTED, "busy", "too many calls are waiting")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1

    def served(self, outpost: UUID) -> Mapping[UUID, Provider]:
        """What an outpost serves just now."""
        part = self._revisions.state.parts.get(outpost)
        return part.served if part else {}

    def bind_cache(self, context: Context) -> timedelta:
        """For how long the caller may keep that somebody was let in."""
        outpost = self._revisions.state.facts.outposts.get(get_client(context.auth_context()).outpost)
        return options_of(outpost).garrison_bind_cache if outpost else timedelta()

    def close(self) -> None:
        """Let the threads go."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _caller(self, client: Client, address: str) -> Actor:
        with self._store.read() as unit:
            outpost = get_outpost(unit, client)
        return Actor(name=f"outpost/{outpost.name}", address=address)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desks:
    """Where calls wait: those with credentials, which may wait for a hash, hold up no others."""

    sessions: Desk
    credentials: Desk


class GateService(gate_pb2_grpc.GateServicer):
    """The service."""

    def __init__(self, gatekeeper: Gatekeeper, desks: Desks, reporter: Reporter, metrics: Metrics) -> None:
        self._gatekeeper = gatekeeper
        self._reporter = reporter
        self._desk = desks.sessions
        self._credentials = desks.credentials
        self._metrics = metrics

    async def RedeemCode(  # noqa: N802 - gRPC names it
        self, request: gate_pb2.RedeemCodeRequest, context: Context
    ) -> gate_pb2.RedeemCodeResponse:
        """Trade a code for a session."""

        def redeem(caller: Actor, provider: UUID) -> IssuedSession | Refusal:
            redemption = reading.read_redemption(request, provider)
            unknown = Refusal(RefusalReason.INVALID_CODE)
            return self._gatekeeper.redeem_code(caller, redemption) if redemption else unknown

        return answers.redeemed(await self._answer(context, self._desk.ask(context, request.provider, redeem)))

    async def LookUpSession(  # noqa: N802 - gRPC names it
        self, request: gate_pb2.LookUpSessionRequest, context: Context
    ) -> gate_pb2.LookUpSessionResponse:
        """Say what a session is now."""

        def look_up(_caller: Actor, provider: UUID) -> IssuedSession | Refusal:
            claim = reading.read_claim(request, provider)
            return self._gatekeeper.look_up_session(claim) if claim else Refusal(RefusalReason.SESSION_ENDED)

        return answers.looked_up(await self._answer(context, self._desk.ask(context, request.provider, look_up)))

    async def EndSession(  # noqa: N802 - gRPC names it
        self, request: gate_pb2.EndSessionRequest, context: Context
    ) -> gate_pb2.EndSessionResponse:
        """End a sign-in; one that is no id has ended.

        Whatever the caller serves by now: a sign-out may have waited while its provider went elsewhere or was removed,
        and who knows the random id of a sign-in has had a session of it.
        """

        def end(caller: Actor) -> None:
            session = reading.read_id(request.session)
            if session is not None:
                self._gatekeeper.end_session(caller, session)

        await self._answer(context, self._desk.ask_any(context, end))
        return gate_pb2.EndSessionResponse()

    async def Authenticate(  # noqa: N802 - gRPC names it
        self, request: gate_pb2.AuthenticateRequest, context: Context
    ) -> gate_pb2.AuthenticateResponse:
        """Say whether somebody with credentials may in; no is an answer, and so is that too many ask."""

        def decide(caller: Actor, provider: UUID) -> Granted | Refused | Challenged:
            asked = reading.read_asked(request, provider)
            unfit = Refused(reason=RefusedReason.INVALID_CREDENTIALS)
            return self._gatekeeper.authenticate(caller, asked) if asked else unfit

        busy = Refused(reason=RefusedReason.BUSY, retry_after=RETRY_AFTER)
        answer = await self._answer(
            context, self._unless_busy(self._credentials.ask(context, request.provider, decide), busy)
        )
        if not isinstance(answer, Granted):
            return answers.refused(answer)
        return answers.granted(answer, self._credentials.bind_cache(context))

    async def ChangePassword(  # noqa: N802 - gRPC names it
        self, request: gate_pb2.ChangePasswordRequest, context: Context
    ) -> gate_pb2.ChangePasswordResponse:
        """Change a person's own password; no is an answer, and so is that too many ask."""

        def change(caller: Actor, provider: UUID) -> PasswordSet | PasswordRefused:
            asked = reading.read_change(request, provider)
            unfit = PasswordRefused(reason=PasswordRefusal.INVALID_CREDENTIALS)
            return self._gatekeeper.change_password(caller, asked) if asked else unfit

        busy = PasswordRefused(reason=PasswordRefusal.BUSY, retry_after=RETRY_AFTER)
        asked = self._credentials.ask(context, request.provider, change)
        return answers.password_changed(await self._answer(context, self._unless_busy(asked, busy)))

    async def _unless_busy(self, answer: Awaitable[Answer], busy: Other) -> Answer | Other:
        """The answer, or that it may be asked for again. An outpost takes other errors for control being away."""
        try:
            return await answer
        except CallRefused as refusal:
            if refusal.code is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                raise
            self._metrics.refused.labels(refusal.reason).inc()
            return busy

    async def Report(  # noqa: N802 - gRPC names it
        self, request: gate_pb2.ReportRequest, context: Context
    ) -> gate_pb2.ReportResponse:
        """Keep what happened at an outpost, each event once."""
        await self._answer(context, self._reporter.take(context, request))
        return gate_pb2.ReportResponse()

    async def _answer(self, context: Context, answer: Awaitable[Answer]) -> Answer:
        """The answer, or an abort that tells no inner details."""
        try:
            return await answer
        except Exception as error:  # noqa: BLE001 - `unanswered` logs it
            await self._abort(context, unanswered(error))

    async def _abort(self, context: Context, refusal: CallRefused) -> NoReturn:
        self._metrics.refused.labels(refusal.reason).inc()
        await context.abort(refusal.code, str(refusal))
