"""The chaos run's own judgement: it must not call well what isn't."""

import subprocess
import sys

import pytest

from tests.soak import verdict
from tests.soak.verdict import Usage
from tests.support.peers_program import Program, eventually


def used(descriptors: int, memory: float) -> dict[str, Usage]:
    return {"link": Usage(descriptors=descriptors, memory=memory)}


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (used(20, 100.0), 0),
        (used(20 + verdict.MORE_DESCRIPTORS, 100.0), 0),
        (used(21 + verdict.MORE_DESCRIPTORS, 100.0), 1),
        (used(20, 190.0), 0),
        (used(20, 191.0), 1),
        ({}, 1),
    ],
)
def test_growth_has_its_bounds(after: dict[str, Usage], said: int) -> None:
    assert len(list(verdict.grown(used(20, 100.0), after))) == said


def test_a_process_that_is_left_is_named() -> None:
    program = Program("sleeper", ["sh", "-c", "sleep 60 & wait"])
    try:
        eventually(lambda: any("sleep 60" in each for each in _left_of(program)), "the sleeper is seen")
    finally:
        program.kill()
    eventually(lambda: not _left_of(program), "it is gone")


def _left_of(program: Program) -> list[str]:
    return list(verdict.left({program.process.pid}))


def test_its_help_says_what_it_does() -> None:
    done = subprocess.run([sys.executable, "-m", "tests.soak", "--help"], capture_output=True, text=True, check=True)
    assert "--seed" in done.stdout
    assert "load\nbalancer" in done.stdout
