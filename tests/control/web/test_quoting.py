"""Whatever a value holds, it stays one value in shells, YAML, Compose files and systemd's environment files."""

import re
import subprocess

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from control.web import quoting

NASTY = [
    "plain",
    "with space",
    "$(touch /tmp/pwned)",
    "`id`",
    "${HOME} $HOME $$",
    "it's",
    'say "hi"',
    "back\\slash\\",
    "a\nb: c",
    "#comment",
    "- item",
    "yes",
    "0x1f",
    "%n %% %h",
    "END",
    "''\"\"''",
    "ünï 🙂",
    "",
    " lead and trail ",
    "!!python/object:os.system",
    "a: b # c",
    "*alias",
]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@pytest.mark.parametrize("text", NASTY)
def test_shell(text: str) -> None:
    script = f"printf %s {quoting.shell(text)}"
    assert subprocess.run(["/bin/sh", "-c", script], capture_output=True, check=True).stdout.decode() == text


@pytest.mark.parametrize("text", NASTY)
def test_yaml(text: str) -> None:
    scalar = quoting.yaml_scalar(text)
    assert "\n" not in scalar
    assert yaml.safe_load(f"a: {scalar}\nb: [{scalar}]") == {"a": text, "b": [text]}


@given(TEXT)
def test_any_text_is_one_yaml_scalar(text: str) -> None:
    assert yaml.safe_load(f"{{k: {quoting.yaml_scalar(text)}}}") == {"k": text}


@given(TEXT)
def test_compose_puts_no_variables_in(text: str) -> None:
    value = yaml.safe_load(quoting.compose(text))
    assert re.sub(r"\$\$", "$", value) == text
    assert not re.search(r"(?<!\$)(\$\$)*\$(?!\$)", value)


def parse_environment_value(line: str) -> str:
    """A value as systemd reads it (parse_env_file in src/basic/env-file.c), for quoted values on one line."""
    quote, rest = line[0], line[1:]
    if quote == "'":
        body, _, after = rest.partition("'")
        assert after == ""
        return body
    assert quote == '"'
    assert rest.endswith('"')
    found = re.fullmatch(r'((?:[^"\\]|\\.)*)"', rest, re.DOTALL)
    assert found, line
    return re.sub(r'\\(["\\`$])', r"\1", found.group(1))


@given(TEXT)
@settings(max_examples=300)
def test_environment_files(text: str) -> None:
    quoted = quoting.environment_file(text)
    assert len(quoted.splitlines()) == 1
    assert parse_environment_value(quoted) == " ".join(text.splitlines())
