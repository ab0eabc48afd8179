"""The demo application: a page with the identity headers that reached it. It knows nothing of Garrison.

The demo's reverse proxy shows the page itself; behind an outpost in mode proxy it is a server of its own.
"""

from collections.abc import Iterable
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from string import Template

from control.serve.unix_http import QuietMixIn

PAGE = Template(Path(__file__).with_name("page.html").read_text())
PREFIX = "x-authentik-"
WHO = ("username", "name", "email", "groups", "entitlements", "uid")
SIGN_OUT = "/outpost.goauthentik.io/sign_out"


def page(headers: Iterable[tuple[str, str]], sign_out: str) -> bytes:
    """The page for a request with these headers."""
    identity = sorted((each for each in headers if each[0].lower().startswith(PREFIX)), key=_rank)
    known = {name.lower(): value for name, value in identity}
    return PAGE.substitute(
        name=escape(known.get(f"{PREFIX}name") or known.get(f"{PREFIX}username") or "nobody"),
        rows="".join(map(_row, identity)),
        sign_out=escape(sign_out, quote=True),
    ).encode()


def _rank(header: tuple[str, str]) -> tuple[int, str]:
    """Who it is first, then what is known of the outpost, and the long token last."""
    name = header[0].lower().removeprefix(PREFIX)
    kinds = (name in WHO, name != "jwt" and not name.startswith("meta-"), name != "jwt")
    return kinds.index(True) if True in kinds else len(kinds), f"{WHO.index(name)}" if name in WHO else name


def _row(header: tuple[str, str]) -> str:
    name, value = header
    shown = escape(value) or "<i>empty</i>"
    return f"<tr><th>{escape(name)}</th><td>{shown}</td></tr>\n"


def make_server(listen: tuple[str, int]) -> ThreadingHTTPServer:
    """The page as a server at `listen`, for whoever asks."""
    return _Server(listen, _Handler)


class _Server(QuietMixIn, ThreadingHTTPServer):
    daemon_threads = True


class _Handler(BaseHTTPRequestHandler):
    """Any page is the page."""

    protocol_version = "HTTP/1.1"
    server_version = "demo"
    # Longer than an outpost keeps a connection that nobody uses.
    timeout = 120

    def do_GET(self) -> None:
        """Show who asks."""
        body = page(self.headers.items(), SIGN_OUT)
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Length", str(len(body)))
        if "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            # Nobody reads what it sends: it would pass for the next request.
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - the library's name

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Nothing: the outpost logs."""
