"""Addresses of the built assets."""

import json
import os
from pathlib import Path

import pytest

from control.web.assets import load_assets


def build(folder: Path, name: str, moment: int) -> None:
    manifest = folder / "dist" / "manifest.json"
    manifest.parent.mkdir(exist_ok=True)
    manifest.write_text(json.dumps({"app.css": name}))
    os.utime(manifest, (moment, moment))


def test_a_new_build_is_seen_by_a_running_server(tmp_path: Path) -> None:
    build(tmp_path, "app-1.css", 1)
    assets = load_assets(tmp_path)
    build(tmp_path, "app-2.css", 2)
    assert assets.names["app.css"] == "app-2.css"


def test_while_one_build_takes_the_place_of_another_the_last_one_counts(tmp_path: Path) -> None:
    build(tmp_path, "app-1.css", 1)
    assets = load_assets(tmp_path)
    (tmp_path / "dist" / "manifest.json").unlink()
    assert assets.names["app.css"] == "app-1.css"


def test_without_a_build_the_log_says_what_to_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert load_assets(tmp_path).names == {}
    assert "make web" in caplog.text
