"""Changing the own password is no place to guess at the present one, nor by many guesses at once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from control.auth.own_password import OwnPassword, change_own_password
from control.auth.passwords import HashLimits, Passwords
from control.domain.errors import Invalid
from control.store import Actor
from tests.support.attempts import THIEF, Door
from tests.support.auth import PASSWORD, cheap_passwords

NEW = "a-brand-new-password"


def change(door: Door, present: str, new: str = NEW, passwords: Passwords | None = None, address: str = THIEF) -> str:
    """What became of it: the code of the problem, or nothing."""
    sign_in = door.world.sign_in().sign_in
    actor = Actor(name="alice", address=address)
    try:
        typed = OwnPassword(present=present, new=new)
        change_own_password(door.world.store, passwords or door.world.passwords, actor, sign_in, typed)
    except Invalid as invalid:
        return invalid.problems[0].code
    return ""


def test_who_knows_the_present_password_sets_a_new_one(door: Door) -> None:
    assert change(door, PASSWORD) == ""
    assert change(door, PASSWORD) == "wrong_password"
    assert change(door, NEW, PASSWORD) == ""


def test_guesses_at_the_same_moment_get_no_more_than_the_free_ones(door: Door) -> None:
    crowded = cheap_passwords(HashLimits(at_once=8, waiting=16, of_one_source=24))
    together = threading.Barrier(12)

    def guess(number: int) -> str:
        together.wait(30)
        return change(door, f"guess {number}", passwords=crowded, address=f"192.0.2.{number}")

    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(guess, range(12)))
    assert sorted(answers) == ["too_often"] * 7 + ["wrong_password"] * 5
    (failures,) = door.failures(f"user/{door.world.alice.id}").values()
    assert failures.count == 5


@pytest.mark.parametrize("new", [NEW, "short"])
def test_the_right_guess_at_the_moment_of_a_lock_is_not_told(
    door: Door, new: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = Passwords.verify

    def meanwhile(self: Passwords, password_hash: str | None, password: str, source: str = "") -> bool:
        monkeypatch.setattr(Passwords, "verify", verify)
        door.fail("alice", 5, THIEF)
        return verify(self, password_hash, password, source)

    monkeypatch.setattr(Passwords, "verify", meanwhile)
    assert change(door, PASSWORD, new) == "too_often"
