"""A connection to an LDAP server that sends what the test says, as many requests at once as it likes."""

import socket
import ssl
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, islice

from tests.support import ldap_ber as ber
from tests.support.ldap_ber import Answer, Entry, Search

START_TLS, WHO_AM_I, PASSWORD_MODIFY = (
    "1.3.6.1.4.1.1466.20037",
    "1.3.6.1.4.1.4203.1.11.3",
    "1.3.6.1.4.1.4203.1.11.1",
)  # fmt: skip
PATIENCE = 20.0
AT_ONCE = 40
"""Requests on the way at a time: few enough that neither side waits for the other to read."""


class Ended(AssertionError):
    """The server closed the connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One LDAPMessage of the server."""

    number: int
    tag: int
    operation: bytes
    controls: bytes


class Ldap:
    """One connection. Whoever waits longer than `PATIENCE` seconds fails.

    With a `source` it is a load balancer's, for a client with that IPv4 address (PROXY protocol, version 1).
    """

    def __init__(self, port: int, tls: ssl.SSLContext | None = None, name: str = "", source: str = "") -> None:
        self.socket: socket.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.name = name or "localhost"
        if source:
            self.socket.sendall(f"PROXY TCP4 {source} 127.0.0.1 40000 {port}\r\n".encode())
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname=self.name)
        self._numbers = count(1)
        self._data = b""

    def close(self) -> None:
        """Say goodbye, if anybody is there."""
        try:
            self.send(ber.unbind())
        except OSError:
            pass
        finally:
            self.socket.close()

    def send(self, operation: bytes, *controls: bytes) -> int:
        """Send a request and return its number."""
        number = next(self._numbers)
        self.socket.sendall(ber.message(number, operation, *controls))
        return number

    def receive(self) -> Message:
        """The next message of the server. Raises Ended at its end."""
        while (end := ber.header(self._data, 0)[2]) > len(self._data):
            try:
                received = self.socket.recv(262_144)
            except ConnectionResetError:
                received = b""
            if not received:
                raise Ended(f"the server ended the connection after {self._data!r}")
            self._data += received
        data, self._data = self._data[:end], self._data[end:]
        ((tag, content),) = ber.elements(data)
        assert tag == ber.UNIVERSAL_SEQUENCE, f"no LDAPMessage: {data[:40].hex()}"
        (_, number), (tag, operation), *rest = ber.elements(content)
        return Message(
            number=int.from_bytes(number, "big"),
            tag=tag,
            operation=operation,
            controls=next((each for tag, each in rest if tag == 0xA0), b""),
        )

    def ask(self, operation: bytes, *controls: bytes) -> Answer:
        """Send a request and wait until it is answered."""
        number = self.send(operation, *controls)
        return self.answers([number])[number]

    def ask_all(self, operations: Sequence[bytes]) -> list[Answer]:
        """The answers to many requests, several on the way at a time."""
        todo, answered = iter(operations), []
        while batch := list(islice(todo, AT_ONCE)):
            numbers = [next(self._numbers) for _ in batch]
            self.socket.sendall(b"".join(map(ber.message, numbers, batch)))
            found = self.answers(numbers)
            answered += [found[number] for number in numbers]
        return answered

    def answers(self, numbers: Sequence[int]) -> dict[int, Answer]:
        """Wait until all of these requests are answered."""
        entries: dict[int, list[Entry]] = defaultdict(list)
        done: dict[int, Answer] = {}
        while len(done) < len(numbers):
            heard = self.receive()
            assert heard.number in numbers, f"an answer to {heard.number}, which isn't asked: {heard}"
            assert heard.number not in done, f"more after the end of {heard.number}: {heard}"
            if heard.tag == ber.ENTRY:
                entries[heard.number].append(ber.entry(heard.operation))
            else:
                done[heard.number] = ber.answer(heard.operation, heard.controls, entries[heard.number])
        return done

    def bind(self, name: str = "", password: str = "") -> Answer:
        """A simple bind."""
        return self.ask(ber.bind(name, password))

    def search(self, asked: Search, *controls: bytes) -> Answer:
        """A search."""
        return self.ask(asked.ber, *controls)

    def pages(self, asked: Search, size: int) -> Iterator[Answer]:
        """A search page by page (RFC 2696)."""
        cookie = b""
        while True:
            page = self.search(asked, ber.paged(size, cookie))
            yield page
            if page.code or not page.cookie:
                return
            cookie = page.cookie

    def who_am_i(self) -> str:
        """RFC 4532."""
        found = self.ask(ber.extended(WHO_AM_I))
        assert found.code == 0, found
        return (found.value or b"").decode()

    def start_tls(self, context: ssl.SSLContext) -> None:
        """RFC 4511 section 4.14."""
        found = self.ask(ber.extended(START_TLS))
        assert found.code == 0, found
        assert not self._data, "the server spoke on in clear"
        self.socket = context.wrap_socket(self.socket, server_hostname=self.name)


@contextmanager
def connected(
    port: int, bound: tuple[str, str] | None = None, tls: ssl.SSLContext | None = None, name: str = ""
) -> Iterator[Ldap]:
    """A connection, bound by name and password if there are any, which must be right."""
    client = Ldap(port, tls, name=name)
    try:
        if bound:
            found = client.bind(*bound)
            assert found.code == 0, found
        yield client
    finally:
        client.close()
