"""What everything in a worker that answers requests has in common."""

from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate

from dataplane.gate import Gate
from dataplane.ledger import Ledger
from dataplane.protocols.proxy.asking import Asker
from dataplane.protocols.proxy.messages import Response
from dataplane.protocols.proxy.metrics import Metrics
from dataplane.protocols.proxy.pages import Pages
from dataplane.protocols.proxy.refusals import Refusals
from dataplane.protocols.proxy.told.told import Outlets, Told


class Dates:
    """The Date that every answer bears (RFC 9110 6.6.1), made once a second."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._second = -1
        self._line = b""

    def line(self) -> bytes:
        """The header and the end of a head."""
        second = int(self._clock())
        if second != self._second:
            self._second = second
            self._line = b"Date: " + formatdate(second, usegmt=True).encode() + b"\r\n\r\n"
        return self._line

    def value(self) -> bytes:
        """What it says now."""
        return self.line()[6:-4]

    def complete(self, response: Response) -> Response:
        """An answer of ours with it."""
        date = (b"Date", self.value())
        return Response(status=response.status, headers=(*response.headers, date), body=response.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What a worker has from outside: control, time, chance, and where to tell what happens."""

    gate: Gate
    clock: Callable[[], float]
    random: Callable[[int], bytes]
    outlets: Outlets = field(default_factory=Outlets)


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """Made once a worker."""

    clock: Callable[[], float]
    dates: Dates
    metrics: Metrics
    ledger: Ledger
    pages: Pages
    asker: Asker
    refusals: Refusals
    told: Told
