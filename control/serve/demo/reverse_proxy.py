"""The demo's reverse proxy: before each request it asks the outpost, as nginx does with `auth_request`.

2xx: the request goes on with the identity headers of the answer. 401: the browser is sent to sign in. Anything else
is the answer. What begins with /outpost.goauthentik.io/ goes to the outpost itself. Identity headers that a client
sends are dropped.
"""

import http.client
from collections.abc import Iterable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, urlsplit

from control.serve.demo.application import PREFIX, SIGN_OUT, page
from control.serve.unix_http import QuietMixIn

OUTPOST = "/outpost.goauthentik.io"
UPSTREAM_SECONDS = 30
MOST_BODY = 1024 * 1024
# RFC 9110 section 7.6.1: of one connection only, never passed on.
HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization"}
    | {"te", "trailer", "transfer-encoding", "upgrade"}
)

Headers = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """A response as a whole."""

    status: int
    headers: Headers
    body: bytes


class Handler(BaseHTTPRequestHandler):
    """One client connection."""

    protocol_version = "HTTP/1.1"
    server_version = "demo"
    timeout = 60
    outpost: tuple[str, int]

    def do_GET(self) -> None:
        """Guard, then answer."""
        if not self._is_understood():
            self._answer(Answer(400, [], b"the demo takes plain requests only\n"))
        elif self.path == OUTPOST or self.path.startswith(f"{OUTPOST}/"):
            self._answer(self._ask(self.path, self._forwarded(), self._body()))
        else:
            self._guard()

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_GET  # noqa: N815 - the library's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Nothing: the outpost logs."""

    def _is_understood(self) -> bool:
        """No body of unknown or doubtful length, an origin-form target, one host."""
        lengths, hosts = self.headers.get_all("Content-Length", []), self.headers.get_all("Host", [])
        sized = not lengths or (len(lengths) == 1 and lengths[0].isdigit() and int(lengths[0]) <= MOST_BODY)
        return sized and "Transfer-Encoding" not in self.headers and self.path.startswith("/") and len(hosts) == 1

    def _guard(self) -> None:
        self._body()
        url = f"http://{self.headers['Host']}{self.path}"
        verdict = self._ask(f"{OUTPOST}/auth/nginx", [*self._forwarded(), ("X-Original-URL", url)])
        cookies = [header for header in verdict.headers if header[0].lower() == "set-cookie"]
        if verdict.status == 401:  # noqa: PLR2004 - Unauthorized
            start = f"{OUTPOST}/start?rd={quote(url, safe='')}"
            self._answer(Answer(302, [*cookies, ("Location", start)], b""))
        elif verdict.status // 100 == 2:  # noqa: PLR2004 - any success
            self._answer(Answer(200, [*cookies, *_HTML], page(verdict.headers, SIGN_OUT)))
        else:
            self._answer(verdict)

    def _forwarded(self) -> Headers:
        """The client's headers, and where it asked, as a reverse proxy tells it."""
        dropped = {"x-original-url", "x-original-uri", "forwarded", "content-length"}
        kept = [
            header for header in self.headers.items() if not _is_managed(header[0]) and header[0].lower() not in dropped
        ]
        host = self.headers["Host"]
        told = {"X-Forwarded-Proto": "http", "X-Forwarded-Host": host, "X-Forwarded-For": self.client_address[0]}
        return [*kept, *told.items()]

    def _ask(self, target: str, headers: Headers, body: bytes | None = None) -> Answer:
        """What the outpost answers; without a body of the client's, a GET as auth_request sends it."""
        connection = http.client.HTTPConnection(*self.outpost, timeout=UPSTREAM_SECONDS)
        method = "GET" if body is None else self.command
        try:
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in [*headers, ("Content-Length", str(len(body or b"")))]:
                connection.putheader(name, value)
            connection.endheaders(body or None)
            got = connection.getresponse()
            return Answer(got.status, _end_to_end(got.getheaders()), got.read())
        except (OSError, http.client.HTTPException):
            return Answer(502, [("Content-Type", "text/plain")], b"the outpost can't be reached\n")
        finally:
            connection.close()

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", "0")))

    def _answer(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        if answer.status != 204:  # noqa: PLR2004 - it has no body, RFC 9110 section 8.6
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)


_HTML: Headers = [("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "no-store")]


def make_server(listen: tuple[str, int], outpost: str) -> ThreadingHTTPServer:
    """A server at `listen` before the outpost at `outpost` (HOST:PORT)."""
    parts = urlsplit(f"//{outpost}")

    class Demo(Handler):
        outpost = (parts.hostname or "", parts.port or 80)

    class Server(QuietMixIn, ThreadingHTTPServer):
        daemon_threads = True

    return Server(listen, Demo)


def _is_managed(name: str) -> bool:
    lowered = name.lower().replace("_", "-")
    return lowered in HOP_BY_HOP or lowered.startswith((PREFIX, "x-forwarded-", "x-real-ip"))


def _end_to_end(headers: Iterable[tuple[str, str]]) -> Headers:
    dropped = HOP_BY_HOP | {"content-length", "date", "server"}
    return [(name, value) for name, value in headers if name.lower() not in dropped]
