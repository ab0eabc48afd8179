"""An application that writes down every request that reaches it, as h11 reads it, and the bytes where h11 can't.

One recorder stands behind one proxy, so that nothing has to be told apart but in time.
"""

import contextlib
import socket
import threading
from dataclasses import dataclass
from pathlib import Path

import h11

ANSWER = b"recorded"
REFUSAL = b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One request as it arrived."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def all(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for key, value in self.headers if key == name]

    @property
    def essence(self) -> tuple[str, str, bytes]:
        """What a proxy has no business to change."""
        return self.method, self.target, self.body


@dataclass(frozen=True, slots=True, kw_only=True)
class Malformed:
    """What no strict server would take: the proxy passed it on."""

    reason: str
    raw: bytes


class Recorder:
    """Listens on a free port of 127.0.0.1, and on a unix socket too; answers 200 to what it understands."""

    def __init__(self, path: Path | None = None) -> None:
        self._listeners = [socket.create_server(("127.0.0.1", 0), backlog=256)]
        self.port = int(self._listeners[0].getsockname()[1])
        if path is not None:
            self._listeners.append(socket.socket(socket.AF_UNIX))
            self._listeners[1].bind(str(path))
            self._listeners[1].listen(256)
        self._seen: list[Recorded | Malformed] = []
        self._lock = threading.Lock()
        self.connections = 0
        for listener in self._listeners:
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def take(self) -> list[Recorded | Malformed]:
        """What has arrived since the last time."""
        with self._lock:
            taken, self._seen = self._seen, []
        return taken

    def close(self) -> None:
        """Accept no more."""
        for listener in self._listeners:
            with contextlib.suppress(OSError):  # not connected; it wakes accept all the same
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def _note(self, what: Recorded | Malformed) -> None:
        with self._lock:
            self._seen.append(what)

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        with peer, contextlib.suppress(OSError):
            raw = bytearray()
            connection = h11.Connection(h11.SERVER, max_incomplete_event_size=256 * 1024)
            try:
                while self._exchange(connection, peer, raw):
                    raw.clear()
            except h11.RemoteProtocolError as error:
                if raw:  # the end between two requests is none, and half a request was given up
                    self._note(Malformed(reason=str(error), raw=bytes(raw)))

    def _exchange(self, connection: h11.Connection, peer: socket.socket, raw: bytearray) -> bool:
        request, body = None, b""
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                data = peer.recv(65536)
                if not data:
                    return False
                raw += data
                connection.receive_data(data)
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage) and request is not None:
                break
            else:
                return False
        self._note(
            Recorded(
                method=request.method.decode(),
                target=request.target.decode("latin-1"),
                headers=tuple((name.decode(), value.decode("latin-1")) for name, value in request.headers),
                body=body,
            )
        )
        if request.method == b"CONNECT":  # to h11 our 200 would begin a tunnel
            peer.sendall(REFUSAL)
            return False
        peer.sendall(_answer(connection, request.method))
        if connection.our_state is h11.MUST_CLOSE:
            return False
        connection.start_next_cycle()
        return True


def _answer(connection: h11.Connection, method: bytes) -> bytes:
    length = [("Content-Length", str(len(ANSWER)))]
    sent: bytes = connection.send(h11.Response(status_code=200, headers=length)) or b""
    if method != b"HEAD":
        sent += connection.send(h11.Data(data=ANSWER)) or b""
    return sent + (connection.send(h11.EndOfMessage()) or b"")
