"""Who failed too often waits, and nobody else does."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from control.auth import lockout
from control.auth.lockout import FORGOTTEN, QUIET, RULES, UNREADABLE, Kind, one_more, place_of
from control.auth.passwords import HashLimits
from control.domain.decision import Admitted, Challenged, Channel, Refused, RefusedReason, Verdict
from control.domain.factors import Failures
from tests.support.attempts import ELSEWHERE, HOME, PROTOCOLS, THIEF, Door, count_hashes
from tests.support.auth import PASSWORD, cheap_passwords
from tests.support.stores import ADMIN, Clock

WRONG = Refused(reason=RefusedReason.INVALID_CREDENTIALS)


def locked(seconds: float) -> Refused:
    return Refused(reason=RefusedReason.LOCKED_OUT, retry_after=timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("", ""),
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::FFFF:c000:201", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("::1", "::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("192.0.2.1:8080", UNREADABLE),
        ("[::1]", UNREADABLE),
        ("192.0.2.1, 192.0.2.2", UNREADABLE),
        ("192.0.2.01", UNREADABLE),
        ("unknown", UNREADABLE),
        (" ", UNREADABLE),
        ("\0", UNREADABLE),
        ("x" * 100_000, UNREADABLE),
    ],
)
def test_cve_2024_47070_an_address_has_one_place_and_all_garbage_one(address: str, place: str) -> None:
    assert place_of(address) == place


@given(st.text() | st.ip_addresses().map(str))
def test_a_place_is_an_address_or_garbage_and_fits_its_column(address: str) -> None:
    place = place_of(address)
    assert len(f"{Kind.PAIR}/{uuid4()}/{place}") <= 80
    assert place == place_of(address)
    assert place in {"", UNREADABLE} or place.endswith("/64") or IPv4Address(place)


@given(st.ip_addresses(v=6), st.ip_addresses(v=6))
def test_ipv6_counts_by_the_network_that_a_site_has(one: IPv6Address, other: IPv6Address) -> None:
    if one.ipv4_mapped is None and other.ipv4_mapped is None:
        assert (place_of(str(one)) == place_of(str(other))) == (int(one) >> 64 == int(other) >> 64)


def nothing(clock: Clock) -> Failures:
    return Failures(bucket="user/x", shown="x", address="", count=0, first=clock.now, last=clock.now)


@pytest.mark.parametrize(
    ("kind", "waits"),
    [
        (Kind.USER, [0, 0, 0, 0, 15, 30, 60, 120, 240, 480, 900, 900]),
        (Kind.PAIR, [0, 0, 0, 0, 15, 30, 60, 120, 240, 480, 900, 900]),
        (Kind.ADDRESS, [*[0] * 19, 15, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600]),
    ],
)
def test_after_the_free_ones_each_failure_doubles_the_wait(kind: Kind, waits: list[int], clock: Clock) -> None:
    failures, found = nothing(clock), []
    for _ in waits:
        failures = one_more(kind, failures, clock.now)
        until = failures.locked_until
        found.append((until - clock.now).total_seconds() if until else 0)
    assert found == waits


def test_no_count_is_too_high(clock: Clock) -> None:
    failures = Failures(bucket="user/x", shown="", address="", count=10**6, first=clock.now, last=clock.now)
    assert one_more(Kind.USER, failures, clock.now).locked_until == clock.now + timedelta(minutes=15)


def test_five_failures_are_free_and_then_nothing_is_tried(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = count_hashes(monkeypatch)
    assert door.fail("alice", 5) == [WRONG] * 5
    assert len(hashed) == 5
    assert door.password("alice") == locked(15), "also the right one"
    door.clock.advance(seconds=14)
    assert door.password("alice") == locked(1)
    assert len(hashed) == 5, "no hash while nothing is tried"
    door.clock.advance(seconds=1)
    assert door.fail("alice", 2) == [WRONG, locked(30)]
    door.clock.advance(seconds=30)
    assert isinstance(door.password("alice"), Admitted)


@pytest.mark.parametrize("username", ["alice", "nobody", "a\u0301lvaro", "", "x" * 10_000, "\0", "robot"])
def test_unknown_names_count_and_lock_as_known_ones_do(door: Door, username: str) -> None:
    assert door.fail(username, 6) == [*[WRONG] * 5, locked(15)]


def test_a_name_is_one_however_it_is_composed(door: Door) -> None:
    assert door.fail("a\u0301lvaro", 3) + door.fail("\u00e1lvaro", 3) == [*[WRONG] * 5, locked(15)]


def test_success_forgets_the_failures_of_the_person_and_not_of_the_address(door: Door) -> None:
    for _ in range(5):
        door.fail("bob", 4)
        assert door.password("bob") == Refused(reason=RefusedReason.ACCESS_DENIED), "right, though not let in"
        door.clock.advance(minutes=1)
    assert door.fail("carol", 4)[-1] == WRONG
    (address,) = door.failures(f"address/{HOME}").values()
    assert address.count == 4 + 4, "what bob failed at before the place was his, and carol's"


def test_one_address_that_tries_many_names_waits(door: Door) -> None:
    answers = [door.fail(f"user{number}", 1, THIEF)[0] for number in range(21)]
    assert answers == [*[WRONG] * 20, locked(15)]
    assert door.password("bob", address=THIEF) == locked(15)
    assert door.password("bob", address=HOME) == Refused(reason=RefusedReason.ACCESS_DENIED)


def test_an_attacker_cannot_lock_anybody_out_of_where_they_are_known(door: Door) -> None:
    assert isinstance(door.password("alice"), Admitted)
    for number in range(30):
        door.fail("alice", 1, f"192.0.2.{number}")
    assert door.password("alice", address=ELSEWHERE) == locked(15)
    assert isinstance(door.password("alice"), Admitted), "at home"


def test_coming_in_at_home_gives_an_attacker_elsewhere_no_more_guesses(door: Door) -> None:
    door.password("alice")
    door.fail("alice", 4, THIEF)
    assert isinstance(door.password("alice"), Admitted)
    assert door.fail("alice", 2, THIEF) == [WRONG, locked(15)]


def test_a_flood_from_a_shared_address_leaves_those_known_there_alone(door: Door) -> None:
    door.password("alice")
    for number in range(21):
        door.fail(f"user{number}", 1)
    assert isinstance(door.password("alice"), Admitted)
    assert door.password("bob") == locked(15), "nobody known there"


def test_who_guesses_where_the_person_is_known_waits_there_alone(door: Door) -> None:
    door.password("alice")
    assert door.fail("alice", 6) == [*[WRONG] * 5, locked(15)]
    assert isinstance(door.password("alice", address=ELSEWHERE), Admitted)
    assert list(door.failures(f"user/{door.world.alice.id}", f"address/{HOME}")) == [f"address/{HOME}"]


def flood(door: Door, address: str = HOME) -> None:
    """Somebody tries names that nobody has until the address waits, which its usual people don't."""
    for number in range(20):
        assert door.fail(f"stranger{number}", 1, address) == [WRONG]


def test_while_an_address_waits_nobody_learns_who_comes_from_there(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    door.password("alice")
    door.account("carol")
    flood(door)
    hashed = count_hashes(monkeypatch)
    for _ in range(7):
        assert [door.fail(name, 1)[0] for name in ("alice", "carol", "nobody")] == [locked(15)] * 3
    assert len(hashed) == 21, "one hash each, also for who waits longer by now"
    door.clock.advance(seconds=14)
    assert door.password("alice") == locked(1), "that was guessed at"
    door.clock.advance(seconds=1)
    assert isinstance(door.password("alice"), Admitted)


def test_while_an_address_waits_only_who_is_known_there_comes_in(door: Door) -> None:
    door.password("alice")
    flood(door)
    assert door.password("bob") == locked(15), "with the right password"
    assert door.fail("alice", 4) == [locked(15)] * 4
    assert isinstance(door.password("alice"), Admitted)
    assert door.reasons()[-2:] == ["wrong password", "pwd"]
    assert door.failures(f"address/{HOME}")[f"address/{HOME}"].count == 20, "no failure makes the wait longer"


def test_while_an_address_waits_the_second_step_is_open_to_who_is_known_there(door: Door) -> None:
    app = door.enrol(door.world.alice)
    assert isinstance(door.password("alice", f"{PASSWORD};{app.code()}"), Admitted)
    door.clock.advance(seconds=30)
    flood(door)
    challenge = door.password("alice", dialogue=True)
    assert isinstance(challenge, Challenged)
    assert door.answer(challenge.state, "000000", dialogue=True) == locked(15)
    assert isinstance(door.answer(challenge.state, app.code(), dialogue=True), Admitted)


def test_addresses_that_wait_keep_nobody_elsewhere_waiting(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has one hash at a time, all have two; whoever comes beside that is answered at once, known or not."""
    passwords = cheap_passwords()
    door.decider = door.another(passwords)
    waiting = ("192.0.2.1", "192.0.2.2", HOME)
    door.password("alice")
    for address in waiting:
        flood(door, address)
    hashed = count_hashes(monkeypatch)
    with passwords.sparing(waiting[0]):
        assert door.fail("nobody", 1, waiting[0]) == [locked(15)]
        assert isinstance(door.password("alice"), Admitted)
        with passwords.sparing(waiting[1]):
            assert [door.password(name) for name in ("alice", "bob", "nobody")] == [locked(15)] * 3
            assert len(hashed) == 1
            assert door.password("bob", address=ELSEWHERE) == Refused(reason=RefusedReason.ACCESS_DENIED)
    assert isinstance(door.password("alice"), Admitted)


def test_guesses_at_those_known_at_an_address_count_for_it(door: Door) -> None:
    names = [f"colleague{number}" for number in range(7)]
    for name in names:
        door.account(name)
        assert isinstance(door.password(name), Admitted)
    answers = [door.fail(name, 1)[0] for _ in range(3) for name in names]
    assert answers == [*[WRONG] * 20, locked(15)]
    assert door.password("bob") == locked(15)


def test_slips_of_those_known_at_an_address_do_not_add_up(door: Door) -> None:
    door.password("alice")
    for _ in range(10):
        door.fail("alice", 3)
        assert isinstance(door.password("alice"), Admitted)
    assert door.failures(f"address/{HOME}")[f"address/{HOME}"].count == 0
    assert door.fail("nobody", 1) == [WRONG]


def test_once_an_address_had_to_wait_nobody_takes_failures_from_it(door: Door) -> None:
    door.password("alice")
    flood(door)
    for _ in range(5):
        assert door.fail("alice", 4) == [locked(15)] * 4
        assert isinstance(door.password("alice"), Admitted)
    door.clock.advance(seconds=15)
    assert door.fail("alice", 1) == [WRONG]
    assert isinstance(door.password("alice"), Admitted)
    assert door.fail("nobody", 1) == [locked(30)]


def test_a_place_is_known_for_thirty_days(door: Door) -> None:
    door.password("alice")
    door.fail("alice", 5, THIEF)
    assert isinstance(door.password("alice"), Admitted)
    door.clock.advance(days=30, seconds=1)
    door.fail("alice", 5, THIEF)
    assert door.password("alice") == locked(15)


@pytest.mark.parametrize("address", ["", "unknown", "192.0.2.1:80", "\ud800"])
def test_garbage_is_nobodys_known_place(door: Door, address: str) -> None:
    assert isinstance(door.password("alice", address=address), Admitted)
    door.fail("alice", 5, THIEF)
    assert door.password("alice", address=address) == locked(15)


def test_cve_2024_47070_garbage_addresses_are_one_and_lock_like_one(door: Door) -> None:
    garbage = ["unknown", "1.2.3", "x" * 500, "127.0.0.1:1", "' OR 1=1 --", "\r\nX: y"]
    answers = [door.fail(f"user{number}", 1, garbage[number % len(garbage)])[0] for number in range(21)]
    assert answers == [*[WRONG] * 20, locked(15)]


def test_own_programs_have_no_address_to_lock(door: Door) -> None:
    answers = [door.fail(f"user{number}", 1, "")[0] for number in range(25)]
    assert answers == [WRONG] * 25


@pytest.mark.parametrize("by", ["password", "token", "answer"])
def test_failures_at_the_same_moment_all_count(door: Door, by: str) -> None:
    door.decider = door.another(cheap_passwords(HashLimits(at_once=8, waiting=8, of_one_source=16)))
    together = threading.Barrier(12)

    def fail(number: int) -> Verdict:
        together.wait(30)
        if by == "password":
            return door.fail(f"user{number}", 1, THIEF)[0]
        return door.token(f"token{number}", THIEF) if by == "token" else door.answer(f"state{number}", "1", THIEF)

    with ThreadPoolExecutor(12) as threads:
        assert list(threads.map(fail, range(12))) == [WRONG] * 12
    (address,) = door.failures(f"address/{THIEF}").values()
    assert address.count == 12


def test_an_hour_of_quiet_begins_anew(door: Door) -> None:
    door.fail("alice", 5)
    door.clock.advance(seconds=15 + 3600)
    assert door.fail("alice", 6) == [*[WRONG] * 5, locked(15)]


def test_less_than_an_hour_goes_on(door: Door) -> None:
    door.fail("alice", 5)
    door.clock.advance(seconds=15 + 3599)
    assert door.fail("alice", 2) == [WRONG, locked(30)]


def test_all_channels_count_together(door: Door) -> None:
    for channel in (*PROTOCOLS, Channel.BROWSER, Channel.HTTP):
        assert door.fail("alice", 1, channel=channel) == [WRONG]
    for channel in (*PROTOCOLS, Channel.BROWSER):
        assert door.password("alice", channel=channel) == locked(15)


def test_a_wait_is_seen_and_lifted(door: Door) -> None:
    door.fail("alice", 5)
    with door.world.store.read() as unit:
        (found,) = lockout.locked(unit)
    assert (found.shown, found.address, found.count) == ("alice", HOME, 5)
    with door.world.store.write(ADMIN) as unit:
        lockout.lift(unit, found.bucket)
        lockout.lift(unit, "user/nobody")
    assert isinstance(door.password("alice"), Admitted)
    (began,) = door.events("locked_out")
    (lifted,) = door.events("lifted_lockout")
    assert (began.kind, began.target, began.name) == ("user", str(door.world.alice.id), "alice")
    assert (began.outcome, lifted.outcome) == ("failure", "success")
    assert "5 failures" in began.reason
    assert (lifted.actor, lifted.kind, lifted.name) == ("akadmin", "user", "alice")


def test_a_wait_is_told_once_whatever_hammers_on(door: Door) -> None:
    door.fail("alice", 50)
    assert door.reasons() == [*["wrong password"] * 5, "locked: user"]
    door.clock.advance(seconds=15)
    door.fail("alice", 50)
    assert door.reasons()[6:] == ["wrong password", "locked: user"]


def test_locks_are_counted(door: Door) -> None:
    def count(kind: str) -> float:
        return REGISTRY.get_sample_value("garrison_lockouts_total", {"kind": kind}) or 0.0

    before = {kind: count(kind) for kind in Kind}
    door.fail("alice", 6)
    door.password("bob", address=ELSEWHERE)
    door.fail("bob", 6, ELSEWHERE)
    assert {kind: count(kind) - before[kind] for kind in Kind} == {Kind.USER: 1, Kind.PAIR: 1, Kind.ADDRESS: 0}


def test_names_are_kept_bounded_and_in_one_line(door: Door) -> None:
    door.fail("evil\r\n\x1b[2J\u202e" + "x" * 10_000, 5)
    with door.world.store.read() as unit:
        (found,) = lockout.locked(unit)
    assert found.shown.isprintable()
    assert len(found.shown) == 150
    (event,) = door.events("locked_out")
    assert event.name.isprintable()


def test_what_no_longer_matters_is_forgotten(door: Door) -> None:
    door.password("alice")
    door.fail("bob", 5, THIEF)
    door.clock.advance(seconds=FORGOTTEN.total_seconds())
    with door.world.store.write(ADMIN) as unit:
        lockout.clean_up(unit)
    assert door.failures(f"address/{THIEF}") != {}
    door.clock.advance(seconds=1)
    with door.world.store.write(ADMIN) as unit:
        lockout.clean_up(unit)
        assert unit.failures.is_familiar(door.world.alice.id, HOME, door.clock.now - lockout.FAMILIAR)
    assert door.failures(f"address/{THIEF}", f"user/{door.world.bob.id}") == {}
    door.clock.advance(days=30)
    with door.world.store.write(ADMIN) as unit:
        lockout.clean_up(unit)
        assert not unit.failures.is_familiar(door.world.alice.id, HOME, door.clock.now - timedelta(days=365))


def test_nothing_is_forgotten_that_still_counts() -> None:
    assert all(rule.longest + QUIET <= FORGOTTEN for rule in RULES.values())


def test_counting_is_no_change_for_outposts(door: Door) -> None:
    with door.world.store.read() as unit:
        before = unit.revision()
    door.fail("alice", 6)
    door.password("bob", address=ELSEWHERE)
    with door.world.store.read() as unit:
        assert unit.revision() == before
