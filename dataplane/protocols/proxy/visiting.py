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
from dataplane.protocols.proxy.relay.relay import Exchange, Relay
from dataplane.protocols.proxy.session import HttpSession
from dataplane.protocols.proxy.signin import RETRY_AFTER
from dataplane.protocols.proxy.trust import Seen

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

    def visit(
        self, application: Application | None, request: Request, connection: Connection[Any], seen: Seen, id_: str = ""
    ) -> Response:
        """The steps of signing in and out, and a page that says that there is nothing else."""
        asking = self._asker.visit(request, connection, seen, id_)
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
        asking = common.asker.visit(request, connection, seen)

        def fail(status: int, reason: str) -> Response:
            common.metrics.refusals["bad_gateway"] += 1
            _log.error("the control plane does not answer: %s", reason, extra={"request_id": asking.id})
            return common.dates.complete(
                common.pages.error("bad_gateway", status, asking, {"retry_after": RETRY_AFTER})
            )

        def refuse(status: int, limit: str) -> Response:
            common.refusals.tell("refused: %s", limit, request_id=asking.id, client=asking.client)
            return common.dates.complete(common.pages.error(limit, status, asking, {"retry_after": RETRY_AFTER}))

        exchange = Exchange(seen=seen, id=asking.id, fail=fail, refuse=refuse)
        started = common.clock()
        self._relay.forward(request, session, connection, exchange)
        common.metrics.observe_upstream(request.method, "", common.clock() - started)
