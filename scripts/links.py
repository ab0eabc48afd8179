"""Links between the repository's documents lead somewhere: to a file that exists and, with #, to a heading in it."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from scripts.report import report
from scripts.tree import ROOT, sources

LINK = re.compile(r"!?\[[^\]]*\]\(<?(?P<target>[^)\s>]+)>?[^)]*\)")
HEADING = re.compile(r"^#{1,6} +(?P<text>.+?)\s*#*$", re.MULTILINE)
FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
ELSEWHERE = re.compile(r"^[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def findings(root: Path) -> Iterator[str]:
    """Each link that leads nowhere."""
    for path in sources(root, ".md"):
        for link in LINK.finditer(_prose(path)):
            problem = _problem(path, link["target"])
            if problem:
                yield f"{path.relative_to(root).as_posix()}: {link['target']}: {problem}"


def _problem(path: Path, target: str) -> str | None:
    if ELSEWHERE.match(target):
        return None
    name, _, anchor = target.partition("#")
    linked = path.parent / name if name else path
    if not linked.exists():
        return "no such file"
    if anchor and linked.suffix == ".md" and anchor not in _anchors(linked):
        return "no such heading"
    return None


def _anchors(path: Path) -> set[str]:
    return {_slug(heading["text"]) for heading in HEADING.finditer(_prose(path))}


def _slug(heading: str) -> str:
    """A heading's anchor, as the usual renderers make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def _prose(path: Path) -> str:
    return FENCE.sub("", path.read_text())


if __name__ == "__main__":
    sys.exit(report(findings(ROOT)))
