"""What the connections of a worker share: the present config and everything that answers by it."""

from typing import Any

from dataplane.gate import Event
from dataplane.io.connection import Connection
from dataplane.ledger import Ledger
from dataplane.protocols.proxy.application import Application
from dataplane.protocols.proxy.asking import Asker
from dataplane.protocols.proxy.common import Common, Dates, Outside
from dataplane.protocols.proxy.config import Prepared
from dataplane.protocols.proxy.dialects import PREFIX, Check
from dataplane.protocols.proxy.errand import Surroundings
from dataplane.protocols.proxy.flows import Flows, is_ours
from dataplane.protocols.proxy.headerauth import HeaderAuth
from dataplane.protocols.proxy.judgement import Admitted, admission_of
from dataplane.protocols.proxy.judging import Judge
from dataplane.protocols.proxy.live import Live
from dataplane.protocols.proxy.messages import Request, Response
from dataplane.protocols.proxy.metrics import Metrics
from dataplane.protocols.proxy.pages import Pages
from dataplane.protocols.proxy.refusals import Refusals
from dataplane.protocols.proxy.relay.relay import Relay
from dataplane.protocols.proxy.routes import Routes
from dataplane.protocols.proxy.session import HttpSession
from dataplane.protocols.proxy.sessions import Sessions
from dataplane.protocols.proxy.signin import SignIn
from dataplane.protocols.proxy.signout import SignOut
from dataplane.protocols.proxy.standing import Standing
from dataplane.protocols.proxy.told.decisions import HOSTS_DIFFER, NO_APPLICATION
from dataplane.protocols.proxy.told.told import Told
from dataplane.protocols.proxy.trust import Trust
from dataplane.protocols.proxy.visiting import FrontDoor, OwnPaths
from dataplane.sansio import PeerError
from dataplane.verifier import Verifier


class Doors:
    """Made once a worker. `relay` leads to control; None where this is no front door."""

    def __init__(self, outside: Outside, trust: Trust, relay: Relay | None) -> None:
        gate, clock, random = outside.gate, outside.clock, outside.random
        self.clock = clock
        self.metrics = Metrics()
        self.ledger = Ledger(clock, random)
        self.sessions = Sessions(gate, clock, self.metrics)
        self.verifier = Verifier(gate.authenticate, clock, random)
        self.routes = Routes()
        self.trust = trust
        pages = Pages()
        self.common = common = Common(
            clock=clock,
            dates=Dates(clock),
            metrics=self.metrics,
            ledger=self.ledger,
            pages=pages,
            asker=Asker(trust, random),
            refusals=Refusals(self.metrics, self.ledger, pages, clock),
            told=Told(outside.outlets, clock, self.metrics, trust.is_trusted),
        )
        sign_out = SignOut(gate, self.sessions, self.ledger, self.end_here)
        flows = Flows(SignIn(gate, self.sessions, pages, random, common.told), sign_out)
        header_auth = HeaderAuth(self.verifier, self.sessions, pages, self.ledger, common.refusals.count)
        self.judge = Judge(common, self.sessions, header_auth, flows)
        self.live = Live()
        self._own = OwnPaths(common, flows)
        self._standing = Standing(Surroundings(common=common, judge=self.judge, live=self.live))
        self._front = FrontDoor(common, relay) if relay is not None else None

    def commit(self, prepared: Prepared) -> None:
        """Serve by this from now on."""
        self.sessions.commit(prepared.revocations)
        self.verifier.commit(prepared.revocations, prepared.options)
        self.routes = self.judge.routes = prepared.routes
        self.common.refusals.configured = True
        self.common.told.commit(prepared.options)
        self.live.look()
        for backend in prepared.left:
            backend.close()

    def end_here(self, session: str, until: float) -> None:
        """Refuse a session at once: it was signed out, here or at another worker of this outpost."""
        self.sessions.end_here(session, until)
        self.verifier.end_here(session)
        self.live.look()

    def take_events(self, *, last: bool) -> tuple[Event, ...]:
        """What happened since the last time; `last`: there is no next one."""
        self.judge.admissions.clear()
        return self.ledger.take_all() if last else self.ledger.take()

    def refuse_unknown_host(self, request: Request, check: Check, connection: Connection[Any]) -> Response:
        """A check for a host that no application claims."""
        self.metrics.observe(request.method, "", "app", 0.0)
        asking = self.common.asker.check(request, check, connection)
        if self.common.refusals.configured:
            self.common.told.check(None, asking, None, NO_APPLICATION)
        return self.common.refusals.no_application(asking)

    def refuse_to_check(self, host: str, peer: str) -> Response:
        """A check of an application that we stand before: there are no headers to copy that a browser may not see."""
        reason = f"{host} is served in mode proxy: it is asked for itself, and there is nothing to check"
        return self.common.refusals.explain_check(PeerError(400, reason), peer, "mode_proxy")

    def refuse_confused(self, request: Request, check: Check, rival: str, connection: Connection[Any]) -> Response:
        """A check that names two hosts: one application may be asked about and another one served."""
        asking = self.common.asker.check(request, check, connection)
        self.common.told.check(self.routes.find(check.host), asking, None, HOSTS_DIFFER)
        names = f"X-Original-URL names {check.host}, Host or X-Forwarded-Host {rival}"
        error = PeerError(400, f"{names}: nginx has to build them from $host")
        return self.common.refusals.explain_check(error, connection.peer, "hosts_differ")

    def tell_admission(
        self, application: Application, request: Request, check: Check, connection: Connection[Any], admitted: Admitted
    ) -> None:
        """A check that passes, where it is told of these too."""
        person, decision = admission_of(admitted)
        self.common.told.check(application, self.common.asker.check(request, check, connection), person, decision)

    def visit(self, request: Request, session: HttpSession, connection: Connection[Any]) -> Response | None:
        """Answer what is no check; None when the answer has been written already."""
        started = self.clock()
        if request.target.startswith(PREFIX):
            file = self._own.find_file(request)
            if file is not None:
                return file
        try:
            seen = self.trust.see(request, connection.peer, secure=connection.secure)
        except PeerError as error:
            return self.common.refusals.explain(error, connection.peer)
        application = self.routes.find(seen.host)
        if application is not None and application.backend is not None and not is_ours(request.target):
            return self._standing.meet(application, request, session, connection, seen)
        if application is None and self._front is not None and not request.path.startswith(PREFIX + b"/"):
            self._front.pass_on(request, session, connection, seen)
            self.metrics.observe(request.method, "", "core", self.clock() - started)
            return None
        record = self.common.told.begin(
            request, seen, self.common.asker.id_of(request, connection.peer), connection.peer
        )
        record.application = application
        if application is None and self.common.refusals.configured:
            record.decision = NO_APPLICATION
        answer = self._own.visit(application, request, seen, record.id)
        self.common.told.answer(record, answer)
        return answer
