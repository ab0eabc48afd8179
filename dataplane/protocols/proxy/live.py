"""What is open in mode proxy: each exchange with what let it in, ended when that no longer holds.

A download, an event stream or a WebSocket may last for hours. So when config arrives, when somebody signs out and each
second, what is open is judged as it would be if it came now; what would not pass is cut off.
"""

import logging
from collections.abc import Callable
from typing import Protocol

import gevent

from dataplane.protocols.proxy.relay.relay import Relay
from dataplane.protocols.proxy.told.decisions import Reason

LOOK_EVERY = 1.0
"""Seconds between two looks at what has expired."""

_log = logging.getLogger("dataplane.proxy")


class Open(Protocol):
    """Something that is open."""

    @property
    def relay(self) -> Relay:
        """What carries it."""
        ...

    def find_reason_to_end(self) -> Reason | None:
        """Why it may not go on; None while it may."""
        ...

    def end(self, reason: Reason) -> None:
        """Cut it off. May be called again."""
        ...


class Live:
    """All that is open in a worker."""

    def __init__(self) -> None:
        self._open: dict[Open, None] = {}
        self._ticker: gevent.Greenlet[..., None] | None = None
        self.add: Callable[[Open], None] = self._open.setdefault
        """It is open from now on."""

    def __len__(self) -> int:
        return len(self._open)

    def remove(self, each: Open) -> None:
        """It is over."""
        self._open.pop(each, None)

    def look(self) -> None:
        """Judge everything anew. What can't be judged is cut off, and leaves nothing else unwatched."""
        for each in list(self._open):
            try:
                reason = each.find_reason_to_end()
            except Exception:  # noqa: BLE001  fails closed
                _log.exception("something open can't be judged")
                reason = Reason.SESSION_ENDED
            if reason is not None:
                self.remove(each)
                each.end(reason)

    def part(self) -> None:
        """Tell those who have a WebSocket open that this server goes away."""
        for relay in {each.relay for each in self._open}:
            relay.part()

    def watch(self) -> None:
        """Look each second from now on."""
        if self._ticker is None:
            self._ticker = gevent.spawn(self._tick)

    def stop(self) -> None:
        """Watch no more."""
        if self._ticker is not None:
            self._ticker.kill()
            self._ticker = None

    def _tick(self) -> None:
        while True:
            gevent.sleep(LOOK_EVERY)
            self.look()
