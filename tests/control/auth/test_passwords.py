"""Passwords: the same work for every answer, limits that hold, rules that name what is wrong."""

import threading
import time

import pytest
from argon2 import PasswordHasher
from hypothesis import given, settings
from hypothesis import strategies as st

from control.auth.passwords import (
    REFUSED,
    RFC_9106,
    Busy,
    HashLimits,
    Parameters,
    Passwords,
    password_hash_problems,
    password_problems,
)
from tests.support.auth import CHEAP, cheap_passwords
from tests.support.peers_program import eventually


def test_the_parameters_are_those_of_rfc_9106() -> None:
    assert Parameters(memory=65_536, passes=3, lanes=4) == RFC_9106


def test_a_hash_is_argon2id_and_fits_its_password_alone() -> None:
    passwords = cheap_passwords()
    hashed = passwords.hash("correct-horse")
    assert hashed.startswith("$argon2id$v=19$m=8,t=1,p=1$")
    assert passwords.verify(hashed, "correct-horse")
    assert not passwords.verify(hashed, "correct-horsf")
    assert not passwords.verify(hashed, "")
    assert hashed != passwords.hash("correct-horse"), "salted"


UNUSABLE = [None, "", "plain", "$argon2id$", "$2b$12$abcdefghijklmnopqrstuv", "$argon2id$v=19$m=8,t=1,p=1$AAAA$", "é"]


@pytest.mark.parametrize("unusable", UNUSABLE)
def test_cve_2026_85595_without_a_usable_hash_no_password_fits(unusable: str | None) -> None:
    passwords = cheap_passwords()
    for password in ("", "plain", "nobody has this password", "\0", "é" * 100):
        assert passwords.verify(unusable, password) is False


def test_the_work_is_the_same_for_every_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords = cheap_passwords()
    hashed = passwords.hash("correct-horse")
    passwords.verify(None, "warm up")
    checked: list[str] = []
    verify = PasswordHasher.verify

    def counted(self: PasswordHasher, hash: str, password: str) -> bool:  # noqa: A002 - argon2's own name
        checked.append(hash.rsplit("$", 2)[0])
        return verify(self, hash, password)

    monkeypatch.setattr(PasswordHasher, "verify", counted)
    for password_hash, password in ((hashed, "correct-horse"), (hashed, "wrong"), (None, "x"), ("junk", "x")):
        passwords.verify(password_hash, password)
    assert checked == ["$argon2id$v=19$m=8,t=1,p=1"] * 4


def test_composed_and_decomposed_letters_are_the_same_password() -> None:
    passwords = cheap_passwords()
    assert passwords.verify(passwords.hash("caf\u00e9 noir"), "cafe\u0301 noir")


def test_newer_parameters_make_a_hash_outdated() -> None:
    old = Passwords(CHEAP).hash("correct-horse")
    assert not Passwords(CHEAP).is_outdated(old)
    assert Passwords(Parameters(memory=16, passes=1, lanes=1)).is_outdated(old)
    assert Passwords(CHEAP).is_outdated("junk")


def test_a_flood_waits_and_beyond_the_queue_is_told_to_come_back() -> None:
    passwords = Passwords(CHEAP, HashLimits(at_once=1, waiting=1, patience=60, retry_after=7))
    answers: list[str] = []
    refused = REFUSED._value.get()

    def attempt() -> None:
        try:
            passwords.verify(None, "x")
            answers.append("checked")
        except Busy as busy:
            answers.append(f"busy {busy.retry_after}")

    threads = [threading.Thread(target=attempt) for _ in range(5)]
    with passwords._turn():
        for thread in threads:
            thread.start()
        eventually(lambda: len(answers) == 4, "all but the one that waits have their answer")
    for thread in threads:
        thread.join(60)
    assert answers == ["busy 7"] * 4 + ["checked"]
    assert REFUSED._value.get() == refused + 4
    assert passwords.verify(None, "x") is False, "the queue is empty again"


def test_a_flood_from_one_address_leaves_places_for_others() -> None:
    passwords = Passwords(CHEAP, HashLimits(at_once=1, waiting=5, of_one_source=2, patience=30))
    answers: list[bool] = []

    def attempt(source: str) -> threading.Thread:
        thread = threading.Thread(target=lambda: answers.append(passwords.verify(None, "x", source)))
        thread.start()
        return thread

    with passwords._turn():
        flood = [attempt("192.0.2.1") for _ in range(2)]
        deadline = time.monotonic() + 30
        while passwords._sources["192.0.2.1"] < 2 and time.monotonic() < deadline:
            pass
        with pytest.raises(Busy):
            passwords.verify(None, "x", "192.0.2.1")
        other = attempt("192.0.2.2")
    for thread in (*flood, other):
        thread.join(30)
    assert answers == [False] * 3
    assert not passwords._sources, "nobody is remembered"


def test_who_waits_too_long_is_told_to_come_back() -> None:
    slow = Passwords(Parameters(memory=65_536, passes=8, lanes=1), HashLimits(at_once=1, patience=0.01))
    started = threading.Event()

    def occupy() -> None:
        with slow._turn():
            started.set()
            deadline = time.monotonic() + 30
            while not done.wait(0.01) and time.monotonic() < deadline:
                pass

    done = threading.Event()
    thread = threading.Thread(target=occupy)
    thread.start()
    started.wait(30)
    with pytest.raises(Busy, match="too many password checks"):
        slow.verify(None, "x")
    done.set()
    thread.join(30)


RULES = [
    ("correct-horse", []),
    ("12345678", []),
    ("1234567", ["too_short"]),
    ("", ["too_short"]),
    ("x" * 1024, []),
    ("x" * 1025, ["too_long"]),
    ("alice.doe", ["same_as_username"]),
    ("ALICE.DOE", ["same_as_username"]),
]


@pytest.mark.parametrize(("password", "codes"), RULES)
def test_password_rules(password: str, codes: list[str]) -> None:
    problems = password_problems("alice.doe", password)
    assert [problem.code for problem in problems] == codes
    assert all(problem.found == "" for problem in problems), "a problem never tells the password"


def test_hashes_from_elsewhere_are_argon2id_of_bounded_cost() -> None:
    assert password_hash_problems(cheap_passwords().hash("x")) == []
    assert [p.code for p in password_hash_problems("$2b$12$abcdefghijklmnopqrstuv")] == ["not_argon2id"]
    costly = "$argon2id$v=19$m={},t={},p={}$c29tZXNhbHRzb21l$c29tZWhhc2hzb21laGFzaHNvbWVoYXNo"
    for memory, passes, lanes in ((99_999_999, 3, 4), (65_536, 999, 4), (65_536, 3, 999), (65_536, 0, 1)):
        assert [p.code for p in password_hash_problems(costly.format(memory, passes, lanes))] == ["too_costly"]


@settings(max_examples=60)
@given(password=st.text(max_size=40), other=st.text(max_size=40), junk=st.text(max_size=60))
def test_any_text_is_a_password_and_no_hash(password: str, other: str, junk: str) -> None:
    passwords = cheap_passwords()
    hashed = passwords.hash(password)
    assert passwords.verify(hashed, password)
    assert not passwords.verify(hashed, password + "x")
    assert not passwords.verify(junk, other)
