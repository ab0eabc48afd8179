"""One request that goes on to its application: all that the relay and the watch over what is open need of it.

It is one object a request, for there are many: what goes on, the pages in place of answers that don't come, what a
client gets of an answer's headers, and whether all this may still go on.
"""

import logging
from dataclasses import dataclass

from dataplane.protocols.proxy.application import Application, Opened
from dataplane.protocols.proxy.backend import Backend
from dataplane.protocols.proxy.common import Common
from dataplane.protocols.proxy.dialects import Check
from dataplane.protocols.proxy.failures import page_of, refuse
from dataplane.protocols.proxy.judging import Judge
from dataplane.protocols.proxy.live import Live
from dataplane.protocols.proxy.messages import Headers, Request, Response, UpstreamHead
from dataplane.protocols.proxy.relay.exchange import End, Failure, Onward
from dataplane.protocols.proxy.relay.relay import Relay
from dataplane.protocols.proxy.told.decisions import By, Decision, Reason, Verdict
from dataplane.protocols.proxy.told.record import Record
from dataplane.protocols.proxy.trust import Seen

_log = logging.getLogger("dataplane.proxy")


def check_of(request: Request, seen: Seen) -> Check:
    """The question that a request in mode proxy is."""
    return Check(request.method, seen.scheme, seen.host, request.target, True)  # a tuple's field


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What errands have in common."""

    common: Common
    judge: Judge
    live: Live


class Errand:
    """An Exchange for the relay, and Open for the watch. `opened` is None where nobody had to be anybody."""

    __slots__ = (
        "_application",
        "_backend",
        "_end",
        "_opened",
        "_record",
        "_surroundings",
        "client",
        "onward",
    )

    def __init__(
        self, surroundings: Surroundings, record: Record, opened: Opened | None, backend: Backend, onward: Onward
    ) -> None:
        self._surroundings = surroundings
        assert record.application is not None  # noqa: S101  # that is whose it is
        self._application: Application = record.application
        self._record = record
        self._opened = opened
        self._backend = backend
        self._end: End | None = None
        self.onward = onward
        # An office, or a proxy that isn't trusted, is one address.
        self.client = record.seen.client if opened is None else opened.session.identity.subject

    # For the relay

    def fail(self, failure: Failure, detail: str) -> Response:
        """A page that says what happened and what to do; in detail to those who can do something about it."""
        common = self._surroundings.common
        return common.dates.complete(refuse(common, self._record, page_of(failure, detail), detail))

    def answer(self, head: UpstreamHead) -> Headers:
        """What the client gets of the application's headers."""
        return self._backend.answering.headers(head, self._surroundings.common.dates.value)

    def begin(self, end: End) -> None:
        """From now on it is watched."""
        self._end = end
        self._surroundings.live.add(self)

    def done(self) -> None:
        """It is over."""
        self._end = None  # it knows us: a circle that only the garbage collector would find
        self._surroundings.live.remove(self)

    # For the watch

    @property
    def relay(self) -> Relay:
        """What carries it."""
        return self._backend.relay

    def find_reason_to_end(self) -> Reason | None:
        """Why it would not be let in now."""
        judge, record = self._surroundings.judge, self._record
        now = judge.routes.find(record.seen.host)
        if now is None or now.backend is None or now.provider.id != self._application.provider.id:
            return Reason.PROVIDER_CHANGED
        if self._opened is None:
            if now is self._application:  # a path that is open stays so until there is another config
                return None
            self._application = now
            check = check_of(record.request, record.seen)
            return None if judge.is_open(now, record.request, check) else Reason.NO_SESSION
        again = judge.sessions.judge_again(now, self._opened, same=now is self._application)
        if again is None:
            over = now.ends(self._opened.session) <= self._surroundings.common.clock()
            return Reason.EXPIRED if over else Reason.SESSION_ENDED
        self._application, self._opened = now, again
        return Reason.ACCESS_DENIED if again.denied else None

    def end(self, reason: Reason) -> None:
        """Cut it off."""
        record = self._record
        by = record.decision.by if record.decision is not None else By.SESSION
        record.decision = Decision(Verdict.ENDED, by, reason)
        _log.info("cut off: %s", reason, extra={"request_id": record.id, "host": record.seen.host})
        if self._end is not None:
            self._end()
