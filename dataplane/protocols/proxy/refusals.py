"""What a stranger can cause as often as they like: refusals, counted, logged within bounds, and told in plain words.

Who answers no asks here for the answer, or takes note here of one that was made elsewhere.
"""

import logging
from collections.abc import Callable

from dataplane.gate import EventAction
from dataplane.ledger import Happening, Ledger
from dataplane.protocols.proxy.asking import Asking
from dataplane.protocols.proxy.messages import Response
from dataplane.protocols.proxy.metrics import Metrics
from dataplane.protocols.proxy.pages import Pages, json_response
from dataplane.protocols.proxy.signin import RETRY_AFTER
from dataplane.sansio import PeerError
from dataplane.sansio.clients import SETTING

_MAX_WARNED = 1000
_MAX_TOLD = 10

_log = logging.getLogger("dataplane.proxy")


class Refusals:
    """The refusals of one worker."""

    def __init__(self, metrics: Metrics, ledger: Ledger, pages: Pages, clock: Callable[[], float]) -> None:
        self.configured = False
        """Whether there is a config by now: before, nothing is anybody's mistake."""
        self._metrics = metrics
        self._ledger = ledger
        self._pages = pages
        self._clock = clock
        self._warned: set[str] = set()
        self._told_second = -1
        self._told = 0

    def explain(self, error: PeerError, peer: str, kind: str = "malformed") -> Response:
        """Plain words to a peer that broke the protocol; `kind` is what it counts as."""
        self._metrics.refusals[kind] += 1
        self.tell("refused a request of %s: %s", peer, error.reason, client=peer)
        return json_response(error.code, {"error": "malformed_request", "message": error.reason})

    def explain_check(self, error: PeerError, peer: str, kind: str = "malformed") -> Response:
        """The same to a reverse proxy, whose questions are for its admin to mend."""
        if self.configured:
            self.misconfigured(f"a check is malformed: {error.reason}", peer)
        return self.explain(error, peer, kind)

    def no_application(self, asking: Asking) -> Response:
        """Nobody has this host; before the first config nobody can tell."""
        if not self.configured:
            return self._pages.error("not_ready", 503, asking, {"retry_after": RETRY_AFTER})
        self.count("no_application", asking)
        self.misconfigured(f"no application has the host {asking.host or '(none)'}")
        if asking.distrusted:
            self.warn_of(asking)
        return self._pages.error("no_application", 404, asking, {"setting": SETTING})

    def misconfigured(self, reason: str, peer: str = "") -> None:
        """Something for the audit trail that an admin has to mend."""
        self._ledger.record(Happening(action=EventAction.MISCONFIGURED, client_address=peer, reason=reason))

    def warn_of(self, asking: Asking) -> None:
        """Once per peer: what is ignored, and the setting that would change it."""
        if asking.distrusted in self._warned or len(self._warned) >= _MAX_WARNED:
            return
        self._warned.add(asking.distrusted)
        _log.warning(
            "X-Forwarded-* of %s are ignored, for it is not within %s",
            asking.distrusted,
            SETTING,
            extra={"request_id": asking.id, "peer": asking.distrusted, "host": asking.host},
        )

    def count(self, reason: str, asking: Asking) -> None:
        """Somebody was refused for this reason."""
        self._metrics.refusals[reason] += 1
        self.tell("refused: %s", reason, request_id=asking.id, host=asking.host, client=asking.client)

    def tell(self, message: str, *values: str, **fields: str) -> None:
        """Log what strangers can cause as often as they like: so many lines a second, the rest for who debugs."""
        second = int(self._clock())
        if second != self._told_second:
            self._told_second, self._told = second, 0
        self._told += 1
        _log.log(logging.INFO if self._told <= _MAX_TOLD else logging.DEBUG, message, *values, extra=fields)
