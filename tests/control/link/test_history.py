"""The history of instances is bounded: what flaps comes to one line an hour."""

from datetime import timedelta
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from control.domain.outpost import InstanceEventKind
from control.link.history import MOST_IN_WINDOW, MOST_OF_OUTPOST, WINDOW, History
from tests.support.stores import Clock

KEY = (uuid4(), "u1")


def test_what_happens_is_told_word_by_word() -> None:
    clock = Clock()
    history = History(clock)
    history.note(KEY, InstanceEventKind.CONNECTED, "version 1 from 192.0.2.1")
    (event,) = history.take()
    told = (event.outpost, event.uid, event.at, event.kind, event.detail)
    assert told == (*KEY, clock.now, InstanceEventKind.CONNECTED, "version 1 from 192.0.2.1")
    assert history.take() == []


def test_an_instance_that_flaps_comes_to_one_line_more_an_hour() -> None:
    clock = Clock()
    history = History(clock)
    for number in range(3 * 3600):
        history.note(KEY, InstanceEventKind.DISCONNECTED, str(number))
        clock.advance(seconds=1)
    events = history.take_all()
    assert len(events) == 3 * (MOST_IN_WINDOW + 1)
    assert [event.detail for event in events if "within the hour" in event.detail] == [
        f"the last of {3600 - MOST_IN_WINDOW} events more within the hour: {3600 * hour - 1}" for hour in (1, 2, 3)
    ]


def test_the_line_is_written_when_the_hour_is_over_though_nothing_happens_any_more() -> None:
    clock = Clock()
    history = History(clock)
    for number in range(MOST_IN_WINDOW + 1):
        history.note(KEY, InstanceEventKind.FAILED, str(number))
    assert len(history.take()) == MOST_IN_WINDOW
    clock.now += WINDOW
    assert [event.detail for event in history.take()] == [str(MOST_IN_WINDOW)]


def test_what_could_not_be_written_comes_first_next_time() -> None:
    history = History(Clock())
    for detail in ("a", "b"):
        history.note(KEY, InstanceEventKind.FAILED, detail)
    taken = history.take()
    history.note(KEY, InstanceEventKind.RECOVERED, "c")
    history.give_back(taken)
    assert [event.detail for event in history.take()] == ["a", "b", "c"]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(-30, 90)), max_size=400))
def test_no_instance_comes_to_more_than_its_share_whatever_the_clock_does(steps: list[tuple[int, int]]) -> None:
    clock = Clock()
    history = History(clock)
    written: list[str] = []
    for uid, minutes in steps:
        clock.now += timedelta(minutes=minutes)
        history.note((KEY[0], str(uid)), InstanceEventKind.FAILED, "x")
        written += [event.uid for event in history.take()]
    begun = 1 + sum(1 for _, minutes in steps if minutes < 0) + sum(max(minutes, 0) for _, minutes in steps) // 60
    for uid in range(3):
        assert written.count(str(uid)) <= (MOST_IN_WINDOW + 1) * begun


def test_ever_new_instances_come_to_the_share_of_their_outpost() -> None:
    history = History(Clock())
    outpost, other = uuid4(), uuid4()
    for number in range(MOST_OF_OUTPOST + 500):
        history.note((outpost, str(number)), InstanceEventKind.CONNECTED, "x" * 5000)
    history.note((other, "u"), InstanceEventKind.CONNECTED, "y")
    events = history.take_all()
    assert len(events) == MOST_OF_OUTPOST + 1 + 1
    assert [event.detail[:8] for event in events if event.outpost == other] == ["y"]
    assert "the last of 500 events more within the hour" in events[-1].detail + events[-2].detail
    assert max(len(event.detail) for event in events) < 1100
