"""The end of every running program's log beside a failure. Import the hook into a folder's conftest."""

from collections.abc import Generator
from typing import Any

import pytest

from tests.support.peers_program import recent_logs


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    """Add the logs to the report of what failed."""
    report = yield
    if report.failed:
        report.sections += [(f"log of {name}", text) for name, text in recent_logs()]
    return report
