"""A browser without JavaScript for tests: it keeps cookies, reads forms from pages and posts their fields back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, partial
from html.parser import HTMLParser

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jinja2.bccache import Bucket, BytecodeCache
from prometheus_client import CollectorRegistry
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from control.store import Store
from control.web import WebSettings, create_app

URL = "http://localhost"


class _Compiled(BytecodeCache):
    """Templates as one process of tests has compiled them: that takes longer than most of these tests."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self._kept:
            bucket.bytecode_from_string(self._kept[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key] = bucket.bytecode_to_string()


_COMPILED = _Compiled()


class _Rule(Rule):
    """A rule that is compiled when an address is first made of it: an app has a hundred, and a test few of them."""

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        made = cache(partial(super()._compile_builder, append_unknown))

        def build(rule: Rule, **values: object) -> tuple[str, str]:
            return made()(rule, **values)

        return build


def make_app(store: Store, clock: Callable[[], datetime], **settings: object) -> Flask:
    """The whole app on a test store; CSRF stays on."""
    values = {"url": URL, "secret_key": b"w" * 32, "version": "0.1.0", **settings}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Flask, "url_rule_class", _Rule)
        app = create_app(WebSettings(**values), store, clock, CollectorRegistry())  # type: ignore[arg-type] # by keyword
    app.testing = True
    app.jinja_env.bytecode_cache = _COMPILED
    return app


@dataclass
class FoundForm:
    """A form on a page: where it posts to, and its fields as a browser would send them untouched."""

    action: str
    fields: dict[str, list[str]] = field(default_factory=dict)


class _Forms(HTMLParser):
    """Collects the forms of a page with the values their controls hold."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[FoundForm] = []
        self._open: FoundForm | None = None
        self._select = ""
        self._textarea = ""
        self._text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form" and values.get("method", "get").lower() == "post":
            self._open = FoundForm(values.get("action", ""))
            self.forms.append(self._open)
        if self._open is None:
            return
        match tag:
            case "input":
                self._input(values, self._open)
            case "select":
                self._select = values.get("name", "")
            case "option" if self._select and ("selected" in values or self._select not in self._open.fields):
                self._open.fields[self._select] = [values.get("value", "")]
            case "textarea":
                self._textarea, self._text = values.get("name", ""), []
            case _:
                pass

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None
        elif tag == "select":
            self._select = ""
        elif tag == "textarea" and self._open is not None:
            text = "".join(self._text)
            self._open.fields[self._textarea] = [text.removeprefix("\r\n").removeprefix("\n")]
            self._textarea = ""

    def handle_data(self, data: str) -> None:
        if self._textarea:
            self._text.append(data)

    def _input(self, values: Mapping[str, str], form: FoundForm) -> None:
        name, kind = values.get("name", ""), values.get("type", "text")
        ticked = "checked" in values or kind not in {"checkbox", "radio"}
        if name and ticked and kind not in {"submit", "button", "file"}:
            form.fields.setdefault(name, []).append(values.get("value", "on"))


def forms_of(page: str) -> list[FoundForm]:
    """Every posting form of a page."""
    parser = _Forms()
    parser.feed(page)
    return parser.forms


class Browser:
    """Gets pages, fills their forms in, posts them."""

    def __init__(self, app: Flask) -> None:
        self.client: FlaskClient = app.test_client()

    def get(self, url: str, **headers: str) -> TestResponse:
        """One page to its end, redirects not followed."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.get(url, headers=sent, buffered=True)

    def form(self, url: str, action: str | None = None) -> FoundForm:
        """The form of the page at `url` that posts to `action` (default: to the page itself)."""
        page = self.get(url)
        assert page.status_code == 200, (url, page.status_code)
        wanted = url if action is None else action
        found = [form for form in forms_of(page.text) if (form.action or url) == wanted]
        assert found, (wanted, [form.action for form in forms_of(page.text)])
        return found[-1]

    def submit(self, url: str, action: str | None = None, /, **fields: object) -> TestResponse:
        """Post the form of a page with `fields` changed; a list is sent as several values, None leaves a field out."""
        form = self.form(url, action)
        sent: dict[str, object] = {**form.fields, **fields}
        data = {name: value for name, value in sent.items() if value is not None}
        return self.client.post(form.action or url, data=data)

    def sign_in(self, username: str, password: str) -> TestResponse:
        """Through the sign-in form."""
        return self.submit("/sign-in", username=username, password=password)
