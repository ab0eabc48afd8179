"""Where tests have an outpost tell: lines that are read back, and spans that say what they were told."""

import json
from typing import Any

from dataplane.metering import Sample
from dataplane.protocols.proxy.messages import Headers
from dataplane.protocols.proxy.told.spans import Arrived, Ending


class Paper:
    """Takes lines and reads them back."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.dropped = 0
        self.settled: list[float] = []

    def write(self, line: bytes) -> None:
        self.lines.append(line)

    def settle(self, seconds: float) -> bool:
        self.settled.append(seconds)
        return True

    @property
    def told(self) -> list[dict[str, Any]]:
        assert all(line.endswith(b"\n") and line.isascii() for line in self.lines)
        return [json.loads(line) for line in self.lines]

    def of(self, log: str) -> list[dict[str, Any]]:
        return [line for line in self.told if line["log"] == log]


class FakeSpan:
    trace_id = "0af7651916cd43dd8448eb211c80319c"

    def __init__(self) -> None:
        self.went_on = False
        self.ended: list[Ending] = []

    def onward(self) -> Headers:
        self.went_on = True
        return ((b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),)

    def end(self, ending: Ending) -> None:
        self.ended.append(ending)


class FakeTracing:
    names = frozenset({b"traceparent", b"tracestate", b"baggage"})

    def __init__(self) -> None:
        self.arrived: list[Arrived] = []
        self.spans: list[FakeSpan] = []
        self.settled: list[float] = []

    def begin(self, arrived: Arrived) -> FakeSpan:
        self.arrived.append(arrived)
        self.spans.append(FakeSpan())
        return self.spans[-1]

    def settle(self, seconds: float) -> None:
        self.settled.append(seconds)

    def counters(self) -> list[Sample]:
        return [{"name": "spans", "help": "", "labels": {}, "value": 2}]
