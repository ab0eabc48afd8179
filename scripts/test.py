"""`make test`: the tests in three parts, each in its own pytest, and one line at the end that sums them up.

`core` needs nothing but Python, and runs in four processes: on two cores that is a quarter faster than in two, since
some wait for clocks and for others. `databases` are tests of the core once more, on PostgreSQL, and run as those do.
`interop` drives programs that nobody here wrote, in a few lanes however many cores there are,
because mostly one waits for the other; tests/support/lanes.py says what may meet. These two install their peers first
(scripts/peers.py). A part that can't run, or finds no test, fails.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from scripts import peers
from scripts.tree import ROOT

PARTS = {
    "core": ("-m", "not interop", "--numprocesses=4"),
    "databases": ("-m", "interop and postgresql", "--numprocesses=4"),
    "interop": (
        *("-m", "interop and not postgresql", "--numprocesses=4", "--dist=loadscope", "--no-loadscope-reorder"),
        # A test that takes longer takes the whole process with it, on a busy machine, too.
        "--timeout=400",
    ),
}
# Where tests of a part are, if not anywhere: each process reads all that it is shown, many seconds for all there is.
FOLDERS = {
    "databases": ("tests/control",),
    "interop": (
        "tests/control/integrations/docker",
        "tests/control/store",
        "tests/control/test_settings.py",
        "tests/control/web/frontend",
        "tests/control/web/providers",
        "tests/e2e",
        "tests/interop",
    ),
}
NO_TESTS = 5  # pytest's exit code


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How the tests of one run went."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            passed=self.passed + other.passed,
            failed=self.failed + other.failed,
            skipped=self.skipped + other.skipped,
        )

    def __str__(self) -> str:
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"


def tally(report: str) -> Tally:
    """Read pytest's JUnit report. An error in a fixture or a file that can't be read is a failure."""
    suites = [suite.attrib for suite in ET.fromstring(report).iter("testsuite")]  # noqa: S314  pytest has just written it
    count = {key: sum(int(suite[key]) for suite in suites) for key in ("tests", "failures", "errors", "skipped")}
    failed = count["failures"] + count["errors"]
    return Tally(passed=max(0, count["tests"] - failed - count["skipped"]), failed=failed, skipped=count["skipped"])


def run(part: str, arguments: list[str]) -> tuple[int, Tally]:
    """Run one part; return pytest's exit code and the count."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [
            *(sys.executable, "-m", "pytest", "--quiet", "--no-header", f"--junit-xml={report}"),
            *PARTS[part],
            # Only where the arguments name no files.
            *(("--override-ini", f"testpaths={' '.join(FOLDERS[part])}") if part in FOLDERS else ()),
            *arguments,
        ]
        # Whoever wants no bytecode written would have each process rewrite the assertions of all tests.
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        done = subprocess.run(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, check=False)  # noqa: S603  ours
        code = done.returncode
        return code, tally(report.read_text()) if report.exists() else Tally()


def _ready(part: str) -> bool:
    return part == "core" or peers.main() == 0


def outcomes(parts: list[str], arguments: list[str]) -> Iterator[tuple[bool, Tally]]:
    """Run the parts one after the other, each also when the one before it failed."""
    for part in parts:
        sys.stdout.write(f"test-{part}\n")
        sys.stdout.flush()
        if not _ready(part):
            yield False, Tally()
            continue
        code, count = run(part, arguments)
        # With arguments a part may rightly be empty: the test asked for is in another.
        yield code == 0 or (code == NO_TESTS and bool(arguments)), count


def main(words: list[str]) -> int:
    """Take the parts to run, then arguments for pytest."""
    parts = [word for word in words if word in PARTS]
    results = list(outcomes(parts, words[len(parts) :]))
    total = sum((count for _, count in results), start=Tally())
    well = all(passed for passed, _ in results) and total.failed == 0
    sys.stdout.write(f"{total}{'' if well or total.failed else ', but not all tests could run'}\n")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
