"""The demo application: a page with the identity headers that reached it. It knows nothing of Garrison."""

from collections.abc import Iterable
from html import escape
from pathlib import Path
from string import Template

PAGE = Template(Path(__file__).with_name("page.html").read_text())
PREFIX = "x-authentik-"
WHO = ("username", "name", "email", "groups", "entitlements", "uid")


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
