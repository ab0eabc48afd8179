"""The repository tells nothing of the machine it was written on: no path of it, no address of a package registry.

A lock with a registry's address works only where that registry is reached; without one it works with whatever the
machine's own pip and npm are set to.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from scripts.report import report
from scripts.tree import ROOT, sources

# By their shape, so that not even this file names one: hosts that are called what they are, and downloads of packages.
REGISTRY = re.compile(r"https?://((pypi|registry|files|packages|proxy|mirror|deb)\.|\S+\.(tgz|whl|tar\.gz)\b)")
SETTINGS = re.compile(
    r"--(extra-)?index-url\b|--find-links\b|--trusted-host\b|\"resolved\":|^registry\s*=", re.MULTILINE
)
FEWEST_PARTS = 3  # of a checkout's path; "/src" would be found everywhere
# These name the options and hosts because they keep them out.
ABOUT_THEM = frozenset({"scripts/hygiene.py", "tests/scripts/test_hygiene.py"})


def findings(root: Path) -> Iterator[str]:
    """Each line that names a path of this machine or a registry."""
    patterns = _patterns(root)
    for path in sources(root):
        name = path.relative_to(root).as_posix()
        text = None if name in ABOUT_THEM else _read_text(path)
        for number, line in enumerate((text or "").splitlines(), start=1):
            yield from (f"{name}:{number}: {what}" for what, pattern in patterns if pattern.search(line))


def _read_text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def _patterns(root: Path) -> list[tuple[str, re.Pattern[str]]]:
    patterns = [
        ("a path in somebody's home", re.compile(r"/(root|Users/\w+)/")),
        ("the address of a package registry", REGISTRY),
        ("where packages come from is the machine's to say", SETTINGS),
    ]
    if len(root.parts) >= FEWEST_PARTS:
        patterns.append(("the path of this checkout", re.compile(re.escape(str(root)) + r"\b")))
    return patterns


if __name__ == "__main__":
    sys.exit(report(findings(ROOT)))
