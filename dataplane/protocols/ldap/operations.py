"""What of one connection is answered beside the conversation: searches that go on, and password changes.

Any may be abandoned (RFC 4511 section 4.11): nothing more is said of it then, and its id is free. What it does to the
connection when it breaks is seen to here.
"""

import logging
from collections.abc import Callable
from typing import Any

import gevent
from gevent import Greenlet
from gevent.lock import BoundedSemaphore

from dataplane.io.connection import Connection
from dataplane.io.stream import LimitHit

AT_ONCE = 2
"""Searches of one connection that go on at once; further ones wait for their turn."""
_log = logging.getLogger("dataplane.ldap")


class Operation:
    """One of them; `lasting`, where what it does can't be undone."""

    __slots__ = ("abandoned", "lasting")

    def __init__(self, *, lasting: bool) -> None:
        self.abandoned = False
        self.lasting = lasting


Work = Callable[[Operation], None]


class Operations:
    """Those of one connection, by their message ids. `turns` are for those that take the processor."""

    __slots__ = ("_changers", "_connection", "_found", "_searchers", "turns")

    def __init__(self, connection: Connection[Any]) -> None:
        self._connection = connection
        self._found: dict[int, Operation] = {}
        self._searchers: set[Greenlet[..., None]] = set()
        self._changers: set[Greenlet[..., None]] = set()
        self.turns = BoundedSemaphore(AT_ONCE)

    def __len__(self) -> int:
        return len(self._found)

    def __contains__(self, number: int) -> bool:
        return number in self._found

    @property
    def searches(self) -> int:
        """How many go on or wait."""
        return len(self._searchers)

    @property
    def changes(self) -> int:
        """How many lasting ones go on."""
        return len(self._changers)

    def begin(self, number: int, work: Work, *, lasting: bool = False) -> None:
        """Do this beside the conversation."""
        operation = self._found[number] = Operation(lasting=lasting)
        self._connection.begin()
        greenlet = Greenlet.spawn(self._work, number, operation, work)
        kind = self._changers if lasting else self._searchers
        kind.add(greenlet)
        greenlet.rawlink(kind.discard)

    def abandon(self, number: int) -> None:
        """Say nothing more of one, if it goes on."""
        if number in self._found:
            self._found[number].abandoned = True

    def abandon_all(self) -> None:
        """Say nothing more of any; their ids are free."""
        for operation in self._found.values():
            operation.abandoned = True
        self._found = {}

    def abandon_searches(self) -> None:
        """Say nothing more of those that change nothing."""
        for operation in self._found.values():
            operation.abandoned = operation.abandoned or not operation.lasting

    def settle(self) -> None:
        """Wait for the lasting ones."""
        gevent.joinall([*self._changers])

    def kill(self) -> None:
        """End those that may wait for the socket, before it is closed; calls to control come to their own end."""
        self.abandon_all()
        gevent.killall([*self._searchers])

    def _work(self, number: int, operation: Operation, work: Work) -> None:
        connection = self._connection
        try:
            work(operation)
        except LimitHit as hit:  # who doesn't read what was asked for
            connection.server.counts.limits[hit.limit] += 1
            connection.abort()
            connection.end()
        except OSError:
            connection.end()
        except Exception:  # noqa: BLE001  # a bug of ours, whatever it is; half an answer must not look whole
            connection.server.counts.limits["internal_error"] += 1
            _log.exception("an operation broke: a bug", extra={"peer": connection.peer})
            connection.abort()
            connection.end()
        finally:
            if self._found.get(number) is operation:
                del self._found[number]
            connection.done()
