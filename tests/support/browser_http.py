"""A visitor without JavaScript: follows redirects, keeps cookies by the rules, fills in forms as curl would.

Every host resolves to 127.0.0.1; TLS certificates are not checked, since these tests make their own.
"""

import http.client
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from http.cookiejar import CookieJar
from typing import Any
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

PAGE = {
    "Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
}
SCRIPT = {
    "Accept": "application/json",
    "Sec-Fetch-Mode": "cors",
    "Sec-Fetch-Dest": "empty",
    "X-Requested-With": "XMLHttpRequest",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A form with the values it came with."""

    action: str
    method: str
    fields: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Where the visitor ended up; `via` are the addresses that redirected."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    via: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    @property
    def query(self) -> dict[str, str]:
        """The query of the address, first values."""
        return {name: values[0] for name, values in parse_qs(urlsplit(self.url).query).items()}

    def form(self, *names: str) -> Form:
        """The form that has all these fields."""
        reader = _Forms(self.url)
        reader.feed(self.text)
        for form in reader.forms:
            if set(names) <= {name for name, _ in form.fields}:
                return form
        raise AssertionError(f"no form with {names} on {self.url} ({self.status}):\n{self.text[:3000]}")


class Visitor:
    """One browser profile."""

    def __init__(self) -> None:
        self.jar = CookieJar()
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPCookieProcessor(self.jar),
            _Http(),
            _Https(),
            _Stay(),
        )

    def cookies(self, host: str) -> dict[str, str]:
        """Names and values of the cookies held for a domain, its own and those of domains above it."""
        held = (cookie for cookie in self.jar if ("." + host).endswith("." + cookie.domain.lstrip(".")))
        return {cookie.name: cookie.value or "" for cookie in held}

    def get(self, url: str, headers: Mapping[str, str] = PAGE, follow: int = 15) -> Page:
        """Open an address and follow redirects; follow=0 shows the first answer."""
        return self._go(urllib.request.Request(url, headers=dict(headers)), follow)

    def post(
        self, url: str, fields: list[tuple[str, str]], headers: Mapping[str, str] = PAGE, follow: int = 15
    ) -> Page:
        """Send a form."""
        sent = {**headers, "Content-Type": "application/x-www-form-urlencoded", "Origin": origin(url), "Referer": url}
        return self._go(urllib.request.Request(url, data=urlencode(fields).encode(), headers=sent), follow)

    def submit(self, page: Page, fields: Mapping[str, str | list[str] | None], follow: int = 15) -> Page:
        """Fill in the form that has these fields and send it; None takes a field out, a list sends it repeatedly."""
        form = page.form(*(name for name, value in fields.items() if value is not None))
        kept = [(name, value) for name, value in form.fields if name not in fields]
        for name, value in fields.items():
            kept += [(name, one) for one in (value if isinstance(value, list) else [value]) if one is not None]
        assert form.method == "post", f"a form that changes something must be posted: {form}"
        return self.post(form.action, kept, follow=follow)

    def sign_in(self, url: str, username: str, password: str) -> Page:
        """Open an address that asks for a sign-in, sign in, and go where that leads."""
        page = self.get(url)
        return self.submit(page, {"username": username, "password": password})

    def _go(self, request: urllib.request.Request, follow: int) -> Page:
        page = self._open(request)
        while follow and page.status in (301, 302, 303, 307, 308):
            follow -= 1
            target = urljoin(page.url, page.headers["location"])
            page = self._next(page, target)
            assert follow or page.status // 100 != 3, "redirected without end: " + " -> ".join([*page.via, page.url])
        return page

    def _next(self, page: Page, target: str) -> Page:
        arrived = self._open(urllib.request.Request(target, headers=PAGE))
        return Page(
            url=arrived.url,
            status=arrived.status,
            headers=arrived.headers,
            body=arrived.body,
            via=(*page.via, page.url),
        )

    def _open(self, request: urllib.request.Request) -> Page:
        try:
            answer = self._opener.open(request, timeout=30)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            headers = {name.lower(): value for name, value in answer.headers.items()}
            return Page(url=request.full_url, status=answer.status, headers=headers, body=answer.read())


def links(page: Page) -> list[tuple[str, str]]:
    """(text, absolute address) of every link of a page."""
    reader = _Links()
    reader.feed(page.text)
    return [(" ".join(text.split()), urljoin(page.url, address)) for text, address in reader.links]


def origin(url: str) -> str:
    """Scheme, host and port of an address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


class _Loopback(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.create_connection(("127.0.0.1", self.port), self.timeout)


class _TlsLoopback(http.client.HTTPSConnection):
    def connect(self) -> None:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        plain = socket.create_connection(("127.0.0.1", self.port), self.timeout)
        self.sock = context.wrap_socket(plain, server_hostname=self.host)


class _Http(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(_Loopback, req)


class _Https(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(_TlsLoopback, req)


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_arguments: Any, **_named: Any) -> None:
        return None


class _Forms(HTMLParser):
    """Forms with what a browser would send if nothing were changed."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._url = url
        self._open: dict[str, str] | None = None
        self._fields: list[tuple[str, str]] = []
        self._text: tuple[str, list[str]] | None = None
        self._select: str | None = None
        self._options: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        match tag:
            case "form":
                self._open, self._fields = given, []
            case "input" if given.get("name") and self._open is not None:
                self._input(given)
            case "textarea" if given.get("name") and self._open is not None:
                self._text = (given["name"], [])
            case "select" if self._open is not None:
                self._select, self._options = given.get("name"), []
            case "option" if self._select:
                self._options.append((given.get("value", ""), "selected" in given))
            case _:
                pass

    def _input(self, given: dict[str, str]) -> None:
        kind = given.get("type", "text")
        if kind in ("checkbox", "radio"):
            if "checked" in given:
                self._fields.append((given["name"], given.get("value", "on")))
        elif kind not in ("submit", "button", "reset", "image", "file"):
            self._fields.append((given["name"], given.get("value", "")))

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text[1].append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._text is not None:
            name, parts = self._text
            self._fields.append((name, "".join(parts).removeprefix("\n")))
            self._text = None
        elif tag == "select" and self._select:
            chosen = [value for value, selected in self._options if selected] or [
                value for value, _ in self._options[:1]
            ]
            self._fields += [(self._select, value) for value in chosen]
            self._select = None
        elif tag == "form" and self._open is not None:
            action = urljoin(self._url, self._open.get("action") or self._url)
            method = self._open.get("method", "get").lower()
            self.forms.append(Form(action=action, method=method, fields=tuple(self._fields)))
            self._open = None


class _Links(HTMLParser):
    """Links with their text."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[tuple[str, str]] = []
        self._open: str | None = None
        self._text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self._open, self._text = dict(attrs).get("href"), ""

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._open is not None:
            self.links.append((self._text, self._open))
            self._open = None
