"""What a compiled module must keep to, and that what is searched means the same without."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataplane.compiled import PURE
from dataplane.protocols import ldap
from tests.support.ldap_forms import running

ROOT = Path(__file__).parents[4]


def constants(source: Path) -> set[str]:
    """The names a module declares as Final."""
    return {
        node.target.id
        for node in ast.parse(source.read_text()).body
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and "Final" in ast.unparse(node.annotation)
    }


def taken(source: Path) -> Iterator[tuple[str, set[str]]]:
    """Modules of the data plane that a module imports, whole or in part, and the names that it takes from each."""
    tree = ast.parse(source.read_text())
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("dataplane."):
            continue
        names = {each.name for each in node.names}
        if place(str(node.module)).exists():
            yield str(node.module), names
        else:
            yield from ((f"{node.module}.{name}", attributes(tree, name)) for name in names)


def attributes(tree: ast.Module, module: str) -> set[str]:
    """The names that are taken from a module imported whole."""
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == module
    }


def place(module: str) -> Path:
    return ROOT / f"{module.replace('.', '/')}.py"


@pytest.mark.parametrize("name", ldap.COMPILED)
def test_constants_come_from_compiled_modules_alone(name: str) -> None:
    """mypyc copies constants of other modules in, and the name of the folder tells of compiled ones only."""
    compiled = {f"{ldap.__name__}.{each}" for each in ldap.COMPILED}
    for module, names in taken(place(f"{ldap.__name__}.{name}")):
        if module not in compiled and place(module).exists():
            assert not constants(place(module)) & names, module


def test_searches_are_the_same_interpreted() -> None:
    """The other tests run on what runs here; these once more on the sources alone."""
    if str(running().wire.__file__).endswith(".py"):
        pytest.skip("the other tests have run on the sources already")
    names = (
        "search",
        "search_against_matches",
        "rights",
        "filters",
        "indexes",
        "postings",
        "paging",
        "sorting",
        "trees",
    )
    files = [str(Path(__file__).with_name(f"test_{name}.py")) for name in names]
    finished = subprocess.run(
        [sys.executable, "-m", "pytest", "--quiet", "--exitfirst", "-p", "no:xdist", *files],
        cwd=ROOT,
        env={**os.environ, PURE: "1"},
        stdout=subprocess.PIPE,
        check=False,
        text=True,
    )
    assert finished.returncode == 0, finished.stdout
