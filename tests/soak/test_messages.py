"""The part of the soak that reads wrong LDAP messages notices what it looks for."""

import random
from collections.abc import Iterator

import pytest

from tests.soak import messages


def soak(count: int = 3000) -> tuple[list[str], list[str]]:
    """What isn't well, and what was said."""
    said: list[str] = []
    return list(messages.problems(count, random.Random(7), said.append)), said


def test_all_is_well() -> None:
    problems, said = soak()
    assert problems == []
    assert len(said) == 1
    assert said[0].startswith("3000 wrong LDAP messages in ")
    for kind in ("refused", "Malformed", "Search", "Bind"):
        assert f" {kind}" in said[0]


def test_no_messages_are_no_problem() -> None:
    assert soak(0)[0] == []


def test_an_exception_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> str:
        raise KeyError("a bug")

    monkeypatch.setattr(messages, "_answer", broken)
    problems, _ = soak()
    assert len(problems) == messages.MOST_SHOWN
    assert problems[0].startswith("KeyError('a bug') from 30")


def test_growth_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def more() -> Iterator[float]:
        yield from (10.0, 10.0, 10.0 + messages.MORE_MEMORY + 1)

    monkeypatch.setattr(messages, "_memory", more().__next__)
    assert soak()[0] == ["21.0 MiB more after 3000 messages"]
