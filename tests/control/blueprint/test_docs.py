"""The documentation of blueprints says what the program does."""

import re
from pathlib import Path

import pytest

from control.blueprint import Run, apply_files
from control.blueprint.sections import SECTIONS, Section
from control.fleet.options import OPTIONS
from control.store import Store
from tests.support.auth import cheap_passwords
from tests.support.garrison_docs import ROOT, snippet
from tests.support.stores import ADMIN

PAGE = "docs/blueprints.md"


def test_the_example_applies(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("control.blueprint.apply.Passwords", cheap_passwords)
    (tmp_path / "example.yaml").write_text(snippet(PAGE, "blueprint"))
    run = Run(
        files=[tmp_path / "example.yaml"],
        own_url="https://garrison.example.com",
        actor=ADMIN,
        environment={"ALICE_PASSWORD": "correct-horse"},
    )
    assert [str(outcome) for outcome in apply_files(store, run)] == [
        "created group everyone",
        "created group staff",
        "created user alice",
        "created provider wiki",
        "created provider directory",
        "created application wiki",
        "created application directory",
        "created integration local",
        "created outpost edge",
        "created outpost ldap",
    ]


def test_every_option_is_told_with_its_expectation() -> None:
    text = (ROOT / PAGE).read_text()
    told = dict(re.findall(r"^\| `(\w+)` \| [^|]+ \| (.+) \|$", text, re.MULTILINE))
    for option in OPTIONS:
        assert told[option.key].startswith(f"{option.expected}. {option.meaning}")


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.name)
def test_every_field_is_told(section: Section) -> None:
    text = (ROOT / PAGE).read_text()
    row = next(line for line in text.splitlines() if line.startswith(f"| `{section.name}` |"))
    assert {name for name in section.known if name != "state"} <= set(re.findall(r"`(\w+)`", row))
