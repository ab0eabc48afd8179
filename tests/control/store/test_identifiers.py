"""Ids that sort as they were made."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from control.store.identifiers import ordered_id

MOMENTS = st.integers(0, 2**37).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@given(moment=MOMENTS)
def test_they_are_uuids_of_version_7(moment: datetime) -> None:
    made = ordered_id(moment)
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert made.int >> 80 == round(moment.timestamp() * 1000)


@given(moment=MOMENTS)
def test_of_one_moment_they_sort_as_they_were_made(moment: datetime) -> None:
    made = [ordered_id(moment) for _ in range(50)]
    assert sorted(made, key=str) == made


def test_later_moments_sort_later() -> None:
    moment = datetime(2026, 11, 22, tzinfo=UTC)
    earlier, later = ordered_id(moment), ordered_id(moment + timedelta(milliseconds=1))
    assert earlier < later
