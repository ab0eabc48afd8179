"""What a protocol's server is to its worker: every protocol is one of these, and a table finds its builder.

Servers live in gevent-patched workers. A configuration is prepared (pure, may refuse single resources) and then
committed (a swap that does not block), so that all workers of an outpost change together or not at all.
"""

import socket
from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar, runtime_checkable

import msgspec

from dataplane.config import DirectoryEdit, Edit
from dataplane.gate import Event
from dataplane.verifier import Lesson

PreparedT = TypeVar("PreparedT")


class ProtocolServer(Protocol[PreparedT]):
    """One protocol in one worker."""

    def prepare(self, edit: Edit) -> tuple[PreparedT, Mapping[str, str]]:
        """What is served, with this edit, made ready; with the keys that are refused and why. Changes nothing.

        It may be given up for another try; what has refused keys always is.
        """
        ...

    def commit(self, prepared: PreparedT) -> None:
        """Serve by what was prepared last from now on."""
        ...

    def serve(self, listener: socket.socket, *, tls: bool) -> None:
        """Accept on a listening socket; returns at once."""
        ...

    def drain(self, seconds: float) -> None:
        """Accept who waits, close the listeners, and return when what is in flight is done, or cut after `seconds`.

        Whoever waits in the queue of a listener when it is closed is reset, so the queues are to be empty then.
        """
        ...

    def take_events(self, *, last: bool = False) -> tuple[Event, ...]:
        """What happened since the last time, to be told to control; `last`: there is no next one."""
        ...

    def learn(self, lesson: Lesson) -> None:
        """Another worker has asked control about credentials."""
        ...

    def metrics(self) -> Mapping[str, object]:
        """Counts so far, in the shape of Snapshot."""
        ...


@runtime_checkable
class DirectoryServer(Protocol):
    """A server of users and groups besides."""

    def apply_directory(self, edit: DirectoryEdit, pause: Callable[[], None]) -> None:
        """Take a part of the directory, with `pause` now and then to let others run."""
        ...


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """A counter or gauge with its labels."""

    name: str
    help: str
    labels: dict[str, str]
    value: float


class Histogram(msgspec.Struct, frozen=True, kw_only=True):
    """`counts` are per bucket, not cumulative, and one more than `bounds`: the last is beyond all of them."""

    name: str
    help: str
    labels: dict[str, str]
    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    sum: float


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What one worker has counted."""

    histograms: tuple[Histogram, ...] = ()
    counters: tuple[Sample, ...] = ()
    gauges: tuple[Sample, ...] = ()
