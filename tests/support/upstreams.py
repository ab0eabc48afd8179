"""Applications of all kinds for an outpost in mode proxy: servers of other people, and one that does what a test says.

Each `start_*` gives a running program that accepts connections; ports are the caller's.
"""

import socket
import ssl
import struct
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve
from websockets.typing import Subprotocol

from tests.support.fake_authority import Authority, Pair
from tests.support.garrison_docs import ROOT
from tests.support.peers_program import Program, eventually, free_port, require

NODE_MODULES = ROOT / "scripts" / "tools" / "node_modules"
WS_PEER = Path(__file__).with_name("ws_peer.cjs")
APACHE_MODULES = ("mpm_event", "authz_core", "mime", "dir", "headers", "ssl", "filter", "deflate", "alias", "rewrite")
APACHE = """
ServerRoot {folder}
ServerName localhost
User www-data
Group www-data
PidFile {folder}/pid
DefaultRuntimeDir {folder}
Mutex posixsem
ErrorLog /dev/stderr
LogLevel warn
DocumentRoot {folder}/pages
AllowEncodedSlashes NoDecode
TypesConfig /dev/null
AddType text/plain .txt
AddOutputFilterByType DEFLATE text/plain
KeepAlive On
MaxKeepAliveRequests 0
{modules}
Listen 127.0.0.1:{port}
Header always set X-Application apache
{servers}
"""
APACHE_TLS = """
Listen 127.0.0.1:{port}
<VirtualHost 127.0.0.1:{port}>
    ServerName app.internal.test
    SSLEngine on
    SSLCertificateFile {certificate}
    SSLCertificateKeyFile {key}
    {client}
    Header always set X-Client-Certificate "expr=%{{SSL_CLIENT_S_DN_CN}}"
    Header always set X-Server-Name "expr=%{{SSL:SSL_TLS_SNI}}"
</VirtualHost>
"""


def accepts(port: int) -> bool:
    """Whether somebody listens there. Raises OSError."""
    socket.create_connection(("127.0.0.1", port), timeout=1).close()
    return True


def ready(program: Program, *ports: int) -> Program:
    """Wait until it listens."""
    for port in ports:
        eventually(partial(accepts, port), f"{program.name} listens on {port}", alive=program)
    return program


def start_gunicorn(folder: Path, port: int, path: Path | None = None) -> Program:
    """gunicorn with the application of upstream_wsgi, on a port and, if given, a socket's path."""
    folder.mkdir(parents=True, exist_ok=True)
    binds = [f"127.0.0.1:{port}", *([f"unix:{path}"] if path else [])]
    command = [
        sys.executable, "-m", "gunicorn", "--worker-class", "gthread", "--workers", "1", "--threads", "16",
        "--keep-alive", "30", "--worker-tmp-dir", str(folder), "--no-control-socket", "--limit-request-field_size", "0",
        *(word for bind in binds for word in ("--bind", bind)), "tests.support.upstream_wsgi:application",
    ]  # fmt: skip
    return ready(Program("gunicorn", command, {"PYTHONPATH": str(ROOT)}), port)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApacheTls:
    """A port of Apache with TLS; `client` is the CA whose certificates it wants to see."""

    port: int
    pair: Pair
    client: Authority | None = None


def start_apache(folder: Path, port: int, secure: Sequence[ApacheTls] = ()) -> Program:
    """Apache with static pages below `folder`/pages, plain and over TLS."""
    (folder / "pages").mkdir(parents=True)
    servers = "".join(_apache_tls(folder, each) for each in secure)
    modules = "\n".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in APACHE_MODULES)
    config = folder / "apache.conf"
    config.write_text(APACHE.format(folder=folder, port=port, modules=modules, servers=servers))
    command = [require("apache2", "apache2-bin"), "-D", "FOREGROUND", "-f", str(config)]
    return ready(Program("apache", command), port)


def _apache_tls(folder: Path, each: ApacheTls) -> str:
    certificate, key = folder / f"{each.port}.pem", folder / f"{each.port}.key"
    certificate.write_text(each.pair.certificate)
    key.write_text(each.pair.key)
    client = ""
    if each.client:
        authority = folder / f"{each.port}.ca"
        authority.write_text(each.client.pem)
        client = f"SSLVerifyClient require\n    SSLCACertificateFile {authority}"
    return APACHE_TLS.format(port=each.port, certificate=certificate, key=key, client=client)


def node(*arguments: str) -> list[str]:
    """The command line of the WebSocket peer in Node."""
    return [require("node", "nodejs"), str(WS_PEER), *arguments]


NODE_ENVIRONMENT = {"NODE_PATH": str(NODE_MODULES)}


def start_ws(port: int) -> Program:
    """Node's `ws` as a server that echoes."""
    return ready(Program("ws", node("server", str(port)), NODE_ENVIRONMENT), port)


def _select(connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    del connection
    return next((each for each in offered if each == "garrison"), None)


class WebSockets:
    """Python's `websockets` as a server that echoes, in a thread of the test; `closed` are the codes it was told.

    `close:CODE:REASON` has it close like that, `flood` has it send a mebibyte after the other until it is closed.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.port = free_port()
        self.closed: list[tuple[int | None, str | None]] = []
        self._server = serve(
            self._echo,
            "127.0.0.1",
            self.port,
            select_subprotocol=_select,
            max_size=None,
            ping_interval=None,
            ssl=tls,
        )
        self._thread = threading.Thread(target=self._server.serve_forever, name="websockets", daemon=True)
        self._thread.start()

    def _echo(self, connection: ServerConnection) -> None:
        with suppress(ConnectionClosed):
            for message in connection:
                if isinstance(message, str) and message.startswith("close:"):
                    _, code, reason = message.split(":", 2)
                    connection.close(int(code), reason)
                elif message == "flood":
                    while True:
                        connection.send(bytes(1 << 20))
                else:
                    connection.send(message)
        self.closed.append((connection.close_code, connection.close_reason))

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._thread.join(5)


@dataclass
class Call:
    """One request at a scripted application, its head read and its body not."""

    head: bytes
    connection: socket.socket
    rest: bytes = b""

    @property
    def line(self) -> str:
        """The request line."""
        return self.head.split(b"\r\n", 1)[0].decode("latin-1")

    def header(self, name: str) -> str:
        """The one value of a header, "" where there is none."""
        found = [
            value.strip().decode("latin-1")
            for key, _, value in (line.partition(b":") for line in self.head.split(b"\r\n")[1:])
            if key.strip().lower() == name.lower().encode()
        ]
        assert len(found) <= 1, f"{name} came {len(found)} times"
        return found[0] if found else ""

    def send(self, data: bytes) -> None:
        """These very bytes."""
        self.connection.sendall(data)

    def answer(self, body: bytes, *headers: str, status: str = "200 OK") -> None:
        """A whole answer of known length."""
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
        self.send("\r\n".join(lines).encode() + body)

    def read(self, size: int) -> bytes:
        """So many bytes of the body, or fewer where it breaks off."""
        got = bytearray(self.rest)
        while len(got) < size and (piece := self.connection.recv(65536)):
            got += piece
        self.rest = bytes(got[size:])
        return bytes(got[:size])

    def ended(self, within: float = 5.0) -> bool:
        """Whether the other side has ended the connection by then."""
        self.connection.settimeout(within)
        try:
            return self.connection.recv(1) == b""
        except ConnectionError:
            return True
        except TimeoutError:
            return False

    def reset(self) -> None:
        """Tear the connection."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


@dataclass
class Scripted:
    """An application that does what the test says: `answer` is called with each request, in a thread of its own.

    The connection is kept for the next request as long as the answer leaves it open. `calls` are all requests' lines.
    """

    answer: Callable[[Call], object] = lambda call: call.answer(b"well")
    port: int = field(default_factory=free_port)
    calls: list[str] = field(default_factory=list)
    connections: int = 0
    _listener: socket.socket | None = None
    _open: set[socket.socket] = field(default_factory=set)

    def start(self) -> "Scripted":
        """Listen."""
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        threading.Thread(target=self._accept, args=(self._listener,), name="scripted", daemon=True).start()
        return self

    def stop(self) -> None:
        """Refuse connections from now on, and end those that are open."""
        if self._listener is not None:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        self._open.add(connection)
        with suppress(OSError), connection:
            rest = b""
            while call := _next_call(connection, rest):
                self.calls.append(call.line)
                self.answer(call)
                rest = call.rest
        self._open.discard(connection)


def _next_call(connection: socket.socket, data: bytes) -> Call | None:
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return None
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    return Call(head=head, connection=connection, rest=rest)
