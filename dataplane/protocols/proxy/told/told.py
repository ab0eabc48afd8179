"""All that is told of requests, in one place: handlers fill in a Record, this makes lines, spans and figures of it.

How much of it is written down is an option of the outpost. Nothing here fails a request, or makes one wait.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import NamedTuple, Protocol

from dataplane.config import Logged, Options
from dataplane.gate import Identity
from dataplane.metering import Sample
from dataplane.protocols.proxy.application import Application
from dataplane.protocols.proxy.asking import Asking
from dataplane.protocols.proxy.messages import Headers, Request, Response
from dataplane.protocols.proxy.metrics import Metrics
from dataplane.protocols.proxy.relay.exchange import Outcome
from dataplane.protocols.proxy.told.decisions import Decision
from dataplane.protocols.proxy.told.lines import (
    AccessLine,
    DecisionLine,
    Stamp,
    encode,
    milliseconds,
    referer_host,
    text,
)
from dataplane.protocols.proxy.told.record import Record
from dataplane.protocols.proxy.told.spans import Arrived, Ending, Tracing
from dataplane.protocols.proxy.trust import Seen

_FAILED = 400
"""The first status that is a problem."""


class Sink(Protocol):
    """Where lines go."""

    @property
    def dropped(self) -> int:
        """Lines that were lost."""
        ...

    def write(self, line: bytes) -> None:
        """Take a line with its end; never waits."""
        ...

    def settle(self, seconds: float) -> bool:
        """Wait until all is written, for so long at most; whether it is."""
        ...


class Nowhere:
    """Where lines go that nobody wants."""

    dropped = 0

    def write(self, line: bytes) -> None:
        """Forget it."""

    def settle(self, seconds: float) -> bool:  # noqa: ARG002  the protocol's
        """There is nothing to wait for."""
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlets:
    """Where a worker of this number tells: lines to `sink`, spans to `tracing` where there is any."""

    worker: int = 0
    sink: Sink = field(default_factory=Nowhere)
    tracing: Tracing | None = None


class _About(NamedTuple):
    """What a decision was about."""

    channel: str
    id: str
    client: str
    method: bytes
    host: str
    path: str
    application: Application | None
    person: Identity | None
    trace_id: str


class Told:
    """What the handlers of a worker tell. `clock` is the time of day; how long things took the system says."""

    def __init__(
        self, outlets: Outlets, clock: Callable[[], float], metrics: Metrics, is_trusted: Callable[[str], bool]
    ) -> None:
        self._write = outlets.sink.write
        self._sink = outlets.sink
        self._tracing = outlets.tracing
        self._worker = outlets.worker
        self._clock = clock
        self._metrics = metrics
        self._is_trusted = is_trusted
        self._stamp = Stamp().at
        self._tells = self._tells_problems = self._wants_problems = False
        self.trace_names = outlets.tracing.names if outlets.tracing is not None else frozenset[bytes]()
        """Headers of a client's that don't go on to the application, for `onward` has others; in lower case."""
        self.admissions = False
        """Whether it is told, too, who was let in."""

    def commit(self, options: Options | None) -> None:
        """Write down as much as these say; nothing without any."""
        access = options.access_log if options is not None else Logged.NOTHING
        decisions = options.decision_log if options is not None else Logged.NOTHING
        self._tells, self._tells_problems = access is Logged.ALL, access is not Logged.NOTHING
        self.admissions, self._wants_problems = decisions is Logged.ALL, decisions is not Logged.NOTHING

    def begin(self, request: Request, seen: Seen, request_id: str, peer: str) -> Record:
        """A request has come from this peer."""
        record = Record(request, seen, request_id, perf_counter())
        if self._tracing is not None:
            arrived = Arrived(request, seen.scheme, seen.host, seen.client, self._is_trusted(peer))
            record.span = self._tracing.begin(arrived)
        return record

    def onward(self, record: Record) -> Headers:
        """It goes on to the application: headers to send along, `trace_names` of the client's being dropped."""
        return record.span.onward() if record.span is not None else ()

    def answer(self, record: Record, response: Response) -> None:
        """It was answered here."""
        self._end(record, Outcome(status=response.status, sent=len(response.body)))

    def finish(self, record: Record, outcome: Outcome) -> None:
        """It was passed on, and is over."""
        if outcome.waited:
            self._metrics.observe_upstream(record.request.method, _host(record.application), outcome.waited)
        if outcome.failure is not None:
            self._metrics.failures[_host(record.application), outcome.failure.value] += 1
        self._end(record, outcome)

    def check(self, application: Application | None, asking: Asking, person: Identity | None, what: Decision) -> None:
        """A reverse proxy has been told whether somebody may pass."""
        if self._is_wanted(what):
            self._write(encode(self._decision_line(_asked_about("check", asking, application, person), what)))

    def sign_in(self, application: Application, asking: Asking, person: Identity | None, what: Decision) -> None:
        """Somebody has signed in at the edge, or could not."""
        if self._is_wanted(what):
            self._write(encode(self._decision_line(_asked_about("sign_in", asking, application, person), what)))

    def settle(self, seconds: float) -> None:
        """The last of it, before a worker ends: for so long at most."""
        begun = perf_counter()
        self._sink.settle(seconds)
        if self._tracing is not None:
            self._tracing.settle(max(0.0, seconds - (perf_counter() - begun)))

    def counters(self) -> list[Sample]:
        """What was lost, and became of spans."""
        name, help_ = "garrison_proxy_log_lines_dropped_total", "Lines of access and decision log that were lost"
        lost: Sample = {"name": name, "help": help_, "labels": {}, "value": self._sink.dropped}
        return [lost, *(self._tracing.counters() if self._tracing is not None else ())]

    def _end(self, record: Record, outcome: Outcome) -> None:
        took = perf_counter() - record.started
        decision = record.decision
        self._metrics.observe(record.request.method, _host(record.application), "app", took)
        if self._is_told(outcome):
            self._write(encode(self._access_line(record, outcome, took)))
        if decision is not None and self._is_wanted(decision):
            self._write(encode(self._decision_line(_about(record), decision)))
        if record.span is not None:
            record.span.end(_ending(record, outcome))

    def _is_told(self, outcome: Outcome) -> bool:
        failed = outcome.status >= _FAILED or outcome.failure is not None or not outcome.status
        return self._tells_problems if failed else self._tells

    def _is_wanted(self, decision: Decision) -> bool:
        return self.admissions if decision.admits else self._wants_problems

    def _access_line(self, record: Record, outcome: Outcome, took: float) -> AccessLine:
        request, seen, decision, span = record.request, record.seen, record.decision, record.span
        fields = request.fields
        return AccessLine(
            timestamp=self._stamp(self._clock()),
            worker=self._worker,
            request_id=record.id,
            client=seen.client,
            method=text(request.method),
            scheme=seen.scheme,
            host=seen.host,
            path=text(request.path),
            protocol=_PROTOCOLS.get(request.version, ""),
            status=outcome.status,
            bytes_in=outcome.received,
            bytes_out=outcome.sent,
            duration_ms=milliseconds(took),
            upstream=outcome.address,
            upstream_ms=milliseconds(outcome.waited) if outcome.waited else None,
            user=record.person.username if record.person is not None else "",
            provider=record.application.provider.name if record.application is not None else "",
            decision=decision.word if decision is not None else "",
            user_agent=text(fields.get(b"user-agent", b"")),
            referer=referer_host(fields[b"referer"]) if b"referer" in fields else "",
            failure=outcome.failure or "",
            detail=outcome.detail,
            upgraded=outcome.upgraded,
            trace_id=span.trace_id if span is not None else "",
        )

    def _decision_line(self, about: _About, decision: Decision) -> DecisionLine:
        person, application = about.person, about.application
        return DecisionLine(
            timestamp=self._stamp(self._clock()),
            worker=self._worker,
            request_id=about.id,
            channel=about.channel,
            verdict=decision.verdict.value,
            by=decision.by.value,
            reason=decision.reason.value,
            user=person.username if person is not None else "",
            subject=person.subject if person is not None else "",
            provider=application.provider.name if application is not None else "",
            application=application.provider.application_slug if application is not None else "",
            client=about.client,
            method=text(about.method),
            host=about.host,
            path=about.path,
            trace_id=about.trace_id,
        )


_PROTOCOLS = {b"1.1": "HTTP/1.1", b"1.0": "HTTP/1.0"}


def _host(application: Application | None) -> str:
    return application.origin.host if application is not None else ""


def _about(record: Record) -> _About:
    request, seen, span = record.request, record.seen, record.span
    met = "proxy", record.id, seen.client, request.method, seen.host, text(request.path)
    return _About(*met, record.application, record.person, span.trace_id if span is not None else "")


def _asked_about(channel: str, asking: Asking, application: Application | None, person: Identity | None) -> _About:
    path = text(asking.target.partition("?")[0].encode("latin-1"))
    return _About(channel, asking.id, asking.client, asking.method, asking.host, path, application, person, "")


def _ending(record: Record, outcome: Outcome) -> Ending:
    return Ending(
        status=outcome.status,
        failure=outcome.failure or "",
        user=record.person.username if record.person is not None else "",
        provider=record.application.provider.name if record.application is not None else "",
        decision=record.decision.word if record.decision is not None else "",
        address=outcome.address,
        waited=outcome.waited,
        received=outcome.received,
        sent=outcome.sent,
    )
