"""A link that leads nowhere is found, in a file as in a heading."""

from pathlib import Path

import pytest

from scripts.links import findings

DOCUMENT = """# The Link: how it works

[file](docs/other.md), [heading](docs/other.md#what-it-isnt), [own](#the-link-how-it-works), ![image](a.png),
[outside](https://example.com/nowhere), [mail](mailto:a@example.com)

```
[not a link](nowhere.md)
```
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "README.md").write_text(DOCUMENT)
    (tmp_path / "docs" / "other.md").write_text("## What it isn't\n\n[back](../README.md)\n")
    return tmp_path


def test_links_that_lead_somewhere_pass(tree: Path) -> None:
    assert list(findings(tree)) == []


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("nowhere.md", "no such file"),
        ("docs/other.md#elsewhere", "no such heading"),
        ("#elsewhere", "no such heading"),
    ],
)
def test_a_link_that_leads_nowhere_is_found(tree: Path, target: str, problem: str) -> None:
    (tree / "README.md").write_text(f"# A\n\n[b]({target})\n")
    assert f"README.md: {target}: {problem}" in list(findings(tree))
