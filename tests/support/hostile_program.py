"""One worker of a proxy outpost without control, with an application behind, as a process of its own.

Run as `python -m tests.support.hostile_program SETTINGS`, which are JSON (see Settings). In the folder: `application`
is where the application listens, `ports` appears when HTTP and HTTPS are served, and `counts` tells what was counted to
who connects. The application is reached as control is by the front door, and where its port is said, in mode proxy for
the host app.test, all of which is open.
"""

import datetime as dt
import json
import secrets
import signal
import socket
import sys
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import gevent
from gevent import socket as gevent_socket
from gevent.event import Event

from dataplane.config import Certificate, Edit, ProxyMode, Resource, Upstream
from dataplane.io.self_signed import self_signed
from dataplane.protocols.proxy.server import LIMITS, ProxyServer, ProxySettings
from tests.dataplane.protocols.proxy.builders import OPTIONS, WIKI, Outpost, TableGate, session
from tests.support.peers_program import Program, eventually

BACKLOG = 4096
NOWHERE = Upstream(addresses=("http://127.0.0.1:9",))
OPEN = replace(
    WIKI,
    mode=ProxyMode.PROXY,
    external_host="http://app.test",
    internal_host="http://127.0.0.1:9",
    skip_path_regex=("^",),
    upstream=NOWHERE,
    certificate="certificate/c1",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where it works, whom it trusts, and what differs from the usual limits."""

    folder: str
    application: int = 0
    trusted: tuple[str, ...] = ("127.0.0.0/8",)
    limits: dict[str, Any] = field(default_factory=dict)


class Worker:
    """The process, as tests see it."""

    def __init__(self, settings: Settings) -> None:
        self._folder = Path(settings.folder)
        command = [sys.executable, "-m", "tests.support.hostile_program", json.dumps(asdict(settings))]
        self.program = Program("worker", command)
        text = eventually((self._folder / "ports").read_text, "the worker serves", alive=self.program)
        self.http, self.https = (int(word) for word in text.split())

    @property
    def counts(self) -> dict[str, int]:
        """Hits of limits, and `open` connections."""
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(10)
            asking.connect(str(self._folder / "counts"))
            data = b""
            while piece := asking.recv(65536):
                data += piece
        counts: dict[str, int] = json.loads(data)
        return counts


def signed_in() -> bytes:
    """The cookies of somebody who may use the application."""
    now = time.time()
    return Outpost(OPEN).cookie(session(authenticated=now - 60, expires=now + 3600)).encode()


def main(settings: Settings) -> int:
    """Serve until SIGTERM."""
    folder = Path(settings.folder)
    server = ProxyServer(
        ProxySettings(
            version="1",
            trusted_cidrs=tuple(settings.trusted),
            control_socket=str(folder / "application"),
            limits=replace(LIMITS, **settings.limits),
        ),
        TableGate(),
        time.time,
        secrets.token_bytes,
    )
    if settings.application:
        address = f"http://127.0.0.1:{settings.application}"
        provider = replace(OPEN, internal_host=address, upstream=Upstream(addresses=(address,)))
        chain, key = self_signed(dt.datetime.now(dt.UTC))
        certificate = Certificate(id="c1", name="app", chain=chain, private_key=key)
        changed: dict[str, Resource] = {"options": OPTIONS, "certificate/c1": certificate, "provider/p1": provider}
        prepared, refused = server.prepare(Edit(changed=changed))
        assert not refused, refused
        server.commit(prepared)
    ports = [_listen(server, tls=tls) for tls in (False, True)]
    gevent.spawn(_tell, server, folder / "counts")
    (folder / "ports.new").write_text(" ".join(map(str, ports)))
    (folder / "ports.new").rename(folder / "ports")
    ended = Event()
    gevent.signal_handler(signal.SIGTERM, ended.set)
    ended.wait()
    server.drain(0.1)
    return 0


def _listen(server: ProxyServer, *, tls: bool) -> int:
    listener = socket.create_server(("0.0.0.0", 0), backlog=BACKLOG)
    server.serve(listener, tls=tls)
    return int(listener.getsockname()[1])


def _tell(server: ProxyServer, path: Path) -> None:
    listener = gevent_socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(16)
    while True:
        peer, _ = listener.accept()
        hits = {
            each["labels"]["limit"]: each["value"]
            for each in server.metrics()["counters"]
            if each["name"] == "garrison_proxy_limits_total"
        }
        with peer:
            peer.sendall(json.dumps({"open": server.connections, **hits}).encode())


if __name__ == "__main__":
    sys.exit(main(Settings(**json.loads(sys.argv[1]))))
