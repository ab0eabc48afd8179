"""A protocol of lines, so that the driver's tests need no other: each line is answered in capitals."""

from collections.abc import Iterator
from typing import Any

from dataplane.io.tcp import Connection
from dataplane.sansio import PeerError


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
    """`big N`: N bytes; `pull`: the next line; `bye`: the end; `crash`: a bug; all else: itself in capitals."""

    def __init__(self, session: LineSession) -> None:
        self._session = session

    def handle(self, event: bytes, connection: Connection[bytes]) -> bytes:
        match event.split():
            case [b"big", size]:
                return b"x" * int(size)
            case [b"pull"]:
                return self._session.send(b"pulled " + (connection.find_next_event() or b"nothing"))
            case [b"bye"]:
                connection.finish()
                return self._session.send(b"BYE")
            case [b"crash"]:
                raise LookupError("a bug")
            case [b"peer"]:
                return self._session.send(f"{connection.peer} {connection.secure}".encode())
        return self._session.send(event.upper())

    def refuse(self, error: PeerError, connection: Connection[bytes]) -> bytes:
        connection.finish()
        return self._session.send(error.reason.encode())


def open_conversation(_: Connection[Any]) -> tuple[LineSession, LineHandler]:
    session = LineSession()
    return session, LineHandler(session)
