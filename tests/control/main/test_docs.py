"""docs/cli.md has every command with every option of its own."""

import argparse

from control.main.arguments import _parser
from tests.support.garrison_docs import ROOT


def test_every_command_and_option_is_documented() -> None:
    page = (ROOT / "docs" / "cli.md").read_text()
    (commands,) = (each for each in _parser()._actions if isinstance(each, argparse._SubParsersAction))
    for name, parser in commands.choices.items():
        _, heading, section = page.partition(f"## garrison {name}\n")
        assert heading, f"docs/cli.md lacks {name}"
        section = section.partition("\n## ")[0]
        options = {option for action in parser._actions for option in action.option_strings if option.startswith("--")}
        assert {option for option in options - {"--help"} if option not in section} == set(), name
