import gevent
import pytest

from dataplane.protocols.proxy.relay.lanes import LaneFull, Lanes


def test_a_place_is_free_again_when_it_was_left() -> None:
    lanes = Lanes(1)
    with lanes.place("192.0.2.1", 0) as place:
        with pytest.raises(LaneFull), lanes.place("192.0.2.1", 0):
            pass
        with lanes.place("192.0.2.2", 0):
            pass
        place.give_back()
        place.give_back()
        with lanes.place("192.0.2.1", 0):
            pass
    assert len(lanes) == 0


def test_who_waits_gets_the_next_place() -> None:
    lanes = Lanes(1)
    with lanes.place("192.0.2.1", 0) as place:
        gevent.spawn_later(0.01, place.give_back)
        with lanes.place("192.0.2.1", 5):
            assert len(lanes) == 1
    assert len(lanes) == 0
