import gevent
import pytest

from dataplane.protocols.proxy.relay.lanes import LaneFull, Lanes


def test_a_place_is_free_again_when_it_was_left() -> None:
    lanes = Lanes(1)
    place = lanes.take("192.0.2.1", 0)
    with pytest.raises(LaneFull):
        lanes.take("192.0.2.1", 0)
    lanes.take("192.0.2.2", 0).give_back()
    place.give_back()
    place.give_back()
    lanes.take("192.0.2.1", 0).give_back()
    assert len(lanes) == 0


def test_who_waits_gets_the_next_place() -> None:
    lanes = Lanes(1)
    place = lanes.take("192.0.2.1", 0)
    gevent.spawn_later(0.01, place.give_back)
    second = lanes.take("192.0.2.1", 5)
    assert len(lanes) == 1
    second.give_back()
    assert len(lanes) == 0


def test_a_place_that_was_waited_for_in_vain_is_nobodys() -> None:
    """Its turn comes in the moment in which the waiting is broken off from elsewhere."""
    lanes = Lanes(1)
    place = lanes.take("192.0.2.1", 0)
    waiting = gevent.spawn(lanes.take, "192.0.2.1", 5)
    gevent.sleep(0)
    waiting.kill(block=False)
    place.give_back()
    waiting.join()
    assert len(lanes) == 0
