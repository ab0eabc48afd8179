"""Fixtures of the browser tests: one Chromium, one installation, a fresh profile a test."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from tests.e2e.stage import Stage, build
from tests.support.browser import Watch, chromium, profile
from tests.support.garrison import short_folder
from tests.support.peers_report import pytest_runtest_makereport

__all__ = ["page", "pytest_runtest_makereport", "stage", "watch", "watched"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium. While it runs so does Playwright's event loop, and no test of another folder could have its own."""
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    """The shared installation."""
    with short_folder() as folder:
        stage = build(folder)
        yield stage
        stage.close()


@pytest.fixture
def watched(browser: Browser, stage: Stage) -> Iterator[tuple[Page, Watch]]:
    """A page in a fresh profile, and what must not happen on it."""
    with profile(browser, stage.hosts, permissions=["clipboard-read", "clipboard-write"]) as (context, watch):
        yield context.new_page(), watch


@pytest.fixture
def page(watched: tuple[Page, Watch]) -> Page:
    """The page alone."""
    return watched[0]


@pytest.fixture
def watch(watched: tuple[Page, Watch]) -> Watch:
    """What must not happen."""
    return watched[1]
