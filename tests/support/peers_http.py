"""HTTP as raw as a test needs it: one request with exactly these headers, one answer with all of its own.

No client library: they normalise paths, join headers and refuse the malformed, which is what these tests are about.
"""

import contextlib
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A response as it came."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def all(self, name: str) -> list[str]:
        """Every value of a header."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name: str) -> str:
        """The one value of a header, "" when it is missing."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} came {len(values)} times: {values}"
        return values[0] if values else ""

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")


def ask(  # noqa: PLR0913 - what a request line and its headers are made of, and nothing else
    port: int, target: str, *, host: str = "127.0.0.1", method: str = "GET", headers: Headers = (), tls: bool = False
) -> Answer:
    """One request without a body to 127.0.0.1; `headers` follow Host as given."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers)]
    if not any(name.lower() == "connection" for name, _ in headers):
        lines.append("Connection: close")
    return send(port, "\r\n".join([*lines, "", ""]).encode("latin-1"), method, tls=tls)


def send(port: int, request: bytes, method: str = "GET", *, tls: bool = False) -> Answer:
    """These very bytes, and the first answer to them."""
    with _connect(port, tls=tls) as connection:
        connection.sendall(request)
        response = HTTPResponse(connection, method=method)
        with contextlib.closing(response):
            try:
                response.begin()
            except HTTPException as error:
                raise ConnectionError(f"no HTTP answer from port {port}: {error!r}") from error
            return Answer(status=response.status, headers=tuple(response.getheaders()), body=response.read())


def _connect(port: int, *, tls: bool) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    if not tls:
        return connection
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(connection)
