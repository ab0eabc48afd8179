"""Kept answers while control is away, among crowds that ask at once, and among the workers of one outpost."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from dataplane.config import Ended
from dataplane.crowding import Places
from dataplane.gate import (
    BearerToken,
    Challenge,
    Denied,
    DenyReason,
)
from dataplane.verifier import Kept, Lesson, Sharing, Source, Verified, VerifierLimits
from tests.support.fake_control import eventually
from tests.support.verifying import (
    AWAY,
    HOUR,
    MINUTE,
    NO,
    NOW,
    OPTIONS,
    SECRET,
    YES,
    YES_BOB,
    Bench,
    BrokenOff,
)


@pytest.fixture
def bench() -> Bench:
    return Bench()


class TestOutage:
    def test_older_answers_count_while_control_is_away(self, bench: Bench) -> None:
        bench.ask()
        bench.later(24 * HOUR - 1)
        bench.gate.answer = AWAY
        assert bench.ask() == Verified(YES, Source.OFFLINE)
        assert bench.verifier.counts["offline"] == 1
        bench.later(1)
        assert bench.ask() == Verified(AWAY, Source.CONTROL)

    def test_control_is_asked_first(self, bench: Bench) -> None:
        bench.ask()
        bench.later(HOUR)
        bench.gate.answer = NO
        assert bench.ask() == Verified(NO, Source.CONTROL)

    def test_unknown_credentials_have_to_wait(self, bench: Bench) -> None:
        bench.ask()
        bench.gate.answer = AWAY
        assert bench.ask(replace(SECRET, password="other")).answer is AWAY

    def test_an_outage_makes_nothing_younger(self, bench: Bench) -> None:
        bench.ask()
        bench.gate.answer = AWAY
        for _ in range(25):
            bench.later(HOUR)
            answer = bench.ask().answer
        assert answer is AWAY

    def test_no_grace_is_no_grace(self) -> None:
        bench = Bench(options=replace(OPTIONS, offline_grace=0.0))
        bench.ask()
        bench.later(11 * MINUTE)
        bench.gate.answer = AWAY
        assert bench.ask().answer is AWAY

    def test_a_control_that_is_there_and_refuses_the_outpost_is_no_outage(self, bench: Bench) -> None:
        bench.ask()
        bench.later(11 * MINUTE)
        bench.gate.answer = replace(AWAY, refused=True)
        assert bench.ask().answer == bench.gate.answer

    @pytest.mark.parametrize("reason", [DenyReason.LOCKED_OUT, DenyReason.BUSY])
    def test_who_has_to_wait_is_not_let_in_by_an_older_answer_but_keeps_it(
        self, bench: Bench, reason: DenyReason
    ) -> None:
        bench.ask()
        bench.later(11 * MINUTE)
        bench.gate.answer = Denied(reason=reason, retry_after=15.0)
        assert bench.ask() == Verified(bench.gate.answer, Source.CONTROL)
        bench.later(15)
        bench.gate.answer = AWAY
        assert bench.ask().source is Source.OFFLINE


class TestCrowds:
    def test_the_same_attempt_at_the_same_time_is_one_question(self, bench: Bench) -> None:
        bench.gate.answer = NO
        with ThreadPoolExecutor(8) as pool:
            with bench.gate.held():
                asked = [pool.submit(bench.ask) for _ in range(8)]
                eventually(lambda: bench.asked() == 1, "control is asked")
            assert [each.result(5).answer for each in asked] == [NO] * 8
        assert bench.asked() <= 8
        assert bench.verifier.counts["shared"] + bench.asked() == 8

    def test_from_elsewhere_it_is_a_question_of_its_own(self, bench: Bench) -> None:
        """Whether an address is locked out concerns those who are there."""
        bench.gate.answer = NO
        with ThreadPoolExecutor(2) as pool:
            with bench.gate.held():
                asked = [pool.submit(bench.ask, address=address) for address in ("192.0.2.7", "198.51.100.1")]
                eventually(lambda: bench.asked() == 2, "both are asked about")
            assert [each.result(5).answer for each in asked] == [NO] * 2

    def test_what_a_code_opens_is_for_one_alone(self, bench: Bench) -> None:
        bench.gate.answer = replace(YES, cache=0.0)
        coded = replace(SECRET, password="secret;123456")
        with ThreadPoolExecutor(3) as pool:
            with bench.gate.held():
                asked = [pool.submit(bench.ask, coded) for _ in range(3)]
                eventually(lambda: bench.asked() == 1, "control is asked")
            for each in asked:
                each.result(5)
        assert bench.asked() == 3

    def test_one_client_takes_its_share_and_no_more(self) -> None:
        bench = Bench(VerifierLimits(places=Places(all=8, of_strangers=8, of_client=2, of_stranger=2)))
        with ThreadPoolExecutor(4) as pool:
            with bench.gate.held():
                guesses = [BearerToken(f"guess{number}") for number in range(2)]
                asked = [pool.submit(bench.ask, guess, "p1", f"2001:db8::{n}") for n, guess in enumerate(guesses)]
                eventually(lambda: bench.asked() == 2, "two are asked about")
                turned_away = bench.ask(BearerToken("one more"), address="2001:db8::ffff")
                assert turned_away.answer == Denied(reason=DenyReason.BUSY, retry_after=1.0)
                other = pool.submit(bench.ask, address="198.51.100.1")
                eventually(lambda: bench.asked() == 3, "another client is asked about")
            for each in (*asked, other):
                assert each.result(5).answer is YES
        assert bench.verifier.limits == {"attempts_of_client": 1}
        assert bench.ask(BearerToken("one more"), address="2001:db8::ffff").answer is YES

    def test_all_clients_together_have_a_bound_that_is_none_for_those_known(self) -> None:
        bench = Bench(VerifierLimits(places=Places(all=2, of_strangers=2, of_client=2, of_stranger=2)))
        bench.ask()
        bench.later(11 * MINUTE)
        with ThreadPoolExecutor(3) as pool:
            with bench.gate.held():
                asked = [pool.submit(bench.ask, BearerToken(f"g{n}"), "p1", f"198.51.100.{n}") for n in range(2)]
                eventually(lambda: bench.asked() == 3, "two are asked about")
                assert isinstance(bench.ask(BearerToken("x"), address="203.0.113.1").answer, Denied)
                known = pool.submit(bench.ask)
                eventually(lambda: bench.asked() == 4, "who was let in before is asked about")
            for each in (*asked, known):
                assert each.result(5).answer is YES
        assert bench.verifier.limits == {"attempts": 1}

    def test_the_least_used_goes_first(self) -> None:
        bench = Bench(VerifierLimits(entries=2))
        first, second, third = (BearerToken(f"t{number}") for number in range(3))
        bench.ask(first)
        bench.ask(second)
        assert bench.ask(first).source is Source.CACHE
        bench.ask(third)
        assert [bench.ask(each).source for each in (first, third)] == [Source.CACHE] * 2
        assert bench.ask(second).source is Source.CONTROL
        assert len(bench.verifier) == 2
        assert bench.verifier.limits["entries"] == 2

    def test_one_person_has_a_share_of_its_own(self) -> None:
        """Control takes one app password in thousands of spellings: that takes room from its owner alone."""
        bench = Bench(VerifierLimits(entries=10, entries_of_subject=3))
        bench.gate.answer = YES_BOB
        bench.ask(BearerToken("bob"))
        bench.gate.answer = YES
        spellings = [BearerToken(spelling) for spelling in ("abcd", "ABCD", "ab cd", "a-bcd")]
        for each in spellings:
            bench.ask(each)
        assert len(bench.verifier) == 4
        assert bench.verifier.limits == {"entries_of_subject": 1}
        kept = (BearerToken("bob"), *spellings[1:])
        assert [bench.ask(each).source for each in kept] == [Source.CACHE] * 4
        assert bench.ask(spellings[0]).source is Source.CONTROL, "the oldest gave way"

    def test_asking_anew_takes_no_more_of_the_share(self) -> None:
        bench = Bench(VerifierLimits(entries_of_subject=2))
        first, second = BearerToken("first"), BearerToken("second")
        for _ in range(3):
            bench.ask(first)
            bench.ask(second)
            bench.later(11 * MINUTE)
        assert (len(bench.verifier), bench.verifier.limits) == (2, {})

    def test_what_other_workers_learn_counts_for_the_share_too(self) -> None:
        bench = Bench(VerifierLimits(entries_of_subject=2))
        for number in range(5):
            kept = Kept(allowed=YES, provider="p1", at=bench.clock())
            bench.verifier.learn(Lesson(digest=b"%d" % number, kept=kept))
        assert (len(bench.verifier), bench.verifier.limits) == (2, {"entries_of_subject": 3})

    def test_a_question_that_breaks_off_leaves_nobody_waiting(self, bench: Bench) -> None:
        bench.gate.failures = 1
        with ThreadPoolExecutor(2) as pool:
            with bench.gate.held():
                first = pool.submit(bench.ask)
                eventually(lambda: bench.asked() == 1, "control is asked")
                second = pool.submit(bench.ask)
            with pytest.raises(BrokenOff):
                first.result(5)
            assert second.result(5).answer is YES


def test_what_became_of_attempts_is_counted(bench: Bench) -> None:
    for _ in range(3):
        bench.ask()
    assert bench.verifier.counts == {"miss": 1, "hit": 2}


class TestWorkers:
    """What one worker has learnt, the others go by."""

    def pair(self) -> tuple[Bench, Bench]:
        one, other = Bench(), Bench()
        for bench, peer in ((one, other), (other, one)):
            bench.verifier.join(Sharing(key=b"s" * 32, tell=peer.verifier.learn))
        return one, other

    def test_an_answer_is_asked_for_once(self) -> None:
        one, other = self.pair()
        assert one.ask().source is Source.CONTROL
        assert other.ask() == Verified(YES, Source.CACHE)
        assert not other.gate.attempts

    def test_an_outage_finds_all_of_them_alike(self) -> None:
        one, other = self.pair()
        one.ask()
        for bench in (one, other):
            bench.later(HOUR)
            bench.gate.answer = AWAY
            assert bench.ask() == Verified(YES, Source.OFFLINE)

    def test_what_is_no_more_is_so_for_all(self) -> None:
        one, other = self.pair()
        one.ask()
        for bench in (one, other):
            bench.later(11 * MINUTE)
        one.gate.answer, other.gate.answer = NO, AWAY
        one.ask()
        assert other.ask().answer is AWAY
        assert len(other.verifier) == 0

    def test_only_what_is_to_be_kept_is_told(self) -> None:
        told: list[Lesson] = []
        bench = Bench()
        bench.verifier.join(Sharing(key=b"s" * 32, tell=told.append))
        for answer in (NO, AWAY, replace(YES, cache=0.0), Challenge(state="s", expires_in=1.0)):
            bench.gate.answer = answer
            bench.ask()
        assert told == []

    def test_a_password_that_one_has_changed_is_another_for_all(self) -> None:
        one, other = self.pair()
        one.ask()
        one.later(1)
        one.verifier.change_here("u1")
        assert (len(one.verifier), len(other.verifier)) == (0, 0)
        for bench in (one, other):
            bench.gate.answer = NO
            assert bench.ask() == Verified(NO, Source.CONTROL)

    def test_an_answer_that_was_on_its_way_when_a_password_changed_is_not_kept(self) -> None:
        bench = Bench()
        with ThreadPoolExecutor() as pool:
            with bench.gate.held():
                asked = pool.submit(bench.ask)
                eventually(bench.asked, "control is asked")
                bench.later(1)
                bench.verifier.change_here("u1")
            assert asked.result(5).answer is YES
        assert len(bench.verifier) == 0

    def test_what_was_overtaken_on_its_way_is_not_learnt(self) -> None:
        told: list[Lesson] = []
        one, other = Bench(), Bench()
        one.verifier.join(Sharing(key=b"s" * 32, tell=told.append))
        one.ask()
        other.later(1)
        other.commit(ended_x=Ended(session="", subject="u1", provider="", before=NOW + 1, until=NOW + HOUR))
        other.verifier.learn(told[0])
        assert len(other.verifier) == 0

    def test_what_was_decided_after_it_is(self) -> None:
        told: list[Lesson] = []
        one, other = Bench(), Bench()
        one.verifier.join(Sharing(key=b"s" * 32, tell=told.append))
        other.commit(ended_x=Ended(session="", subject="u1", provider="", before=NOW + 1, until=NOW + HOUR))
        one.later(2)
        one.ask()
        other.later(2)
        other.verifier.learn(told[0])
        assert len(other.verifier) == 1

    def test_what_ended_long_ago_is_forgotten(self) -> None:
        bench = Bench()
        for number in range(100):
            bench.later(MINUTE)
            bench.commit(ended_x=Ended(session=f"s{number}", subject="", provider="", before=NOW, until=NOW + HOUR))
        assert len(bench.verifier._ends) == 1
