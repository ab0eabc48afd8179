"""The compiled form is found while it is of these very sources, and never otherwise."""

import subprocess
import sys
from pathlib import Path

import pytest

from dataplane.compiled import FOLDER, PURE, folder, search_path

MODULES = ("first", "second")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package whose sources say so."""
    monkeypatch.delenv(PURE, raising=False)
    made = tmp_path / "thing"
    made.mkdir()
    listed = f"from dataplane.compiled import search_path\n__path__ = search_path(__path__[-1], {MODULES})\n"
    (made / "__init__.py").write_text(listed)
    for name in (*MODULES, "third"):
        (made / f"{name}.py").write_text("FORM = 'source'\n")
    return made


def compile_it(package: Path) -> None:
    """Put other modules where the compiled form belongs."""
    made = folder(package, MODULES)
    made.mkdir(parents=True)
    for name in MODULES:
        (made / f"{name}.py").write_text("FORM = 'compiled'\n")


def forms(package: Path) -> str:
    """What a fresh process imports."""
    root = Path(__file__).parents[2]
    code = "from thing import first, second, third; print(first.FORM, second.FORM, third.FORM)"
    return subprocess.run(
        [sys.executable, "-B", "-c", f"import sys; sys.path[:0] = [{str(package.parent)!r}, {str(root)!r}]; {code}"],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    ).stdout.strip()


def test_sources_run_where_that_is_wanted(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compile_it(package)
    monkeypatch.setenv(PURE, "1")
    assert forms(package) == "source source source"


def test_sources_run_where_nothing_is_compiled(package: Path) -> None:
    assert forms(package) == "source source source"


def test_the_compiled_form_runs_where_it_is(package: Path) -> None:
    compile_it(package)
    assert forms(package) == "compiled compiled source"


@pytest.mark.parametrize("name", MODULES)
def test_the_compiled_form_of_other_sources_does_not_run(package: Path, name: str) -> None:
    compile_it(package)
    source = package / f"{name}.py"
    before = source.read_text()
    source.write_text(before + "# changed\n")
    assert forms(package) == "source source source"
    source.write_text(before)
    assert forms(package) == "compiled compiled source"


def test_a_module_that_is_not_compiled_may_change(package: Path) -> None:
    compile_it(package)
    (package / "third.py").write_text("FORM = 'changed'\n")
    assert forms(package) == "compiled compiled changed"


def test_the_folder_is_named_by_what_each_module_holds(package: Path) -> None:
    before = folder(package, MODULES)
    assert before.parent == package / FOLDER
    assert folder(package, MODULES[:1]) != before
    first, second = (package / f"{name}.py" for name in MODULES)
    second.write_text(first.read_text() + second.read_text())
    first.write_text("")
    assert folder(package, MODULES) != before  # the same bytes, parted elsewhere


def test_only_folders_that_are_there_are_searched(package: Path) -> None:
    assert search_path(str(package), MODULES) == [str(package)]
    compile_it(package)
    assert search_path(str(package), MODULES) == [str(folder(package, MODULES)), str(package)]
