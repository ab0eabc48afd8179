"""When a worker's end is an accident and when it is a loop, and since when nobody serves."""

import math

import pytest

from dataplane.runtime.fates import Fates, describe_exit


def fates() -> Fates:
    return Fates(settled=30.0)


def life(subject: Fates, slot: int, began: float, ended: float, how: str = "killed by SIGSEGV") -> int:
    subject.began(slot, began)
    subject.serves(slot)
    return subject.ended(slot, how, ended)


def test_one_death_is_an_accident_and_three_in_a_row_are_none() -> None:
    subject = fates()
    assert [life(subject, 1, began, began + 1) for began in (0, 10)] == [1, 2]
    assert subject.trouble(11) == ""
    assert life(subject, 1, 20, 21) == 3
    assert subject.looping(21) == (1,)
    assert subject.trouble(21) == "worker 1 keeps ending (3 times in a row, the last time killed by SIGSEGV)"


def test_a_worker_that_has_settled_makes_good_for_those_before_it() -> None:
    subject = fates()
    for began in (0, 10, 20):
        life(subject, 0, began, began + 1)
    subject.began(0, 30)
    subject.serves(0)
    assert subject.looping(59) == (0,)
    assert subject.looping(60) == ()
    assert subject.ended(0, "", 61) == 1


def test_one_that_hangs_at_its_start_has_not_settled() -> None:
    subject = fates()
    for began in (0, 40, 80):
        subject.began(0, began)
        subject.ended(0, "it is not ready after 30 s", began + 29)
    subject.began(0, 120)
    assert subject.looping(155) == (0,)


def test_nobody_serves_from_the_last_ones_end_on() -> None:
    subject = fates()
    assert subject.unserved(5) == math.inf
    subject.serves(0)
    subject.serves(1)
    subject.ended(0, "", 7)
    assert subject.unserved(8) == 0
    subject.rests(1, 9)
    assert subject.unserved(11) == 2
    # One that dies before it serves leaves it so.
    subject.ended(1, "", 12)
    assert subject.unserved(13) == 4
    subject.serves(0)
    assert subject.unserved(14) == 0


@pytest.mark.parametrize(
    ("status", "words"), [(1, "with exit status 1"), (-11, "killed by SIGSEGV"), (-99, "killed by signal 99")]
)
def test_ends_in_words(status: int, words: str) -> None:
    assert describe_exit(status) == words
