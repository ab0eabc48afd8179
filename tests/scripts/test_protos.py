"""Generated code that isn't what its .proto makes is found; so is a change that would break a release."""

import shutil
import subprocess
from pathlib import Path

import pytest

from scripts import protos
from scripts.check import BUF
from scripts.tree import ROOT

LINK = protos.FOLDER / "link.proto"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the protos with their generated code, free to be spoiled."""
    shutil.copytree(ROOT / "protos", tmp_path / "protos", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "buf.yaml", tmp_path)
    protos.write(tmp_path, tmp_path)
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_what_was_just_generated_is_fresh(tree: Path) -> None:
    assert list(protos.findings(tree)) == []


def test_a_proto_edited_since_is_found(tree: Path) -> None:
    edit(tree / LINK, "message Drain {}", "message Drain {\n  string reason = 1;\n}")
    assert list(protos.findings(tree)) == [
        f"protos/outpost/v1/link_pb2.{suffix} isn't what its .proto makes: run make protos" for suffix in ("py", "pyi")
    ]


def test_generated_code_edited_by_hand_is_found(tree: Path) -> None:
    with (tree / protos.FOLDER / "gate_pb2_grpc.py").open("a") as file:
        file.write("# mine\n")
    assert list(protos.findings(tree)) == [
        "protos/outpost/v1/gate_pb2_grpc.py isn't what its .proto makes: run make protos"
    ]


def test_missing_and_left_over_code_is_found(tree: Path) -> None:
    (tree / protos.FOLDER / "link_pb2.py").unlink()
    (tree / protos.FOLDER / "old_pb2.py").write_text("")
    assert list(protos.findings(tree)) == [
        "protos/outpost/v1/link_pb2.py is missing: run make protos",
        "protos/outpost/v1/old_pb2.py has no .proto any more: run make protos",
    ]


def buf(tree: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([str(BUF), *arguments], cwd=tree, capture_output=True, text=True, check=False)


def breaking(tree: Path) -> "subprocess.CompletedProcess[str]":
    return buf(tree, "breaking", "--against", str(protos.RELEASED))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("  uint64 revision = 10;\n", "", id="a field is gone"),
        pytest.param("uint64 revision = 10;", "string revision = 10;", id="a field has another type"),
        pytest.param("  rpc Watch(stream WatchRequest) returns (stream WatchResponse);\n", "", id="a call is gone"),
        pytest.param("returns (stream WatchResponse)", "returns (WatchResponse)", id="a call streams no more"),
    ],
)
def test_a_breaking_change_is_found(tree: Path, old: str, new: str) -> None:
    protos.release(tree)
    edit(tree / LINK, old, new)
    assert breaking(tree).returncode != 0


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("message Drain {}", "message Drain {\n  string reason = 1;\n}", id="a field is new"),
        pytest.param("uint64 revision = 10;", "uint64 rev = 10;", id="a field has another name"),
        pytest.param("  uint64 revision = 10;\n", "  reserved 10;\n", id="a field is retired"),
    ],
)
def test_a_compatible_change_passes(tree: Path, old: str, new: str) -> None:
    protos.release(tree)
    edit(tree / LINK, old, new)
    result = breaking(tree)
    assert result.returncode == 0, result.stdout


def test_a_badly_named_field_is_found(tree: Path) -> None:
    edit(tree / LINK, "string instance = 1;", "string Instance = 1;")
    result = buf(tree, "lint")
    assert result.returncode != 0
    assert "lower_snake_case" in result.stdout
