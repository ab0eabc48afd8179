"""The demo application: a page with the identity headers that reached it. It knows nothing of Garrison."""

from collections.abc import Iterable
from html import escape
from pathlib import Path
from string import Template

PAGE = Template(Path(__file__).with_name("page.html").read_text())
PREFIX = "x-authentik-"


def page(headers: Iterable[tuple[str, str]], sign_out: str) -> bytes:
    """The page for a request with these headers."""
    identity = sorted((name, value) for name, value in headers if name.lower().startswith(PREFIX))
    known = {name.lower(): value for name, value in identity}
    return PAGE.substitute(
        name=escape(known.get(f"{PREFIX}name") or known.get(f"{PREFIX}username") or "nobody"),
        rows="".join(map(_row, identity)),
        sign_out=escape(sign_out, quote=True),
    ).encode()


def _row(header: tuple[str, str]) -> str:
    name, value = header
    shown = escape(value) or "<i>empty</i>"
    return f"<tr><th>{escape(name)}</th><td>{shown}</td></tr>\n"
