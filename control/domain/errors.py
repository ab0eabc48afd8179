"""Errors a user may meet: a code and its parameters. The words live in templates; `str` is for logs and the CLI."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong with an input: where, what was found and what was expected."""

    field: str
    code: str
    found: str = ""
    expected: str = ""

    def __str__(self) -> str:
        found = f" (found {self.found!r})" if self.found else ""
        return f"{self.field}: {self.code.replace('_', ' ')}{found}; expected {self.expected}"


class Invalid(Exception):
    """An input that breaks rules; carries every problem found, not just the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class NotFound(Exception):
    """No such object: its kind and the name or id that was asked for."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"no {kind} {name!r}")
        self.kind = kind
        self.name = name


class InUse(Exception):
    """The object can't be removed: something else names it."""

    def __init__(self, kind: str, name: str, used_by: str) -> None:
        super().__init__(f"{kind} {name!r} is used by {used_by}")
        self.kind = kind
        self.name = name
        self.used_by = used_by
