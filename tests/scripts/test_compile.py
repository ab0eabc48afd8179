"""The compiled modules are built where they can be, and all works without."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from dataplane.compiled import FOLDER
from scripts.compile import PACKAGE, is_built
from scripts.tree import ROOT

WITHOUT_MYPY = "import runpy, sys; sys.modules['mypyc'] = None; runpy.run_path('setup.py')"


def can_compile() -> bool:
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    return shutil.which(compiler) is not None and Path(sysconfig.get_path("include"), "Python.h").exists()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What setup.py needs, without anything that was built, and with few modules to compile."""
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "dataplane", tmp_path / "dataplane", ignore=shutil.ignore_patterns(FOLDER, "__pycache__"))
    listing = tmp_path / PACKAGE / "__init__.py"
    listing.write_text(
        re.sub(r"COMPILED = \(.*?\n\)\n", 'COMPILED = ("ber", "blobs")\n', listing.read_text(), flags=re.DOTALL)
    )
    return tmp_path


def build(checkout: Path, *program: str, **environment: str) -> str:
    """Build in place; what it said."""
    command = [sys.executable, *(program or ("setup.py",)), "--quiet", "build_ext", "--inplace"]
    found = subprocess.run(
        command,
        cwd=checkout,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        text=True,
    )
    assert found.returncode == 0, found.stdout
    return found.stdout


def form(checkout: Path) -> str:
    """How the codec runs there."""
    path = f"import sys; sys.path.insert(0, {str(checkout)!r})"
    code = f"{path}; from dataplane.protocols.ldap import ber; print(ber.__file__)"
    found = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True, text=True).stdout.strip()
    assert found.startswith(str(checkout))
    return Path(found).suffix


@pytest.mark.skipif(not can_compile(), reason="no C compiler or no headers of Python here")
def test_what_is_built_here_is_of_these_sources() -> None:
    assert is_built(ROOT), "the compiled modules are not of these sources: run .venv/bin/python -m scripts.compile"


@pytest.mark.skipif(not can_compile(), reason="no C compiler or no headers of Python here")
def test_the_modules_are_compiled_and_follow_their_sources(checkout: Path) -> None:
    build(checkout)
    assert form(checkout) == ".so"
    assert len(list((checkout / PACKAGE / FOLDER).iterdir())) == 1
    source = checkout / PACKAGE / "ber.py"
    source.write_text(source.read_text() + "\n# changed\n")
    assert form(checkout) == ".py"


def test_without_a_compiler_nothing_is_compiled(checkout: Path) -> None:
    said = build(checkout, CC="/nonexistent/cc")
    assert "nothing is compiled" in said
    assert not (checkout / PACKAGE / FOLDER).exists()
    assert form(checkout) == ".py"


def test_without_mypy_nothing_is_compiled(checkout: Path) -> None:
    assert "nothing is compiled: mypy is not installed" in build(checkout, "-c", WITHOUT_MYPY)
    assert form(checkout) == ".py"


def test_nothing_is_compiled_on_request(checkout: Path) -> None:
    build(checkout, GARRISON_PURE="1")
    assert not (checkout / PACKAGE / FOLDER).exists()
    assert form(checkout) == ".py"


def test_modules_whose_types_do_not_fit_are_not_compiled(checkout: Path) -> None:
    source = checkout / PACKAGE / "ber.py"
    source.write_text(source.read_text() + '\nWRONG: int = "text"\n')
    assert "nothing is compiled" in build(checkout)
    assert form(checkout) == ".py"
