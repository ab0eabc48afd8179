"""What the build leaves: hashed files that the manifest names, nothing loaded from elsewhere, only known icons."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from scripts.tree import ROOT
from tests.control.web.frontend.sample_server import DIST

FRONTEND = ROOT / "control" / "web" / "frontend"


@pytest.fixture
def web(tmp_path: Path) -> Path:
    """A web folder of our own to build in, with the installed npm packages."""
    web = tmp_path / "web"
    shutil.copytree(FRONTEND, web / "frontend", ignore=shutil.ignore_patterns("node_modules"))
    (web / "frontend" / "node_modules").symlink_to(FRONTEND / "node_modules")
    (web / "static").mkdir()
    return web


def build(web: Path) -> "subprocess.CompletedProcess[str]":
    command = ["node", "build.mjs"]
    return subprocess.run(command, cwd=web / "frontend", capture_output=True, text=True, check=False, timeout=60)


def test_the_manifest_names_files_that_exist_under_their_hash() -> None:
    manifest = json.loads((DIST / "manifest.json").read_text())
    assert set(manifest) == {"app.css", "app.js", "theme.js", "icons.svg", "favicon.svg"}
    for key, name in manifest.items():
        stem, _, suffix = key.partition(".")
        assert re.fullmatch(rf"{stem}-[A-Z0-9]{{8}}\.{suffix}", name)
        assert (DIST / name).stat().st_size > 0


def test_styles_load_only_what_lies_beside_them() -> None:
    manifest = json.loads((DIST / "manifest.json").read_text())
    loads = re.findall(r"url\(\s*[\"']?([^\"')]+)", (DIST / manifest["app.css"]).read_text())
    files = [load for load in loads if not load.startswith(("data:", "#"))]
    assert files
    assert all((DIST / file).is_file() for file in files)
    assert "@import" not in (DIST / manifest["app.css"]).read_text()


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("app.css", "body { background: url(https://cdn.example.com/a.png); }"),
        ("app.css", '@import "//fonts.example.com/inter.css";'),
        ("app.js", 'fetch("https://example.com/telemetry");'),
    ],
)
def test_a_load_from_another_host_fails_the_build(web: Path, file: str, line: str) -> None:
    source = web / "frontend" / "src" / file
    source.write_text(f"{line}\n{source.read_text()}" if line.startswith("@") else f"{source.read_text()}\n{line}\n")
    result = build(web)
    assert result.returncode == 1
    assert "from another host" in result.stderr
    assert list((web / "static").iterdir()) == []


def test_an_icon_of_a_template_is_in_the_sprite(web: Path) -> None:
    (web / "templates").mkdir()
    (web / "templates" / "a.html").write_text('{{ icon("rocket") }} {{ icon("star-filled", class="x") }}')
    result = build(web)
    assert result.returncode == 0, result.stderr
    [sprite] = (web / "static" / "dist").glob("icons-*.svg")
    assert {"rocket", "star-filled", "moon"} <= set(re.findall(r'<symbol id="([^"]+)"', sprite.read_text()))


def test_an_unknown_icon_fails_the_build_and_keeps_the_last_one(web: Path) -> None:
    assert build(web).returncode == 0
    before = sorted(path.name for path in (web / "static" / "dist").iterdir())
    (web / "templates").mkdir()
    (web / "templates" / "a.html").write_text('{{ icon("no-such-icon") }}')
    result = build(web)
    assert result.returncode == 1
    assert 'templates/a.html asks for the icon "no-such-icon"' in result.stderr
    assert sorted(path.name for path in (web / "static" / "dist").iterdir()) == before
