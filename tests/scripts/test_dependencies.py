"""A dependency without a reason, a reason without a dependency and a lock left behind are each found."""

import shutil
from pathlib import Path

import pytest

from scripts.dependencies import DOCUMENT, NPM, findings
from scripts.peers import PEERS
from scripts.tree import ROOT


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of all files that the check reads."""
    locks = [path.relative_to(ROOT) for path in (ROOT / "requirements").glob("*.txt")]
    for name in (Path("pyproject.toml"), DOCUMENT, PEERS, *NPM, *locks):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_this_repository_is_in_order(tree: Path) -> None:
    assert list(findings(tree)) == []


def test_a_python_package_without_a_reason_is_found(tree: Path) -> None:
    edit(tree / DOCUMENT, "| `flask` |", "| flask |")
    assert list(findings(tree)) == ["docs/dependencies.md: no reason for flask"]


def test_an_empty_reason_is_none(tree: Path) -> None:
    text = (tree / DOCUMENT).read_text()
    row = next(line for line in text.splitlines() if line.startswith("| `flask` |"))
    edit(tree / DOCUMENT, row, "| `flask` |  |")
    assert list(findings(tree)) == ["docs/dependencies.md: no reason for flask"]


def test_an_npm_package_without_a_reason_is_found(tree: Path) -> None:
    edit(tree / NPM[0], '"htmx.org"', '"hyperscript.org": "1.0.0",\n    "htmx.org"')
    assert list(findings(tree)) == ["docs/dependencies.md: no reason for hyperscript.org"]


def test_a_peer_without_a_reason_is_found(tree: Path) -> None:
    with (tree / PEERS).open("a") as file:
        file.write("squid  # asks too\n")
    assert list(findings(tree)) == ["docs/dependencies.md: no reason for squid"]


def test_a_reason_without_its_dependency_is_found(tree: Path) -> None:
    edit(tree / DOCUMENT, "| `flask` |", "| `django` | no longer |\n| `flask` |")
    assert list(findings(tree)) == ["docs/dependencies.md: django isn't a dependency (any more)"]


def test_a_requirement_that_the_locks_lack_is_found(tree: Path) -> None:
    edit(tree / "pyproject.toml", '    "gevent>=25.9",\n', '    "gevent>=2000",\n')
    found = list(findings(tree))
    assert [line.split(" has ")[0] for line in found] == ["requirements/development.txt", "requirements/outpost.txt"]
    assert all(line.endswith("for gevent>=2000: run make lock") for line in found)


def test_what_lists_the_parts_of_an_image_is_locked(tree: Path) -> None:
    edit(tree / "requirements" / "sbom.txt", "cyclonedx-python-lib==", "cyclonedx-other-lib==")
    assert list(findings(tree)) == [
        "requirements/sbom.txt has nothing for cyclonedx-python-lib>=11: run make lock",
    ]


def test_locks_that_disagree_are_found(tree: Path) -> None:
    lock = tree / "requirements" / "outpost.txt"
    pin = next(line for line in lock.read_text().splitlines() if line.startswith("greenlet=="))
    edit(lock, pin, "greenlet==0.1 \\")
    [finding] = findings(tree)
    assert finding.startswith("requirements/outpost.txt has greenlet 0.1, development.txt ")
