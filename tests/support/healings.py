"""What the fault tests measured, as a table at the end of the run: docs/operations.md has these figures.

They travel with a test's report, since the table is made by another process where several share the tests.
"""

from typing import Any

import pytest

HEALING = "healing"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was measured. Import this into the root's conftest: a process that runs no test reads no other."""
    reports = [
        each for found in terminalreporter.stats.values() for each in found if isinstance(each, pytest.TestReport)
    ]
    ends = [each for each in reports if each.when == "teardown"]
    healings: list[Any] = [value for each in ends for name, value in each.user_properties if name == HEALING]
    if not healings:
        return
    terminalreporter.section("faults: seconds from their end")
    heads = ("fault", "found by", "link", "change", "lock-out", "sign-out", "slowest check", "checks")
    row = "{:<38} {:<30} {:>6} {:>6} {:>8} {:>8} {:>13} {:>6}".format
    terminalreporter.write_line(row(*heads))
    for each in healings:
        found = ", ".join(f"{end} {seconds:.1f} s" for end, seconds in each["found"].items())
        spans = [f"{each[name]:.1f}" for name in ("link", "change", "lock_out", "sign_out")]
        terminalreporter.write_line(row(each["fault"], found, *spans, f"{1000 * each['worst']:.0f} ms", each["checks"]))
