"""Snippets of the documentation, so that tests run what people copy.

A fenced block right below a line `<!-- test: NAME -->` is known by that name.
"""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(
    r"^(?:<!-- test: (?P<name>[\w-]+) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


def snippet(page: str, name: str) -> str:
    """The snippet of that name on a page below the repository's root."""
    found = snippets(page)
    assert name in found, f"{page} has no snippet {name!r}, only {sorted(found)}"
    return found[name]


def snippets(page: str) -> dict[str, str]:
    """Every named snippet of a page."""
    return {block["name"]: block["text"] for block in _blocks(page) if block["name"]}


def unnamed_blocks(page: str) -> list[tuple[str, str]]:
    """(language, text) of every block without a name, for the test that says none was forgotten."""
    return [(block["language"], block["text"]) for block in _blocks(page) if not block["name"]]


def _blocks(page: str) -> list[re.Match[str]]:
    return list(_BLOCK.finditer((ROOT / page).read_text()))
