"""What `make test` sums up: errors count as failures, a half that can't run fails the whole."""

from pathlib import Path

import pytest

from scripts import peers
from scripts import test as runner
from scripts.test import FOLDERS, Tally, main, tally
from scripts.tree import ROOT
from tests.support.lanes import LANES, lane_of

REPORT = """<testsuites>
<testsuite name="pytest" errors="1" failures="2" skipped="3" tests="20" time="1.0"/>
</testsuites>"""


def test_errors_count_as_failures() -> None:
    assert tally(REPORT) == Tally(passed=14, failed=3, skipped=3)
    assert str(tally(REPORT)) == "14 passed, 3 failed, 3 skipped"


def test_tallies_add_up() -> None:
    assert str(Tally(passed=1, failed=1) + Tally(passed=2)) == "3 passed, 1 failed"


def suite(folder: Path, text: str) -> list[str]:
    """Arguments that make pytest run this one file, by itself."""
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = interop: x\n")
    (folder / "test_sample.py").write_text(text)
    return ["-c", str(folder / "pytest.ini"), f"--rootdir={folder}", str(folder / "test_sample.py")]


def test_tests_that_pass_end_in_a_line_and_zero(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["core", *suite(tmp_path, "def test_a(): pass\n")]) == 0
    assert capfd.readouterr().out.splitlines()[-1] == "1 passed, 0 failed"


def test_a_failure_is_counted_and_fails(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["core", *suite(tmp_path, "def test_a(): pass\ndef test_b(): assert False\n")]) == 1
    assert capfd.readouterr().out.splitlines()[-1] == "1 passed, 1 failed"


def test_bytecode_is_kept_for_the_other_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    assert main(["core", *suite(tmp_path, "import sys\n\ndef test_a(): assert not sys.dont_write_bytecode\n")]) == 0


def test_peers_that_cannot_be_installed_fail_the_run_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    release = tmp_path / "os-release"
    release.write_text("ID=fedora\nID_LIKE=debian-not\n")
    monkeypatch.setattr(peers, "RELEASE", release)
    assert runner.main(["interop"]) == 1
    lines = capfd.readouterr().out.splitlines()
    assert lines == [
        "test-interop",
        "the programs to test with are installed by Debian's apt-get, and this isn't Debian",
        "0 passed, 0 failed, but not all tests could run",
    ]


def marks(path: Path, name: str) -> int:
    """How often a file gives a mark."""
    return path.read_text().count(f"mark.{name}")


def is_inside(path: Path, part: str) -> bool:
    """Whether a part looks there for its tests."""
    return any(path.is_relative_to(ROOT / folder) for folder in FOLDERS[part])


def test_no_test_of_a_part_lies_where_it_does_not_look() -> None:
    assert [folder for folders in FOLDERS.values() for folder in folders if not (ROOT / folder).exists()] == []
    files = [path for path in (ROOT / "tests").rglob("*.py") if path.name.startswith(("test_", "conftest"))]
    files.remove(Path(__file__))
    # Those marked with both are of the databases.
    interop = [path for path in files if marks(path, "interop") > marks(path, "postgresql")]
    databases = [path for path in files if marks(path, "postgresql") or "databases import BOTH" in path.read_text()]
    assert len(interop) > 50
    assert len(databases) > 5
    assert [path for path in interop if not is_inside(path, "interop")] == []
    assert [path for path in databases if not is_inside(path, "databases")] == []


def test_what_lanes_name_exists() -> None:
    assert [path for paths in LANES.values() for path in paths if not (ROOT / path).exists()] == []


def test_a_test_is_in_the_lane_that_names_it_most_exactly_or_in_none() -> None:
    assert lane_of("tests/e2e/test_life.py::test_x") == "browsers"
    assert lane_of("tests/interop/docker/test_image.py::test_docker_run_as_shown") == "engines"
    assert lane_of("tests/interop/test_replicas.py::test_x") == "replicas"
    assert lane_of("tests/interop/test_sign_in.py::test_x") == "fronts"
    assert lane_of("tests/interop/proxy/test_bodies.py::test_x") == "proxied"
    assert lane_of("tests/interop/proxy/hostile/test_splitting.py::test_x") == "hostile"
    assert lane_of("tests/control/store/test_unit.py::test_x[postgresql]") is None


def test_what_drives_another_program_is_no_test_of_the_core() -> None:
    files = [path for path in (ROOT / "tests").rglob("test_*.py") if "require(" in path.read_text()]
    files.remove(Path(__file__))
    assert len(files) > 10
    assert [path for path in files if not marks(path, "interop")] == []
