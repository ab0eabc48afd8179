"""Chromium, driven by Playwright, and what it must never see on our pages.

Every *.example.test resolves to 127.0.0.1 and nothing else resolves at all. A `Watch` keeps each console error,
uncaught exception, refusal by the Content-Security-Policy and request to an origin that the test did not name.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright

from tests.support.peers_program import require

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP *.example.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
PHONE = {"width": 390, "height": 844}
PATIENCE = 30_000
"""Milliseconds: longer than a loaded machine may need."""

LOADING = "loading"
IS_LOADING = """{
    query: (root) => document.readyState === "complete" ? null : document.children[0] ?? null,
    queryAll: (root) => document.readyState === "complete" ? [] : [...document.children],
}"""
"""Of the whole document, whatever it is asked for; at first a document has no element, not even one that is null."""

expect.set_options(timeout=PATIENCE)


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without profile; contexts are profiles."""
    with sync_playwright() as playwright:
        playwright.selectors.register(LOADING, IS_LOADING, content_script=True)
        browser = playwright.chromium.launch(
            executable_path=require("chromium", "chromium"), args=list(ARGUMENTS), timeout=60_000
        )
        yield browser
        browser.close()


def be_patient(context: BrowserContext) -> None:
    """Whoever acts on a page, or looks for something on it, waits until it is loaded, as people do.

    A link that is pressed before the script is there leads to a whole page and not to a modal, which is as good, but
    not what a test goes on with.
    """
    context.on("page", lambda page: page.add_locator_handler(page.locator(f"{LOADING}=page"), lambda _: None))


@dataclass
class Watch:
    """What went wrong on the pages of a context; `hosts` are the names it may talk to."""

    hosts: frozenset[str]
    wrong: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def page(self, page: Page) -> None:
        """Keep what a page says."""
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.wrong.append(f"exception on {page.url}: {error}"))
        page.on("request", self._request)

    def expects(self, *texts: str) -> None:
        """Console errors with these parts belong to what the test does."""
        self.expected += texts

    def check(self) -> None:
        """Fail on anything kept."""
        assert self.wrong == [], "\n".join(self.wrong)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(text in message.text for text in self.expected):
            self.wrong.append(f"console {message.type} on {message.page.url if message.page else '?'}: {message.text}")

    def _request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob", "about") and parts.hostname not in self.hosts:
            self.wrong.append(f"a request to a foreign origin: {request.url}")


@contextmanager
def profile(browser: Browser, hosts: Iterable[str], **options: Any) -> Iterator[tuple[BrowserContext, Watch]]:
    """A fresh browser profile under watch; the watch is checked at the end."""
    settings: Mapping[str, Any] = {"ignore_https_errors": True, "viewport": {"width": 1280, "height": 800}, **options}
    context = browser.new_context(**settings)
    context.set_default_timeout(PATIENCE)
    be_patient(context)
    watch = Watch(hosts=frozenset(hosts))
    context.on("page", watch.page)
    try:
        yield context, watch
        watch.check()
    finally:
        context.close()


def pasted(page: Page) -> str:
    """What is in the clipboard, as a person finds out: over plain HTTP there is no navigator.clipboard."""
    page.evaluate("document.body.append(Object.assign(document.createElement('textarea'), {id: 'pasted'}))")
    page.locator("#pasted").focus()
    page.keyboard.press("Control+V")
    text = page.locator("#pasted").input_value()
    page.locator("#pasted").evaluate("element => element.remove()")
    return text
