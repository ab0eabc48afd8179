"""Who gets a place: strangers, however many, take none of what has settled, and one client none of another's share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.io.places import Places, Room
from dataplane.io.stream import LimitHit

ROOM = Room(newcomers=8, settled=4, settled_per_client=3)


def entered(places: Places[str], owner: str, client: str) -> str:
    """What came of it: empty for a place, the name of a limit, or who lost its own."""
    try:
        return places.enter(owner, client) or ""
    except LimitHit as hit:
        return hit.limit


def filled(*clients: str) -> Places[str]:
    """As many newcomers as there may be, of these clients in turn."""
    places = Places[str](ROOM)
    for number in range(ROOM.newcomers):
        client = clients[number % len(clients)]
        assert entered(places, f"{client}{number}", client) == ""
    return places


def test_one_client_alone_may_take_all_places_but_no_more() -> None:
    places = filled("a")
    assert entered(places, "more", "a") == "link_newcomers"
    assert len(places) == 8


def test_who_has_most_makes_room_for_who_has_less_until_both_have_as_many() -> None:
    places = filled("a")
    displaced = [entered(places, f"b{number}", "b") for number in range(5)]
    assert displaced == ["a0", "a1", "a2", "a3", "link_newcomers"]
    assert entered(places, "c", "c") in {"a4", "b0"}
    assert len(places) == 8


def test_what_has_settled_keeps_its_place_and_leaves_that_of_a_newcomer() -> None:
    places = filled("a")
    places.settle("a0")
    assert entered(places, "a8", "a") == ""
    for number in range(100):
        entered(places, f"x{number}", f"x{number}")
    assert "a0" in list(places)
    assert len(places) == 9


@pytest.mark.parametrize(
    ("clients", "limit"),
    [("abca", "link_connections"), ("aaa", "link_connections_per_peer"), ("aabb", "link_connections")],
)
def test_what_has_settled_is_bounded(clients: str, limit: str) -> None:
    places = Places[str](ROOM)
    for number, client in enumerate(clients):
        assert entered(places, f"{client}{number}", client) == ""
        places.settle(f"{client}{number}")
    assert entered(places, "late", "a") == limit
    places.leave("a0")
    assert entered(places, "later", "a") == ""


def test_whoever_leaves_or_settles_without_a_place_changes_nothing() -> None:
    places = Places[str](ROOM)
    places.leave("nobody")
    places.settle("nobody")
    assert len(places) == 0


@given(st.lists(st.tuples(st.sampled_from(["enter", "settle", "leave"]), st.integers(0, 30), st.sampled_from("abcde"))))
def test_nothing_is_lost_or_counted_twice(steps: list[tuple[str, int, str]]) -> None:
    places = Places[int](ROOM)
    inside: dict[int, str] = {}
    for step, owner, client in steps:
        match step:
            case "enter" if owner not in inside:
                try:
                    displaced = places.enter(owner, client)
                except LimitHit:
                    continue
                inside[owner] = client
                inside.pop(-1 if displaced is None else displaced, None)
            case "settle":
                places.settle(owner)
            case "leave":
                places.leave(owner)
                inside.pop(owner, None)
            case _:
                continue
        assert sorted(places) == sorted(inside)
        assert len(places) == len(inside) <= ROOM.newcomers + ROOM.newcomers + ROOM.settled
