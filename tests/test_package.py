"""What is installed holds every file that the code reads: a checkout has them all, a wheel only what it is told."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from scripts.tree import ROOT, sources

PACKAGES = ("control", "dataplane", "protos")
# Sources of what lies built in web/static/dist, and what only the checks read.
NOT_INSTALLED = ("control/web/frontend/", "protos/released.binpb")


def test_a_wheel_has_all_that_the_packages_hold(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("node_modules", "__pycache__")
        shutil.copytree(ROOT / package, tree / package, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, tree / name)
    wanted = {path.relative_to(tree).as_posix() for package in PACKAGES for path in sources(tree / package)}
    command = [sys.executable, "-m", "pip", "--quiet", "wheel", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--wheel-dir", str(tmp_path), "."], cwd=tree, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    installed = set(zipfile.ZipFile(wheel).namelist())
    assert {name for name in wanted - installed if not name.startswith(NOT_INSTALLED)} == set()
