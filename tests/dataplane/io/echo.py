"""A protocol of lines, so that the driver's tests need no other: each line is answered in capitals."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

import gevent

from dataplane.io.connection import Connection
from dataplane.io.self_signed import self_signed
from dataplane.io.tls import server_context
from dataplane.sansio import PeerError

SELF_SIGNED = self_signed(dt.datetime.now(dt.UTC))


class LineSession:
    """Lines in, lines out; a line that begins with `!` breaks the protocol."""

    def __init__(self) -> None:
        self._buffer = b""

    def receive(self, data: bytes) -> None:
        self._buffer += data

    def events(self) -> Iterator[bytes]:
        while b"\n" in self._buffer:
            line, _, self._buffer = self._buffer.partition(b"\n")
            if line.startswith(b"!"):
                raise PeerError(1, "no exclamations")
            yield line

    def send(self, message: bytes) -> bytes:
        return message + b"\n"


class LineHandler:
    """All lines but these are answered in capitals.

    `big N`: N bytes; `pull`: the next line; `bye`: the end; `tear`: a reset; `crash`: a bug; `peer`: who it is;
    `later S`: an answer after so many seconds, while others are answered; `twice N`: N bytes each of two greenlets;
    `end S`: the end after so many; `tls`: TLS from then on.
    """

    def __init__(self, session: LineSession) -> None:
        self._session = session

    def handle(self, event: bytes, connection: Connection[bytes]) -> bytes:
        match event.split():
            case [b"big", size]:
                return b"x" * int(size)
            case [b"tear"]:
                connection.finish()
                connection.abort()
                return b""
            case [b"pull"]:
                return self._session.send(b"pulled " + (connection.find_next_event() or b"nothing"))
            case [b"bye"]:
                connection.finish()
                return self._session.send(b"BYE")
            case [b"crash"]:
                raise LookupError("a bug")
            case [b"peer"]:
                return self._session.send(f"{connection.peer} {connection.secure}".encode())
        return self._handle_beside(event, connection)

    def _handle_beside(self, event: bytes, connection: Connection[bytes]) -> bytes:
        match event.split():
            case [b"later", seconds]:
                connection.begin()
                gevent.spawn_later(float(seconds), self._answer_later, connection)
            case [b"twice", size]:
                for letter in (b"a", b"b"):
                    gevent.spawn(connection.send, letter * int(size))
            case [b"end", seconds]:
                gevent.spawn_later(float(seconds), connection.end)
            case [b"tls"]:
                connection.start_tls(server_context(*SELF_SIGNED))
                return self._session.send(b"GO ON")
            case _:
                return self._session.send(event.upper())
        return b""

    def _answer_later(self, connection: Connection[bytes]) -> None:
        connection.send(self._session.send(b"LATE"))
        connection.done()

    def refuse(self, error: PeerError, connection: Connection[bytes]) -> bytes:
        connection.finish()
        return self._session.send(error.reason.encode())


def open_conversation(_: Connection[Any]) -> tuple[LineSession, LineHandler]:
    session = LineSession()
    return session, LineHandler(session)
