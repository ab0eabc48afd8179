"""What a request meets in mode proxy: it is judged as a check is, and goes on to the application or is turned away.

One view of it serves all: what was judged, method, host and path as sent, is what the application gets. Whatever might
be read as a path of ours never comes here.
"""

from typing import Any

from dataplane.config import ConfigRefused
from dataplane.io.connection import Connection
from dataplane.protocols.proxy.application import Application, Opened
from dataplane.protocols.proxy.backend import Backend
from dataplane.protocols.proxy.errand import Errand, Surroundings, check_of
from dataplane.protocols.proxy.failures import LOOP, MISDIRECTED, OUTSIDE, refuse
from dataplane.protocols.proxy.heads import Heads
from dataplane.protocols.proxy.identity import Introduction
from dataplane.protocols.proxy.judgement import Entered, Judgement, Turned, admission_of
from dataplane.protocols.proxy.messages import Request, Response
from dataplane.protocols.proxy.onward import Way, destination_of, has_been_here, onward_line
from dataplane.protocols.proxy.paths import may_climb
from dataplane.protocols.proxy.relay.exchange import Failure, Onward, Outcome
from dataplane.protocols.proxy.session import HttpSession
from dataplane.protocols.proxy.told import decisions
from dataplane.protocols.proxy.told.record import Record
from dataplane.protocols.proxy.trust import Seen


class Standing:
    """Stands before the applications of a worker."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._common = surroundings.common
        self._judge = surroundings.judge
        self._told = surroundings.common.told
        self._heads = Heads(surroundings.common.told.trace_names)

    def meet(
        self, application: Application, request: Request, session: HttpSession, connection: Connection[Any], seen: Seen
    ) -> Response | None:
        """Carry out the whole exchange; or the answer to who is turned away."""
        common = self._common
        record = self._told.begin(request, seen, common.asker.id_of(request, connection.peer), connection.peer)
        record.application = application
        backend = application.backend
        assert backend is not None  # noqa: S101  # it stands before applications that have one
        if has_been_here(request, backend.way):  # before all else: who comes round again has lost its session
            record.decision = decisions.LOOP
            return self._answer(record, refuse(common, record, LOOP, ""))
        judged = self._judge.judge(application, request, check_of(request, seen), connection, record.id)
        found = self._find_way(backend, record, judged)
        if isinstance(found, Response):
            return self._answer(record, found)
        backend = found
        opened = _opened(judged)
        lines = self._heads.find(request, seen, connection.peer, _introduction(application, opened), backend.way)
        head = b"".join((onward_line(request, backend.way), lines, self._own_lines(record)))
        onward = Onward(request.method, head)
        errand = Errand(self._surroundings, record, opened, backend, onward)
        try:
            outcome = backend.relay.forward(request, session, connection, errand)
        except BaseException:  # cut off while it waited for its turn, or a bug: a line tells of it all the same
            self._told.finish(record, Outcome(failure=Failure.ENDED))
            raise
        self._told.finish(record, outcome)
        return None

    def _answer(self, record: Record, response: Response) -> Response:
        self._told.answer(record, response)
        return response

    def _find_way(self, backend: Backend, record: Record, judged: Judgement) -> Backend | Response:
        """Where the request goes on to, who is behind it considered; or the answer, where it doesn't."""
        _note(record, judged)
        if isinstance(judged, Turned):
            return judged.response
        try:
            backend = backend if record.person is None else backend.of(record.person)
        except ConfigRefused as error:
            return refuse(self._common, record, MISDIRECTED, str(error))
        if backend.way.path and _leads_out(record, backend.way):
            record.decision = decisions.PATH_OUTSIDE
            detail = f"the application's address ends in {backend.way.path.decode()}: it is asked for nothing else"
            return refuse(self._common, record, OUTSIDE, detail)
        return backend

    def _own_lines(self, record: Record) -> bytes:
        """What is another for each request."""
        traced = self._told.onward(record)
        line = b"X-Request-Id: %s\r\n" % record.id.encode()
        return line + b"".join(b"%s: %s\r\n" % header for header in traced) if traced else line


def _note(record: Record, judged: Judgement) -> None:
    if isinstance(judged, Turned):
        record.person, record.decision = judged.person, judged.decision
    else:
        record.person, record.decision = admission_of(judged)


def _leads_out(record: Record, way: Way) -> bool:
    return may_climb(record.request.target) or destination_of(record.request, record.seen, way) == b""


def _opened(judged: Judgement) -> Opened | None:
    return judged.opened if isinstance(judged, Entered) else judged if isinstance(judged, Opened) else None


def _introduction(application: Application, opened: Opened | None) -> Introduction:
    if opened is None:
        return application.nobody
    assert opened.introduction is not None  # noqa: S101  # so has everybody who may pass in mode proxy
    return opened.introduction
