"""Events that anybody may cause are counted when they are many, and none of them is lost."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from control.store import Event
from control.store.crowds import FREE, OTHERS, Crowds

NOW = datetime(2026, 1, 1, tzinfo=UTC)
COMMON = Event(action="signed_in", kind="user", target="", name="nobody", outcome="failure", common=True)
RARE = Event(action="created", kind="user", target="7", name="alice")


def test_what_is_no_crowds_is_always_told() -> None:
    crowds = Crowds()
    events = [RARE] * 3 * FREE
    assert list(crowds.told(events, NOW)) == events


def test_each_action_has_its_own_allowance() -> None:
    crowds = Crowds()
    lock = Event(action="locked_out", kind="address", target="", name="192.0.2.1", common=True)
    assert len(list(crowds.told([COMMON] * 2 * FREE, NOW))) == FREE
    assert list(crowds.told([lock], NOW)) == [lock]


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(-60, 600)), max_size=20))
def test_no_more_is_told_than_is_allowed_and_all_of_it_in_the_end(floods: list[tuple[int, int]]) -> None:
    crowds, now, came, told = Crowds(), NOW, 0, list[Event]()
    passed = 0
    for number, seconds in floods:
        now += timedelta(seconds=seconds)
        passed += max(seconds, 0)
        told += crowds.told([COMMON] * number, now)
        came += number
    assert sum(event.name != OTHERS for event in told) <= FREE + passed
    told += crowds.told([COMMON], now + timedelta(hours=1))
    assert sum(event.count for event in told) == came + 1
