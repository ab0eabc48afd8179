"""Answers the operations of one connection (RFC 4511).

What is quickly answered is answered in order; what takes longer is answered beside the conversation, which goes on: it
may be abandoned, and ends with the connection. A bind lets nothing else run: what is under way is abandoned, and what
comes waits until it is judged (section 4.2.1).
"""

from collections.abc import Callable, Generator
from time import monotonic, perf_counter
from typing import Any

from dataplane.io.connection import Connection
from dataplane.io.stream import give_way
from dataplane.protocols.ldap import search
from dataplane.protocols.ldap.binding import INVALID, Bound
from dataplane.protocols.ldap.controls import OF_OTHERS, refused
from dataplane.protocols.ldap.extended import change_password, notice, who_am_i
from dataplane.protocols.ldap.faults import Crowded, TooLong
from dataplane.protocols.ldap.messages import (
    SUCCESS,
    Abandon,
    Add,
    AddResponse,
    Bind,
    BindResponse,
    Compare,
    CompareResponse,
    Delete,
    DeleteResponse,
    Extended,
    ExtendedResponse,
    Malformed,
    Message,
    Modify,
    ModifyDn,
    ModifyDnResponse,
    ModifyResponse,
    Request,
    Response,
    Result,
    ResultCode,
    Search,
    SearchDone,
    Unbind,
)
from dataplane.protocols.ldap.operations import AT_ONCE, Operation, Operations
from dataplane.protocols.ldap.paging import Pages
from dataplane.protocols.ldap.rootdse import PASSWORD_MODIFY, START_TLS, WHO_AM_I
from dataplane.protocols.ldap.service import Service
from dataplane.protocols.ldap.session import LdapSession
from dataplane.protocols.ldap.tree import Viewer
from dataplane.protocols.ldap.views import ANONYMOUS, Anonymous
from dataplane.protocols.ldap.wire import encode_response
from dataplane.sansio import PeerError

MOST_UNSENT = 256 * 1024
"""Bytes that a client has not read, until which more is looked for."""
_SMALL = 16 * 1024
"""Bytes of a batch that is most likely the only one."""
_LONG = 0.001
"""Seconds after which others have a turn."""
_READ_ONLY = Result(
    code=ResultCode.UNWILLING_TO_PERFORM, diagnostic="the directory is changed in Garrison, not over LDAP"
)
_BUSY = Result(code=ResultCode.BUSY, diagnostic="too many operations of this connection are under way")
_UNKNOWN_OPERATION = Result(code=ResultCode.PROTOCOL_ERROR, diagnostic="this extended operation is not served")
_TLS_IS_ON = Result(code=ResultCode.OPERATIONS_ERROR, diagnostic="TLS is on already")
_NOT_ALONE = Result(code=ResultCode.OPERATIONS_ERROR, diagnostic="TLS can't begin while anything else is under way")
_NOT_BOUND = Result(code=ResultCode.INSUFFICIENT_ACCESS_RIGHTS, diagnostic="bind first")

_NO_CONTROLS: frozenset[str] = frozenset()
_RESPONSES: dict[type[Request], Callable[[Result], Response]] = {
    Bind: BindResponse,
    Search: SearchDone,
    Compare: CompareResponse,
    Add: AddResponse,
    Modify: ModifyResponse,
    Delete: DeleteResponse,
    ModifyDn: ModifyDnResponse,
    Extended: lambda result: ExtendedResponse(result=result),
}
_KINDS: dict[type[Request], str] = {
    Bind: "bind",
    Unbind: "unbind",
    Search: "search",
    Compare: "compare",
    Add: "add",
    Modify: "modify",
    Delete: "delete",
    ModifyDn: "modify_dn",
    Abandon: "abandon",
    Extended: "extended",
    Malformed: "malformed",
}
_Batches = Generator[bytes, None, ResultCode]


class LdapHandler:
    """One connection's handler."""

    __slots__ = (
        "_bound",
        "_changed",
        "_connection",
        "_ending",
        "_operations",
        "_pages",
        "_service",
        "_session",
        "_viewer",
    )

    def __init__(self, service: Service, session: LdapSession, connection: Connection[Any]) -> None:
        self._service = service
        self._session = session
        self._connection = connection
        self._bound: Bound | None = None
        self._viewer: Viewer | Anonymous = ANONYMOUS
        self._pages = Pages(service.shelf)
        self._operations = Operations(connection)
        self._ending = ""
        self._changed = False
        self._settle()

    def handle(self, event: Message, connection: Connection[Any]) -> bytes:
        """The answer, or nothing where it comes later or never."""
        started = perf_counter()
        request = event.request
        if self._ending or (self._bound is not None and self._is_over(self._bound)):
            connection.finish()
            return b""
        if event.id in self._operations:
            raise PeerError(ResultCode.PROTOCOL_ERROR, f"message id {event.id} is in use")
        if isinstance(request, Bind) or (isinstance(request, Malformed) and isinstance(request.response, BindResponse)):
            self._begin_bind()
        if event.controls and (refusal := self._find_refusal(event)) is not None:
            return self._answer(event, refusal, started)
        if connection.unsent > MOST_UNSENT:
            connection.settle()
        answer = self._search(event, started) if isinstance(request, Search) else self._handle(event, request, started)
        if perf_counter() - started > _LONG:
            give_way()
        return answer

    def refuse(self, error: PeerError, connection: Connection[Any]) -> bytes:
        """To a peer that broke the protocol: the notice of disconnection (section 4.4.1), and the end."""
        connection.finish()
        self._service.metrics.limits[_limit_of(error)] += 1
        return notice(ResultCode(error.code), error.reason)

    def revoke(self, reason: str) -> None:
        """End the connection: what it was bound by holds no more. A password change under way still gets its answer."""
        self._ending = reason
        self._service.metrics.ended[reason] += 1
        self._operations.abandon_searches()
        if not self._operations.changes:
            self._connection.end()

    def farewell(self) -> bytes:
        """The last words to a peer that did nothing wrong.

        None to one that has changed its password, which ends it: clients that read the answer and a notice behind it
        in one go take the one for the other (ldap3).
        """
        if self._ending and not self._changed:
            return notice(ResultCode.STRONGER_AUTH_REQUIRED, "what the connection was bound by holds no more")
        if self._connection.server.draining:
            return notice(ResultCode.UNAVAILABLE, "the server is going down")
        return b""

    def close(self) -> None:
        """Give up all that is under way."""
        self._leave()
        self._session.release()
        self._operations.kill()

    def _handle(self, message: Message, request: Request, started: float) -> bytes:
        match request:
            case Bind():
                return self._bind(message, request, started)
            case Compare():
                return self._answer(message, search.compare(self._service.trees, request, self._viewer), started)
            case Extended():
                return self._extend(message, request, started)
            case Malformed(response=response, limit=limit):
                if limit is not None:
                    self._service.metrics.limits[limit.replace(" ", "_")] += 1
                return self._respond(message, response, started)
            case Unbind() | Abandon():
                self._obey(request)
                return b""
            case _:
                return self._answer(message, _READ_ONLY, started)

    def _obey(self, request: Unbind | Abandon) -> None:
        """Of these there is no answer (sections 4.3 and 4.11)."""
        match request:
            case Unbind():
                self._operations.abandon_all()
                self._connection.finish()
            case Abandon(message_id=number):
                self._operations.abandon(number)

    # Binds.

    def _bind(self, message: Message, request: Bind, started: float) -> bytes:
        outcome = self._service.binder.bind(self._service.trees, request, self._connection.peer)
        if isinstance(outcome, Result):
            return self._answer(message, outcome, started)
        tree = self._service.trees.get(outcome.provider)
        if tree is None:  # it was taken away while its password was checked
            return self._answer(message, INVALID, started)
        self._bound, self._viewer = outcome, tree.viewer(outcome.session.identity.subject)
        self._service.connections.enter(self, outcome)
        self._settle()
        return self._answer(message, SUCCESS, started)

    def _begin_bind(self) -> None:
        """Whatever becomes of it, nothing else is under way and nobody bound (RFC 4511 section 4.2.1, RFC 4513 4).

        A password that is being changed can't be left as it is any more, so that has its answer first.
        """
        self._operations.settle()
        self._operations.abandon_all()
        self._leave()

    def _leave(self) -> None:
        """Be nobody again."""
        self._service.connections.leave(self)
        self._bound, self._viewer = None, ANONYMOUS
        self._pages.clear()
        self._settle()

    def _settle(self) -> None:
        limits, is_bound = self._service.limits, self._bound is not None
        self._session.limit = limits.bound_message if is_bound else limits.message
        self._connection.patience = limits.bound_idle if is_bound else limits.idle

    def _is_over(self, bound: Bound) -> bool:
        if not self._service.is_over(bound):
            return False
        self._ending = "session_expired"
        self._service.metrics.ended[self._ending] += 1
        return True

    # Searches.

    def _search(self, message: Message, started: float) -> bytes:
        """What comes at once is answered at once; the rest beside the conversation, where its turn comes."""
        if self._is_full():
            return self._answer(message, _BUSY, started)
        service, begun = self._service, b""
        batches = search.answer(service.trees, message, self._viewer, self._pages, monotonic)
        if self._operations.searches < AT_ONCE:
            try:
                begun = next(batches)
                if 0 < len(begun) < _SMALL:
                    begun += next(batches)
            except StopIteration as end:
                self._observe_search(end.value, started)
                return begun
        self._operations.begin(message.id, lambda operation: self._send_all(operation, begun, batches, started))
        return b""

    def _send_all(self, operation: Operation, begun: bytes, batches: _Batches, started: float) -> None:
        """Nothing is looked for while what was found has not been read."""
        connection, batch = self._connection, begun
        with self._operations.turns:
            try:
                while not operation.abandoned:
                    if batch:
                        connection.send(batch)
                    if connection.unsent > MOST_UNSENT:
                        connection.settle()
                    give_way()  # a reader as fast as we are would let nobody else have a turn
                    batch = next(batches)
            except StopIteration as end:
                self._observe_search(end.value, started)

    def _observe_search(self, code: ResultCode, started: float) -> None:
        self._service.metrics.observe("search", self._application, perf_counter() - started, code)

    def _is_full(self) -> bool:
        if len(self._operations) < self._service.limits.operations:
            return False
        self._service.metrics.limits["operations"] += 1
        return True

    # Extended operations.

    def _extend(self, message: Message, request: Extended, started: float) -> bytes:
        match request.oid:
            case oid if oid == WHO_AM_I:
                name = self._viewer.dn if isinstance(self._viewer, Viewer) else ""
                return self._respond(message, who_am_i(name, self._bound), started)
            case oid if oid == PASSWORD_MODIFY:
                return self._change_password(message, request, started)
            case oid if oid == START_TLS:
                return self._respond(message, self._start_tls(request), started)
            case _:
                return self._answer(message, _UNKNOWN_OPERATION, started)

    def _start_tls(self, request: Extended) -> ExtendedResponse:
        """Section 4.14.1. What was bound in the clear is bound no more, as RFC 4513 section 3.1.3 allows."""
        if self._connection.secure:
            return ExtendedResponse(result=_TLS_IS_ON, oid=request.oid)
        if self._operations or self._session.pending:
            return ExtendedResponse(result=_NOT_ALONE, oid=request.oid)
        self._leave()
        self._connection.start_tls(self._service.names.context())
        return ExtendedResponse(result=SUCCESS, oid=request.oid)

    def _change_password(self, message: Message, request: Extended, started: float) -> bytes:
        bound, viewer = self._bound, self._viewer
        if bound is None or not isinstance(viewer, Viewer):
            return self._answer(message, _NOT_BOUND, started)
        if self._operations.changes >= AT_ONCE:
            self._service.metrics.limits["password_changes"] += 1
            return self._answer(message, _BUSY, started)
        gate, peer = self._service.gate, self._connection.peer

        def change(operation: Operation) -> None:
            response = change_password(gate, viewer, bound, request.value, peer)
            self._changed = response.result.code is ResultCode.SUCCESS
            if self._changed:
                self._service.verifier.change_here(bound.session.identity.subject)
            answer = self._respond(message, response, started)
            if not operation.abandoned:
                self._connection.send(answer)
            if self._ending:
                self._connection.end()

        self._operations.begin(message.id, change, lasting=True)
        return b""

    # Answers.

    @property
    def _application(self) -> str:
        return self._bound.application if self._bound is not None else ""

    def _find_refusal(self, message: Message) -> Result | None:
        """Section 4.1.11. Those of searches are read as they are answered; of what has no answer they are ignored."""
        request = message.request
        if isinstance(request, Search) or type(request) not in _RESPONSES:
            return None
        return refused(message.controls, OF_OTHERS if isinstance(request, Compare) else _NO_CONTROLS)

    def _answer(self, message: Message, result: Result, started: float) -> bytes:
        return self._respond(message, _RESPONSES[type(message.request)](result), started)

    def _respond(self, message: Message, response: Response, started: float) -> bytes:
        kind, took = _KINDS[type(message.request)], perf_counter() - started
        self._service.metrics.observe(kind, self._application, took, response.result.code)
        return encode_response(message.id, response)


def _limit_of(error: PeerError) -> str:
    match error:
        case TooLong():
            return "message_size"
        case Crowded():
            return "unfinished_messages"
        case _:
            return "malformed"
