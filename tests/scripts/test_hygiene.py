"""What tells of a machine or a registry is found, in whatever file it stands."""

from pathlib import Path

import pytest

from scripts.hygiene import findings


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("requirements/control.txt", "--index-url https://example.com/simple"),
        ("requirements/control.txt", "--find-links /opt/wheels"),
        ("a/package-lock.json", '      "resolved": "https://example.com/a",'),
        ("a/package-lock.json", '      "x": "https://registry.example.com/a",'),
        ("a/package-lock.json", '      "x": "https://downloads.example.com/a-1.0.tgz",'),
        (".npmrc", "registry = https://example.com"),
        ("docs/a.md", "see https://pypi.example.com/project/flask"),
        ("a.py", 'STATE = "/root/state"'),
        (".ci/run", "cd /Users/alice/garrison"),
    ],
)
def test_a_trace_is_found(tmp_path: Path, name: str, line: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"# first\n{line}\n")
    assert [finding.rpartition(": ")[0] for finding in findings(tmp_path)] == [f"{name}:2"]


def test_the_checkouts_own_path_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(f"run {tmp_path}/x\n")
    assert list(findings(tmp_path)) == ["a.md:1: the path of this checkout"]


def test_plain_words_and_bytes_pass(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("Registries, roots and /var/lib/garrison are no trace.\n")
    (tmp_path / "a.woff2").write_bytes(b"\xff\xfe/root/")
    assert list(findings(tmp_path)) == []
