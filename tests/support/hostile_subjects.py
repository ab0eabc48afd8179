"""Who reads hostile bytes: our worker and other people's proxies, each before a recorder of its own.

A subject gets bytes on a connection of their own. They end with a request that nothing is wrong with: it shows where
the message before it ends for the subject, and closes the connection.
"""

import contextlib
import re
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.support.hostile_corpus import HOST
from tests.support.hostile_program import Settings, Worker, signed_in
from tests.support.hostile_recorder import Malformed, Recorded, Recorder
from tests.support.peers import await_ports, start_caddy, start_nginx
from tests.support.peers_program import Program, free_port, require

LAST = b"GET /last HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n"
STRANGERS = ("192.0.2.0/24",)
"""Whom our worker trusts: nobody who is there."""
PATIENCE = 0.3
"""Seconds for a subject that waits for more, or says nothing to what it refuses."""
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3}) ")
_INTERIM = 200

NGINX = """
    server {{
        listen 127.0.0.1:{port};
        client_max_body_size 0;
        location / {{
            proxy_pass http://127.0.0.1:{application};
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Connection "";
        }}
    }}
"""
HAPROXY = """
global
    log stderr local0 notice
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
listen subject
    bind 127.0.0.1:{port}
    server application 127.0.0.1:{application}
"""
CADDY = """
http://:{port} {{
    bind 127.0.0.1
    reverse_proxy 127.0.0.1:{application}
}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a subject made of some bytes."""

    requests: tuple[Recorded | Malformed, ...]
    """What reached the application, but for the last request."""
    reached_last: bool
    statuses: tuple[int, ...]
    """Final ones, of all answers."""
    ended: bool
    """Whether it has closed the connection in time."""

    @property
    def forwarded(self) -> list[Recorded]:
        """The requests; malformed ones are not to be looked for here."""
        return [request for request in self.requests if isinstance(request, Recorded)]


class Subject:
    """A proxy that serves, and what is behind it."""

    def __init__(
        self, name: str, port: int, recorder: Recorder, stop: Callable[[], object], credentials: bytes = b""
    ) -> None:
        self.name = name
        self.port = port
        self.recorder = recorder
        self._stop = stop
        self._host = HOST + credentials

    def ask(self, raw: bytes) -> Outcome:
        """Send this and the last request; read whatever comes."""
        self.recorder.take()
        answers, ended = _exchange(self.port, raw.replace(HOST, self._host, 1) + LAST)
        seen = [each for each in self.recorder.take() if not (isinstance(each, Recorded) and each.target == "/another")]
        last = [request for request in seen if isinstance(request, Recorded) and request.target == "/last"]
        return Outcome(
            requests=tuple(request for request in seen if request not in last),
            reached_last=bool(last),
            statuses=tuple(status for status in map(int, _STATUS.findall(answers)) if status >= _INTERIM),
            ended=ended,
        )

    def close(self) -> None:
        """End it, then what is behind it."""
        self._stop()
        self.recorder.close()


def _exchange(port: int, raw: bytes) -> tuple[bytes, bool]:
    """All answers, and whether the connection was closed. Who is silent is so after somebody else was answered, too."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as peer:
        answers, silent, deadline = b"", False, time.monotonic() + 30
        with contextlib.suppress(ConnectionError):  # refused already: what it said may still be read
            peer.sendall(raw)
        while time.monotonic() < deadline:
            try:
                data = peer.recv(65536)
            except TimeoutError:
                if silent:
                    return answers, False
                _ask_another(port)
                silent = True
                continue
            except ConnectionError:
                return answers, True
            if not data:
                return answers, True
            answers, silent = answers + data, False
    return answers, False


def _ask_another(port: int) -> None:
    """Ask on a connection of its own, and wait for the answer: whoever is that slow was not silent before."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as peer:
        peer.sendall(LAST.replace(b"/last", b"/another"))
        while peer.recv(65536):
            pass


def ours(folder: Path) -> Subject:
    """Our worker in mode proxy, asked by somebody who is signed in.

    Hosts other than the application's go through the front door to the same recorder.
    """
    recorder = Recorder(folder / "application")
    worker = Worker(Settings(folder=str(folder), application=recorder.port, trusted=STRANGERS))
    return Subject("ours", worker.http, recorder, worker.program.stop, b"Cookie: %s\r\n" % signed_in())


def front(folder: Path) -> Subject:
    """Our worker as a front door alone."""
    recorder = Recorder(folder / "application")
    worker = Worker(Settings(folder=str(folder), trusted=STRANGERS))
    return Subject("front", worker.http, recorder, worker.program.stop)


def nginx(folder: Path) -> Subject:
    """nginx from Debian."""
    recorder, port = Recorder(), free_port()
    program = start_nginx(folder, NGINX.format(port=port, application=recorder.port), [port])
    return Subject("nginx", port, recorder, program.stop)


def haproxy(folder: Path) -> Subject:
    """HAProxy from Debian: the strict one."""
    recorder, port = Recorder(), free_port()
    config = folder / "haproxy.cfg"
    config.write_text(HAPROXY.format(port=port, application=recorder.port))
    program = Program("haproxy", [require("haproxy", "haproxy"), "-db", "-f", str(config)])
    await_ports(program, [port])
    return Subject("haproxy", port, recorder, program.kill)


def caddy(folder: Path) -> Subject:
    """Caddy from Debian."""
    recorder, port = Recorder(), free_port()
    program = start_caddy(folder, CADDY.format(port=port, application=recorder.port), [port])
    return Subject("caddy", port, recorder, program.stop)


class Row:
    """All subjects, each asked the same at the same time."""

    def __init__(self, folder: Path) -> None:
        self._subjects = []
        for make in (ours, front, nginx, haproxy, caddy):
            (folder / make.__name__).mkdir()
            self._subjects.append(make(folder / make.__name__))
        self._pool = ThreadPoolExecutor(len(self._subjects))

    def ask(self, raw: bytes) -> dict[str, Outcome]:
        """What each made of it."""
        answers = self._pool.map(lambda subject: subject.ask(raw), self._subjects)
        return dict(zip([subject.name for subject in self._subjects], answers, strict=True))

    def ask_us(self, raw: bytes) -> list[Outcome]:
        """What we alone made of it, in mode proxy and as a front door."""
        return [subject.ask(raw) for subject in self._subjects[:2]]

    def close(self) -> None:
        """End all."""
        self._pool.shutdown()
        for subject in self._subjects:
            subject.close()
