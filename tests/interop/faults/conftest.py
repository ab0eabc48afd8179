"""What the fault tests share, and the table of what they measured at the end of the run."""

from collections.abc import Iterator

import pytest

from tests.interop.faults.stage import Healing, Stage, staged
from tests.support.garrison import short_folder

_healings: list[Healing] = []


@pytest.fixture(scope="session")
def healings() -> list[Healing]:
    """Where tests put their figures."""
    return _healings


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """An installation without edges."""
    with short_folder() as folder, staged(folder) as stage:
        yield stage


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was measured: docs/operations.md has these figures."""
    if not _healings:
        return
    terminalreporter.section("faults: seconds from their end")
    heads = ("fault", "found by", "link", "change", "lock-out", "sign-out", "slowest check", "checks")
    row = "{:<38} {:<30} {:>6} {:>6} {:>8} {:>8} {:>13} {:>6}".format
    terminalreporter.write_line(row(*heads))
    for each in _healings:
        found = ", ".join(f"{end} {seconds:.1f} s" for end, seconds in each.found.items())
        spans = [f"{seconds:.1f}" for seconds in (each.link, each.change, each.lock_out, each.sign_out)]
        terminalreporter.write_line(row(each.fault, found, *spans, f"{1000 * each.worst:.0f} ms", each.checks))
