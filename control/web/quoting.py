"""Text in the places where snippets for people put it: shell words, YAML and Compose scalars, environment files.

Each function returns the quoted form; whatever the text holds, it stays one value there.
"""

import re
import shlex

import yaml

_LINE = 1 << 20


def shell(text: str) -> str:
    """One word of a POSIX shell."""
    return shlex.quote(text)


def yaml_scalar(text: str) -> str:
    """A double-quoted YAML scalar on one line."""
    dumped = yaml.safe_dump(text, default_style='"', allow_unicode=False, width=_LINE)
    return dumped.rstrip("\n")


def compose(text: str) -> str:
    """A YAML scalar in a Compose file, which puts variables in place of $NAME unless the $ is doubled."""
    return yaml_scalar(text.replace("$", "$$"))


def environment_file(text: str) -> str:
    """A value in a file that systemd reads by EnvironmentFile=; see systemd.exec(5): in single quotes all is literal.

    A single quote itself can't stand there, so such a value goes into double quotes, where `"`, `$`, backslash and
    backtick take a backslash. Line ends are no part of any value.
    """
    line = " ".join(text.splitlines())
    if "'" not in line:
        return f"'{line}'"
    return '"' + re.sub(r'(["$\\`])', r"\\\1", line) + '"'


def docker_environment_file(text: str) -> str:
    """A value in a file for `docker run --env-file`, where nothing is quoted: all up to the line end is the value."""
    return " ".join(text.splitlines())
