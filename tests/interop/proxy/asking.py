"""How the tests ask at an application behind mode proxy: by curl, by a single request, or byte by byte."""

import os
import re
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPResponse

from tests.interop.proxy.world import ProxyWorld
from tests.support.peers import Seen, seen_by_application
from tests.support.peers_http import Answer, Headers, ask
from tests.support.peers_program import plain_environment, require
from tests.support.peers_sites import Site

BROWSER = ("Accept", "text/html")
PROGRAM = ("Accept", "application/json")


def authority(site: Site) -> str:
    """The Host header of an application."""
    return f"{site.host}:{site.port}"


def get(world: ProxyWorld, name: str, path: str = "/", *headers: tuple[str, str], method: str = "GET") -> Answer:
    """One request with alice's session."""
    return stranger(world, name, path, ("Cookie", world.cookies(name)), *headers, method=method)


def stranger(world: ProxyWorld, name: str, path: str = "/", *headers: tuple[str, str], method: str = "GET") -> Answer:
    """One request with these headers alone."""
    site = world.sites[name]
    tls = site.scheme == "https"
    return ask(site.port, path, host=authority(site), method=method, headers=headers, tls=tls)


def seen(world: ProxyWorld, name: str, path: str = "/", *headers: tuple[str, str]) -> Seen:
    """What the application received of alice's request."""
    answer = get(world, name, path, *headers)
    assert answer.status == 200, f"{answer.status}: {answer.text[:1000]}"
    return seen_by_application(answer.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What curl got: its exit code (0, or 18 for a transfer that broke off, ...), all heads, the body."""

    code: int
    heads: tuple[str, ...]
    body: bytes
    said: str

    @property
    def status(self) -> int:
        """Of the last head; 0 for none."""
        return int(self.heads[-1].split()[1]) if self.heads else 0

    def header(self, name: str) -> str:
        """The one value in the last head, "" where it is missing."""
        found = [line.partition(":")[2].strip() for line in self.heads[-1].splitlines() if _is(line, name)]
        assert len(found) <= 1, f"{name} came {len(found)} times:\n{self.heads[-1]}"
        return found[0] if found else ""

    @property
    def seen(self) -> Seen:
        """The request as an echoing application received it."""
        assert self.status == 200, f"{self}"
        return seen_by_application(self.body)


def _is(line: str, name: str) -> bool:
    return line.partition(":")[0].lower() == name.lower()


def curl(
    world: ProxyWorld, name: str, *arguments: str, path: str = "/", cookies: str | None = None, data: bytes = b""
) -> Reply:
    """curl with alice's session, or with other `cookies`; `data` is its standard input."""
    done = subprocess.run(
        curl_command(world, name, *arguments, path=path, cookies=cookies),
        input=data,
        capture_output=True,
        check=False,
        timeout=60,
        env=plain_environment(),
    )
    heads, body = _heads(done.stdout)
    return Reply(code=done.returncode, heads=heads, body=body, said=done.stderr.decode())


def curl_command(
    world: ProxyWorld, name: str, *arguments: str, path: str = "/", cookies: str | None = None
) -> Sequence[str]:
    """The command line; the answer's head comes before its body."""
    site = world.sites[name]
    held = world.cookies(name) if cookies is None else cookies
    return [
        require("curl", "curl"), "-sS", "-k", "-i", "--max-time", "50",
        "--resolve", f"{site.host}:{site.port}:127.0.0.1", *(("-H", f"Cookie: {held}") if held else ()),
        *arguments, site.url + path,
    ]  # fmt: skip


def _heads(output: bytes) -> tuple[tuple[str, ...], bytes]:
    heads = []
    while match := re.match(rb"HTTP/1\.[01] .*?\r\n\r\n", output, re.DOTALL):
        heads.append(match[0].decode("latin-1"))
        output = output[match.end() :]
    return tuple(heads), output


@contextmanager
def wire(world: ProxyWorld, within: float = 10.0) -> Iterator[socket.socket]:
    """A connection to the outpost's plain port; it ends with the block, whatever still reads from it."""
    connection = socket.create_connection(("127.0.0.1", world.outpost.http), timeout=within)
    try:
        yield connection
    finally:
        os.close(connection.detach())


def request(world: ProxyWorld, name: str, line: str, *headers: tuple[str, str], cookies: str | None = None) -> bytes:
    """The head of a request with a session, as bytes."""
    held = world.cookies(name) if cookies is None else cookies
    fields: Headers = (("Host", authority(world.sites[name])), *((("Cookie", held),) if held else ()), *headers)
    return "\r\n".join([line, *(f"{field}: {value}" for field, value in fields), "", ""]).encode("latin-1")


def response(connection: socket.socket, method: str = "GET") -> HTTPResponse:
    """The head of the next answer on a connection; the caller reads the body."""
    answer = HTTPResponse(connection, method=method)
    answer.begin()
    return answer
