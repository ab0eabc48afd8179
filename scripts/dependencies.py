"""Every dependency has its reason in docs/dependencies.md, and the locks hold what pyproject.toml asks for.

Dependencies are those of pyproject.toml with all extras, groups and its build system, of each package.json, and the
Debian packages of scripts/peers.txt. In the document each is the first cell of a table row; a row without a dependency
is wrong too. The locks are compared without the network: each requirement pinned, within its bounds, alike in each.
"""

import json
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts.peers import PEERS, packages
from scripts.report import report
from scripts.tree import ROOT

DOCUMENT = Path("docs/dependencies.md")
NPM = (Path("control/web/frontend/package.json"), Path("scripts/tools/package.json"))
LOCKS = {  # lock to the extras it is compiled from
    "development": ("control", "outpost", "tracing", "dev"),
    "control": ("control",),
    "outpost": ("outpost", "tracing"),
}
SBOM = "sbom"  # the dependency group of what lists an image's parts, and the lock of that group alone
ROW = re.compile(r"^\| `(?P<name>[^`]+)` \| (?P<reason>[^|]*\S[^|]*) \|")
PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+)", re.MULTILINE)


def findings(root: Path) -> Iterator[str]:
    """What is undocumented, documented but gone, or not locked."""
    project = tomllib.loads((root / "pyproject.toml").read_text())
    wanted = _named(root, project)
    documented = _documented(root)
    yield from (f"{DOCUMENT}: no reason for {name}" for name in sorted(wanted - documented))
    yield from (f"{DOCUMENT}: {name} isn't a dependency (any more)" for name in sorted(documented - wanted))
    yield from _lock_findings(root, project)


def _named(root: Path, project: dict[str, dict[str, object]]) -> set[str]:
    python = {canonicalize_name(requirement.name) for requirement in _requirements(project, *_extras(project))}
    lines = [*_lines(project["build-system"]["requires"]), *_lines(project["dependency-groups"][SBOM])]
    build = {canonicalize_name(Requirement(line).name) for line in lines}
    npm = {name for path in NPM for name in _npm(root / path)}
    return python | build | npm | set(packages(root / PEERS))


def _documented(root: Path) -> set[str]:
    rows = (ROW.match(line) for line in (root / DOCUMENT).read_text().splitlines())
    return {row["name"] for row in rows if row}


def _npm(path: Path) -> set[str]:
    package = json.loads(path.read_text())
    return {*package.get("dependencies", {}), *package.get("devDependencies", {})}


def _extras(project: dict[str, dict[str, object]]) -> list[str]:
    extras = project["project"]["optional-dependencies"]
    return list(extras) if isinstance(extras, dict) else []


def _requirements(project: dict[str, dict[str, object]], *extras: str) -> list[Requirement]:
    optional = project["project"]["optional-dependencies"]
    of_extras = [line for extra in extras for line in _lines(optional[extra])] if isinstance(optional, dict) else []
    return [Requirement(line) for line in [*_lines(project["project"]["dependencies"]), *of_extras]]


def _lines(value: object) -> list[str]:
    return [str(line) for line in value] if isinstance(value, list) else []


def _lock_findings(root: Path, project: dict[str, dict[str, object]]) -> Iterator[str]:
    development = _pins(root, "development")
    for lock, extras in LOCKS.items():
        pins = _pins(root, lock)
        yield from _unmet(lock, pins, _requirements(project, *extras))
        for name in sorted(pins):
            if pins[name] != development.get(name):
                yield f"requirements/{lock}.txt has {name} {pins[name]}, development.txt {development.get(name)}"
    yield from _unmet(SBOM, _pins(root, SBOM), map(Requirement, _lines(project["dependency-groups"][SBOM])))


def _unmet(lock: str, pins: dict[str, str], requirements: Iterable[Requirement]) -> Iterator[str]:
    for requirement in requirements:
        version = pins.get(canonicalize_name(requirement.name))
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            yield f"requirements/{lock}.txt has {version or 'nothing'} for {requirement}: run make lock"


def _pins(root: Path, lock: str) -> dict[str, str]:
    text = (root / "requirements" / f"{lock}.txt").read_text()
    return {canonicalize_name(pin["name"]): pin["version"] for pin in PIN.finditer(text)}


if __name__ == "__main__":
    sys.exit(report(findings(ROOT)))
