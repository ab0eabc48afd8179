"""Durations by authentik's grammar."""

from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.domain.duration import LONGEST, format_duration, parse_duration
from control.domain.errors import Invalid


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hours=1;minutes=2;seconds=3", timedelta(hours=1, minutes=2, seconds=3)),
        ("minutes=5", timedelta(minutes=5)),
        (" days=1 ; hours=0; ", timedelta(days=1)),
        ("weeks=2;milliseconds=5", timedelta(weeks=2, milliseconds=5)),
    ],
)
def test_reads(text: str, expected: timedelta) -> None:
    assert parse_duration(text, "validity") == expected


@pytest.mark.parametrize(
    "text", ["", "5", "hours", "hours=", "hours=-1", "hours=1.5", "Hours=1", "years=1", "hours=²", "days=99999999"]
)
def test_refuses_and_says_what_it_wants(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_duration(text, "validity")
    assert caught.value.problems[0].field == "validity"


@given(st.text())
def test_any_text_parses_or_is_refused(text: str) -> None:
    with suppress(Invalid):
        assert timedelta() <= parse_duration(text, "validity") <= LONGEST


@given(st.integers(min_value=0, max_value=10**11))
def test_what_is_written_is_read_back(milliseconds: int) -> None:
    duration = timedelta(milliseconds=milliseconds)
    assert parse_duration(format_duration(duration), "validity") == duration
