"""The time of an answer tells nothing of a name: distributions compared, of this thread's time and not of the clock's.

Attempts of each kind take turns, so that what else the machine does meets all of them.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from statistics import quantiles

import pytest

from control.auth.passwords import Parameters, Passwords
from control.domain.decision import Channel, Refused, RefusedReason
from control.domain.identity import UserKind
from tests.support.attempts import Door
from tests.support.stores import ADMIN

# A hash takes some milliseconds of one thread: most of an answer, as in earnest.
SCALED = Parameters(memory=4_096, passes=3, lanes=1)
ROUNDS = 25
NOTICEABLE = 1.4


def differ(one: Sequence[float], other: Sequence[float]) -> float:
    """By what factor the quicker half of the one took longer than that of the other, or the other way round."""
    ratios = [first / second for first, second in zip(quarters(one), quarters(other), strict=True)]
    return max(max(ratio, 1 / ratio) for ratio in ratios)


def quarters(times: Sequence[float]) -> list[float]:
    """The lower quartile and the median; above them is what the machine did beside."""
    return quantiles(times, n=4)[:2]


def prepare(door: Door) -> None:
    """Accounts of every kind, with a hash that costs what others do; and a door that computes such hashes."""
    passwords = Passwords(SCALED)
    hashed = passwords.hash("correct-horse")
    door.account("asleep", active=False)
    door.account("robot", UserKind.SERVICE)
    with door.world.store.write(ADMIN) as unit:
        for user in unit.users.all():
            unit.users.update(replace(user, password_hash=None if user.username == "bob" else hashed))
    door.decider = door.another(passwords)
    door.password("warm", "up", "")


@pytest.mark.parametrize("channel", [Channel.BROWSER, Channel.HTTP])
def test_unknown_and_known_names_take_the_same_time(door: Door, channel: Channel) -> None:
    prepare(door)
    took: dict[str, list[float]] = {name: [] for name in ("alice", "bob", "asleep", "robot", "nobody")}
    for _ in range(ROUNDS):
        for name, times in took.items():
            began = time.thread_time()
            answer = door.password(name, "wrong", "", channel=channel)
            times.append(time.thread_time() - began)
            assert answer == Refused(reason=RefusedReason.INVALID_CREDENTIALS)
        door.clock.advance(hours=2)
    unknown = took.pop("nobody")
    for name, times in took.items():
        assert differ(times, unknown) < NOTICEABLE, name


def test_the_comparison_would_notice_a_hash_that_is_left_out(door: Door) -> None:
    prepare(door)
    with_hash: list[float] = []
    without: list[float] = []
    for _ in range(ROUNDS):
        began = time.thread_time()
        door.password("alice", "wrong", "")
        between = time.thread_time()
        door.token("x", "")
        with_hash.append(between - began)
        without.append(time.thread_time() - between)
        door.clock.advance(hours=2)
    assert differ(with_hash, without) > NOTICEABLE
