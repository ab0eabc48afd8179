"""Places for questions about credentials: strangers leave room for those who are known."""

from collections import Counter
from contextlib import ExitStack

from dataplane import crowding
from dataplane.crowding import Crowd, Places

PLACES = Places(all=6, of_strangers=4, of_client=5, of_stranger=2)


def crowd() -> tuple[Crowd, Counter[str]]:
    limits: Counter[str] = Counter()
    return Crowd(PLACES, limits), limits


def test_a_flood_of_strangers_leaves_room_for_whoever_is_known() -> None:
    places, limits = crowd()
    places.know("app")
    with ExitStack() as under_way:
        for number in range(4):
            assert not places.is_full_for(f"stranger {number}")
            under_way.enter_context(places.entered(f"stranger {number}"))
        assert places.is_full_for("stranger 5")
        assert limits == {"attempts": 1}
        for _ in range(2):
            assert not places.is_full_for("app")
            under_way.enter_context(places.entered("app"))
        assert places.is_full_for("app")
    assert not places.is_full_for("stranger 5")


def test_one_stranger_has_a_small_share_and_who_is_known_a_larger_one() -> None:
    places, limits = crowd()
    with places.entered("a"), places.entered("a"):
        assert places.is_full_for("a")
        assert not places.is_full_for("b")
        assert limits == {"attempts_of_client": 1}
        places.know("a")
        assert not places.is_full_for("a")
    with ExitStack() as under_way:
        for _ in range(5):
            under_way.enter_context(places.entered("a"))
        assert places.is_full_for("a")


def test_who_becomes_known_in_between_leaves_as_the_stranger_that_entered() -> None:
    places, _ = crowd()
    with places.entered("a"):
        places.know("a")
    with ExitStack() as under_way:
        for number in range(4):
            under_way.enter_context(places.entered(f"stranger {number}"))
        assert places.is_full_for("another")


def test_the_client_that_was_longest_without_is_forgotten() -> None:
    places, _ = crowd()
    for number in range(crowding._MOST_KNOWN + 1):
        places.know(str(number))
    with places.entered("0"), places.entered("0"):
        assert places.is_full_for("0")
    with places.entered("1"), places.entered("1"):
        assert not places.is_full_for("1")
