"""Answers the requests of one connection: checks of reverse proxies first and fast, then everything else.

The check of a known session makes no call, writes no log and answers with bytes made beforehand. What is none of
that (sign-in, pages, applications behind us, the front door) is for `doors`.
"""

from typing import Any, assert_never

from dataplane.io.connection import Connection
from dataplane.protocols.proxy.application import Application, Opened
from dataplane.protocols.proxy.dialects import PREFIX, Check, Dialect, find_dialect
from dataplane.protocols.proxy.doors import Doors
from dataplane.protocols.proxy.judgement import Admitted, Entered, Open, Turned
from dataplane.protocols.proxy.messages import Body, Data, Event, Request, Response
from dataplane.protocols.proxy.session import HttpSession
from dataplane.sansio import PeerError

MAX_DISCARD = 64 * 1024
"""Bytes of a body nobody wants that are read to keep the connection."""


class ProxyHandler:
    """One connection's handler."""

    __slots__ = ("_dates", "_discarded", "_doors", "_session", "_told")

    def __init__(self, doors: Doors, session: HttpSession) -> None:
        self._doors = doors
        self._dates = doors.common.dates
        self._told = doors.common.told
        self._session = session
        self._discarded = 0

    def handle(self, event: Event, connection: Connection[Any]) -> bytes:
        """The answer to a request; bodies of answered requests are discarded."""
        if event.__class__ is not Request:
            return self._discard(event, connection)
        request: Request = event
        dialect = find_dialect(request.target) if request.target.startswith(PREFIX) else None
        if dialect is None:
            return self._visit(request, connection)
        return self._check(request, dialect, connection)

    def refuse(self, error: PeerError, connection: Connection[Any]) -> bytes:
        """To a peer that broke HTTP: the reason, and the end."""
        connection.finish()
        return self._session.refuse(self._doors.common.refusals.explain(error, connection.peer))

    def _check(self, request: Request, dialect: Dialect, connection: Connection[Any]) -> bytes:
        doors = self._doors
        started = doors.clock()
        try:
            check = dialect(request)
        except PeerError as error:
            return self._answer(request, doors.common.refusals.explain_check(error, connection.peer), connection)
        application = doors.routes.find(check.host)
        if application is None:
            return self._answer(request, doors.refuse_unknown_host(request, check, connection), connection)
        # By the name of an application that we stand before, its scripts may ask about another, and read the answer.
        asked = application if check.host == request.host else doors.routes.find(request.host)
        if application.backend is not None or (asked is not None and asked.backend is not None):
            host = check.host if application.backend is not None else request.host
            return self._answer(request, doors.refuse_to_check(host, connection.peer), connection)
        rival = doors.judge.find_rival(application, check, doors.trust.service_hosts) if check.rivals else None
        if rival is None:
            answer = self._judge(request, check, application, connection)
        else:
            answer = self._answer(request, doors.refuse_confused(request, check, rival, connection), connection)
        timer = application.timers.get(request.method)
        if timer is None:
            timer = doors.metrics.timer(request.method, application.origin.host, "app")
            application.timers[request.method] = timer
        timer.observe(doors.clock() - started)
        return answer

    def _judge(self, request: Request, check: Check, application: Application, connection: Connection[Any]) -> bytes:
        judged = self._doors.judge.judge(application, request, check, connection)
        if judged.__class__ is Opened and not self._told.admissions:
            return self._pass(request, judged.head, connection)
        if isinstance(judged, Turned):
            if judged.decision is not None and judged.asking is not None:
                self._told.check(application, judged.asking, judged.person, judged.decision)
            return self._answer(request, judged.response, connection)
        if self._told.admissions:
            self._doors.tell_admission(application, request, check, connection, judged)
        return self._pass(request, _head_of(judged, application, request), connection)

    def _pass(self, request: Request, head: bytes, connection: Connection[Any]) -> bytes:
        draining = connection.server.draining
        if request.keep_alive and request.body is Body.NONE and request.version == b"1.1" and not draining:
            return head + self._dates.line()
        self._prepare_discard(request)
        if draining:
            self._session.closing = True
        if not self._session.keeps_alive():
            connection.finish()
        return head + self._session.connection_line() + self._dates.line()

    def _visit(self, request: Request, connection: Connection[Any]) -> bytes:
        answer = self._doors.visit(request, self._session, connection)
        return b"" if answer is None else self._answer(request, answer, connection)

    def _answer(self, request: Request, response: Response, connection: Connection[Any]) -> bytes:
        self._prepare_discard(request)
        if connection.server.draining:
            self._session.closing = True
        encoded = self._session.send(self._dates.complete(response))
        if not self._session.keeps_alive():
            connection.finish()
        return encoded

    def _prepare_discard(self, request: Request) -> None:
        """Decide whether the body is worth reading. One that waits for 100 Continue may come or not: close."""
        self._discarded = 0
        if request.body is Body.NONE:
            return
        length = int(request.fields.get(b"content-length", b"0"))
        if b"expect" in request.fields or length > MAX_DISCARD:
            self._session.closing = True

    def _discard(self, event: Event, connection: Connection[Any]) -> bytes:
        if isinstance(event, Data):
            self._discarded += len(event.data)
            if self._discarded > MAX_DISCARD:
                connection.server.counts.limits["discarded_body"] += 1
                connection.finish()
        return b""


def _head_of(admitted: Admitted, application: Application, request: Request) -> bytes:
    match admitted:
        case Opened(head=head) | Entered(opened=Opened(head=head)):
            return head
        case Open.OPEN:
            return application.open_answer(request.fields.get(b"authorization", b""))
        case _:
            assert_never(admitted)
