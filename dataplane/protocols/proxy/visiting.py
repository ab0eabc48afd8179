"""The outpost's own paths, and the front door to control."""

import logging
from typing import Any

from dataplane.io.connection import Connection
from dataplane.protocols.proxy.application import Application
from dataplane.protocols.proxy.common import Common
from dataplane.protocols.proxy.dialects import PREFIX
from dataplane.protocols.proxy.flows import Flows
from dataplane.protocols.proxy.messages import Request, Response
from dataplane.protocols.proxy.pages import STATIC_PATH
from dataplane.protocols.proxy.relay.exchange import Failure
from dataplane.protocols.proxy.relay.front import FrontExchange
from dataplane.protocols.proxy.relay.relay import Relay
from dataplane.protocols.proxy.session import HttpSession
from dataplane.protocols.proxy.signin import RETRY_AFTER
from dataplane.protocols.proxy.trust import Seen
from dataplane.sansio import PeerError

_PING = PREFIX + b"/ping"

_log = logging.getLogger("dataplane.proxy")


class OwnPaths:
    """What the outpost serves itself."""

    def __init__(self, common: Common, flows: Flows) -> None:
        self._flows = flows
        self._pages = common.pages
        self._asker = common.asker
        self._refusals = common.refusals
        self._metrics = common.metrics

    def find_file(self, request: Request) -> Response | None:
        """What is the same for every host."""
        path = request.path
        if path == _PING:
            self._metrics.observe(request.method, "", "ping", 0.0)
            return Response(status=204)
        return self._pages.find_static(path) if path.startswith(STATIC_PATH) else None

    def visit(self, application: Application | None, request: Request, seen: Seen, id_: str) -> Response:
        """The steps of signing in and out, and a page that says that there is nothing else."""
        asking = self._asker.visit(request, seen, id_)
        if application is None:
            return self._refusals.no_application(asking)
        step = self._flows.find_step(asking)
        if step is not None:
            if seen.distrusted:
                self._refusals.warn_of(asking)
            return step(application, asking)
        parameters = {
            "application": application.provider.application_name,
            "external_host": application.provider.external_host,
        }
        return self._pages.error("not_here", 404, asking, parameters)


class FrontDoor:
    """Passes on to control what belongs to no application."""

    def __init__(self, common: Common, relay: Relay) -> None:
        self._common = common
        self._relay = relay

    def pass_on(self, request: Request, session: HttpSession, connection: Connection[Any], seen: Seen) -> None:
        """The whole exchange."""
        common = self._common
        asking = common.asker.visit(request, seen, common.asker.id_of(request, connection.peer))

        def fail(failure: Failure, detail: str) -> Response:
            if failure in {Failure.HANDSHAKE, Failure.REQUEST}:
                return common.dates.complete(common.refusals.explain(PeerError(400, detail), connection.peer))
            status, page = _page_of(failure, detail)
            if page == "bad_gateway":
                common.metrics.refusals[page] += 1
                _log.error("the control plane does not answer: %s", detail, extra={"request_id": asking.id})
            else:
                common.refusals.tell("refused: %s", page, request_id=asking.id, client=asking.client)
            return common.dates.complete(common.pages.error(page, status, asking, {"retry_after": RETRY_AFTER}))

        exchange = FrontExchange(request, seen, asking.id, fail)
        started = common.clock()
        self._relay.forward(request, session, connection, exchange)
        common.metrics.observe_upstream(request.method, "", common.clock() - started)


def _page_of(failure: Failure, detail: str) -> tuple[int, str]:
    """The status and the page that tell of a failure; of limits, the page has their name."""
    match failure:
        case Failure.CLIENT_SLOW:
            return 408, detail
        case Failure.CROWDED:
            return 503, detail
        case Failure.LATE_CONNECT | Failure.LATE_ANSWER:
            return 504, "bad_gateway"
        case _:
            return 502, "bad_gateway"
