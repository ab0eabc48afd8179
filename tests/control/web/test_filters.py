"""Times, sizes and durations in words."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.web import filters

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("away", "words"),
    [
        (timedelta(0), "just now"),
        (timedelta(seconds=-9), "just now"),
        (timedelta(seconds=-10), "10 seconds ago"),
        (timedelta(seconds=-60), "1 minute ago"),
        (timedelta(minutes=-119), "1 hour ago"),
        (timedelta(days=-2), "2 days ago"),
        (timedelta(days=45), "in 1 month"),
        (timedelta(days=800), "in 2 years"),
    ],
)
def test_relative(away: timedelta, words: str) -> None:
    assert filters.relative(NOW + away, NOW) == words


def test_a_time_element_tells_the_moment_in_utc() -> None:
    there = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    element = filters.time_element(there, "an <hour> ago")
    assert element == ('<time datetime="2026-11-22T12:00:00Z" title="2026-11-22 12:00 UTC">an &lt;hour&gt; ago</time>')


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (92_400_000, "92.4 MB"), (10**12, "1 TB"), (5 * 10**15, "5000 TB")],
)
def test_size(count: int, words: str) -> None:
    assert filters.size(count) == words


@pytest.mark.parametrize(
    ("length", "words"),
    [(timedelta(hours=24), "1 day"), (timedelta(minutes=90), "1 hour 30 minutes"), (timedelta(0), "0 seconds")],
)
def test_duration(length: timedelta, words: str) -> None:
    assert filters.duration(length) == words


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_any_two_moments_have_words(when: datetime, now: datetime) -> None:
    words = filters.relative(when, now)
    assert words == "just now" or words.startswith("in ") or words.endswith(" ago")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-1, "< 0.1 s"),
        (0.09, "< 0.1 s"),
        (0.42, "0.4 s"),
        (9.5, "9.5 s"),
        (12.9, "12 s"),
        (185, "3 min 5 s"),
        (3600, "1 h"),
        (93_784, "1 d 2 h"),
    ],
)
def test_lasting(seconds: float, words: str) -> None:
    assert filters.lasting(timedelta(seconds=seconds)) == words


def test_filled_words_hold_text_only() -> None:
    filled = filters.fill("Pulls {image} for <{name}>, {seconds} s", {"image": "a/<b>", "name": "x\u202ey", "left": 1})
    assert filled == "Pulls <bdi>a/&lt;b&gt;</bdi> for &lt;<bdi>x\ufffdy</bdi>&gt;, <bdi>?</bdi> s"


@given(st.text(), st.dictionaries(st.text(), st.text()))
def test_no_words_break_filling(text: str, values: dict[str, str]) -> None:
    filled = filters.fill(text, values)
    assert "<script" not in filled
    assert filled.count("<") == 2 * filled.count("<bdi>")
