"""One line a check; a failure shows what its tool said; a name that isn't there is told."""

import sys

import pytest

from scripts.check import CHECKS, Check, chosen, main, render, run


def python(code: str) -> Check:
    return Check(name="sample", command=(sys.executable, "-c", code))


def test_a_check_that_passes_is_one_line_whatever_it_says() -> None:
    rendered = render(run(python("print('all well')")))
    assert rendered.startswith("ok   sample")
    assert rendered.count("\n") == 1


def test_a_check_that_fails_shows_both_its_outputs() -> None:
    result = run(python("import sys; print('to out'); print('to err', file=sys.stderr); sys.exit(3)"))
    assert not result.passed
    head, *said = render(result).splitlines()
    assert head.startswith("FAIL sample")
    assert sorted(line.strip() for line in said) == ["to err", "to out"]


def test_names_choose_among_the_checks() -> None:
    assert [check.name for check in chosen(["sizes", "links"])] == ["sizes", "links"]
    assert tuple(chosen([])) == CHECKS


def test_an_unknown_name_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["siezs"]) == 2
    assert "no check 'siezs'; there are types" in capsys.readouterr().err
