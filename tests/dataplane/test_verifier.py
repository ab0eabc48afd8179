"""What is kept of control's answers: for whom, for how long, and what drops it at once."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane import suspects
from dataplane.config import Changed, Edit, Ended
from dataplane.crowding import Places
from dataplane.gate import (
    Answer,
    BearerToken,
    Challenge,
    ChallengeAnswer,
    Channel,
    Credentials,
    Denied,
    DenyReason,
    PasswordCredentials,
)
from dataplane.suspects import FREE, WAIT
from dataplane.verifier import Source, Verified, VerifierLimits
from tests.support.fake_control import eventually
from tests.support.verifying import (
    ALICE,
    AWAY,
    HOUR,
    MINUTE,
    NO,
    NOW,
    OPTIONS,
    SECRET,
    SESSION,
    YES,
    Bench,
    attempt,
)


@pytest.fixture
def bench() -> Bench:
    return Bench()


class TestFreshness:
    def test_a_young_answer_needs_no_control(self, bench: Bench) -> None:
        assert bench.ask() == Verified(YES, Source.CONTROL)
        bench.later(10 * MINUTE - 1)
        assert bench.ask() == Verified(YES, Source.CACHE)
        assert bench.asked() == 1
        bench.later(1)
        assert bench.ask() == Verified(YES, Source.CONTROL)
        assert bench.asked() == 2

    def test_what_is_used_gets_no_younger(self, bench: Bench) -> None:
        for _ in range(11):
            bench.ask()
            bench.later(MINUTE)
        assert bench.asked() == 2

    @pytest.mark.parametrize(("by_control", "by_options"), [(30.0, 600.0), (600.0, 30.0)])
    def test_the_shorter_of_what_control_and_options_say_counts(self, by_control: float, by_options: float) -> None:
        bench = Bench(options=replace(OPTIONS, bind_cache=by_options))
        bench.gate.answer = replace(YES, cache=by_control)
        bench.ask()
        bench.later(29)
        assert bench.ask().source is Source.CACHE
        bench.later(1)
        assert bench.ask().source is Source.CONTROL

    def test_options_count_at_once(self, bench: Bench) -> None:
        bench.ask()
        bench.verifier.commit(Edit(), replace(OPTIONS, bind_cache=0.0))
        assert bench.ask().source is Source.CONTROL

    def test_what_control_does_not_want_kept_is_not(self, bench: Bench) -> None:
        bench.gate.answer = replace(YES, cache=0.0)
        bench.ask()
        assert len(bench.verifier) == 0
        bench.gate.answer = AWAY
        assert bench.ask() == Verified(AWAY, Source.CONTROL), "nor for an outage"

    def test_a_session_that_is_over_is_not_kept_longer(self, bench: Bench) -> None:
        bench.gate.answer = replace(YES, session=replace(SESSION, expires=NOW + 60))
        bench.ask()
        bench.later(59)
        assert bench.ask().source is Source.CACHE
        bench.later(1)
        assert bench.ask().source is Source.CONTROL

    def test_a_clock_that_is_set_back_makes_nothing_younger(self, bench: Bench) -> None:
        bench.ask()
        bench.later(-1)
        assert bench.ask().source is Source.CONTROL

    @pytest.mark.parametrize("answer", [NO, AWAY, Challenge(state="s", expires_in=60.0)])
    def test_nothing_but_a_yes_is_kept(self, bench: Bench, answer: Answer) -> None:
        bench.gate.answer = answer
        for _ in range(3):
            assert bench.ask() == Verified(answer, Source.CONTROL)
        assert (bench.asked(), len(bench.verifier)) == (3, 0)


class TestWhoseItIs:
    """Nobody gets in by what another, or the same one elsewhere, was let in for."""

    @pytest.mark.parametrize(
        ("credentials", "provider"),
        [
            (SECRET, "p2"),
            (SECRET, "p"),
            (replace(SECRET, password="secret "), "p1"),
            (replace(SECRET, password="Secret"), "p1"),
            (replace(SECRET, password=""), "p1"),
            (replace(SECRET, username="alic", password="esecret"), "p1"),
            (replace(SECRET, username="ALICE"), "p1"),
            (BearerToken("alice:secret"), "p1"),
            (BearerToken("secret"), "p1"),
            (ChallengeAnswer(state="alice", code="secret"), "p1"),
        ],
    )
    def test_another_is_another(self, bench: Bench, credentials: Credentials, provider: str) -> None:
        bench.ask()
        bench.gate.answer = NO
        assert bench.ask(credentials, provider) == Verified(NO, Source.CONTROL)
        assert bench.ask() == Verified(YES, Source.CACHE), "the refusal concerns the other"

    def test_a_token_of_one_provider_is_none_of_anothers(self, bench: Bench) -> None:
        token = BearerToken("a.b.c")
        bench.ask(token, "p1")
        bench.gate.answer = NO
        assert bench.ask(token, "p2").answer is NO

    def test_the_protocol_makes_a_difference(self, bench: Bench) -> None:
        bench.ask()
        bench.gate.answer = NO
        other = replace(attempt(), channel=Channel.LDAP)
        assert bench.verifier.verify(other).answer is NO
        assert bench.verifier.verify(replace(attempt(), dialogue=True)).answer is NO

    @given(
        parts=st.lists(st.text(max_size=6), min_size=3, max_size=3),
        others=st.lists(st.text(max_size=6), min_size=3, max_size=3),
    )
    def test_no_two_attempts_are_mistaken_for_each_other(self, parts: list[str], others: list[str]) -> None:
        bench = Bench()
        first, second = (
            (PasswordCredentials(username=username, password=password), provider)
            for provider, username, password in (parts, others)
        )
        bench.ask(*first)
        assert (bench.ask(*second).source is Source.CACHE) == (parts == others)

    def test_long_secrets_that_begin_alike_differ(self, bench: Bench) -> None:
        bench.ask(BearerToken("x" * 10_000 + "y"))
        bench.gate.answer = NO
        assert bench.ask(BearerToken("x" * 10_000 + "z")).answer is NO
        assert bench.ask(BearerToken("x" * 10_000)).answer is NO

    def test_neither_secrets_nor_their_plain_hashes_lie_in_memory(self, bench: Bench) -> None:
        bench.ask()
        assert "secret" not in repr(vars(bench.verifier))
        other = Bench(key=b"K" * 32)
        other.ask()
        assert bench.verifier._kept.keys() != other.verifier._kept.keys(), "each run has a key of its own"

    def test_where_a_client_is_makes_no_difference_to_what_is_kept(self, bench: Bench) -> None:
        bench.ask()
        assert bench.ask(address="198.51.100.1").source is Source.CACHE


class TestGuessing:
    """Whoever guesses at a name whose answer is kept doesn't come in by it."""

    LOCKED = Denied(reason=DenyReason.LOCKED_OUT, retry_after=60.0)
    WRONG = replace(SECRET, password="guess")
    STRANGER = "198.51.100.1"

    def test_the_right_guess_waits_like_the_wrong_ones(self, bench: Bench) -> None:
        bench.ask()
        bench.gate.answer = self.LOCKED
        bench.ask(self.WRONG, address=self.STRANGER)
        assert bench.ask(address=self.STRANGER).answer is self.LOCKED
        assert bench.verifier.limits["suspects"] > 0
        bench.later(61)
        assert bench.ask(address=self.STRANGER).source is Source.CACHE

    def test_from_anywhere_that_control_has_not_let_them_in_from(self, bench: Bench) -> None:
        bench.ask()
        bench.gate.answer = self.LOCKED
        bench.ask(self.WRONG, address=self.STRANGER)
        assert bench.ask(address="203.0.113.5").answer is self.LOCKED
        assert bench.ask().source is Source.CACHE

    def test_where_they_are_known_only_guesses_from_there_count(self, bench: Bench) -> None:
        bench.ask()
        bench.gate.answer = self.LOCKED
        bench.ask(self.WRONG)
        assert bench.ask().answer is self.LOCKED

    def test_an_answer_may_be_known_at_several_places(self) -> None:
        bench = Bench(options=replace(OPTIONS, bind_cache=60.0))
        for address in ("192.0.2.7", "192.0.2.8"):
            bench.ask(address=address)
            bench.later(61)
        bench.ask(address="192.0.2.8")
        bench.gate.answer = self.LOCKED
        bench.ask(self.WRONG, address=self.STRANGER)
        assert [bench.ask(address=f"192.0.2.{end}").source for end in (7, 8)] == [Source.CACHE, Source.CACHE]

    def test_nobody_guesses_while_control_is_away(self, bench: Bench) -> None:
        bench.ask()
        bench.later(11 * MINUTE)
        bench.gate.answer = AWAY
        for number in range(FREE):
            assert bench.ask(replace(SECRET, password=f"guess {number}"), address=self.STRANGER).answer is AWAY
        assert bench.ask(address=self.STRANGER).answer is AWAY
        assert bench.ask().source is Source.OFFLINE
        bench.later(WAIT)
        assert bench.ask(address=self.STRANGER).source is Source.OFFLINE

    def test_a_few_slips_while_control_is_away_are_free(self, bench: Bench) -> None:
        bench.ask()
        bench.later(11 * MINUTE)
        bench.gate.answer = AWAY
        for number in range(FREE - 1):
            bench.ask(replace(SECRET, password=f"slip {number}"))
        assert bench.ask().source is Source.OFFLINE

    def test_guesses_for_which_there_is_no_room_count_too(self) -> None:
        bench = Bench(VerifierLimits(places=Places(all=1, of_strangers=0, of_client=1, of_stranger=0)))
        bench.verifier._crowd.know("192.0.2.7")
        bench.ask()
        for number in range(FREE):
            busy = bench.ask(replace(SECRET, password=f"guess {number}"), address=self.STRANGER).answer
            assert isinstance(busy, Denied)
            assert busy.reason is DenyReason.BUSY
        assert bench.ask(address=self.STRANGER).source is Source.CONTROL
        assert bench.ask().source is Source.CACHE

    def test_made_up_names_push_no_count_out(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(suspects, "_MOST", 4)
        bench.ask()
        bench.later(11 * MINUTE)
        bench.gate.answer = AWAY
        for number in range(FREE):
            bench.ask(self.WRONG, address=self.STRANGER)
            for other in range(3):
                bench.ask(PasswordCredentials(username=f"nobody {number} {other}", password="x"), address=self.STRANGER)
        assert bench.ask(address=self.STRANGER).answer is AWAY

    def test_tokens_are_no_guesses(self, bench: Bench) -> None:
        token = BearerToken("x" * 43)
        bench.ask(token)
        bench.gate.answer = self.LOCKED
        bench.ask(BearerToken("y" * 43), address=self.STRANGER)
        assert bench.ask(token, address=self.STRANGER).source is Source.CACHE


class TestDropping:
    @pytest.mark.parametrize(
        "ended",
        [
            Ended(session="s1", subject="", provider="", before=NOW - HOUR, until=NOW + HOUR),
            Ended(session="", subject="u1", provider="", before=NOW + 1, until=NOW + HOUR),
            Ended(session="", subject="", provider="p1", before=NOW + 1, until=NOW + HOUR),
        ],
        ids=["session", "subject", "provider"],
    )
    def test_an_end_drops_at_once(self, bench: Bench, ended: Ended) -> None:
        bench.ask()
        bench.later(2)
        bench.commit(ended_x=ended)
        assert len(bench.verifier) == 0
        bench.gate.answer = AWAY
        assert bench.ask().answer is AWAY, "also for an outage"

    @pytest.mark.parametrize(
        "ended",
        [
            Ended(session="s2", subject="", provider="", before=NOW + 1, until=NOW + HOUR),
            Ended(session="", subject="u2", provider="", before=NOW + 1, until=NOW + HOUR),
            Ended(session="", subject="u1", provider="", before=NOW - 1, until=NOW + HOUR),
            Ended(session="", subject="", provider="p2", before=NOW + 1, until=NOW + HOUR),
            Ended(session="", subject="", provider="p1", before=NOW, until=NOW + HOUR),
        ],
        ids=["another session", "another subject", "earlier", "another provider", "provider, earlier"],
    )
    def test_what_it_does_not_concern_stays(self, bench: Bench, ended: Ended) -> None:
        """The whole state comes again with each connection to control, old endings included."""
        bench.ask()
        bench.commit(ended_x=ended)
        assert bench.ask().source is Source.CACHE

    @pytest.mark.parametrize(("at", "source"), [(NOW + 1, Source.CONTROL), (NOW, Source.CACHE)])
    def test_a_change_of_the_person_drops_at_once(self, bench: Bench, at: float, source: Source) -> None:
        bench.ask()
        changed = Changed(identity=ALICE, at=at, until=NOW + HOUR, denied_providers=frozenset())
        bench.commit(changed_u1=changed)
        assert bench.ask().source is source

    def test_a_provider_that_goes_or_is_another_now_drops(self, bench: Bench) -> None:
        bench.ask()
        bench.ask(provider="p2")
        bench.verifier.commit(Edit(removed=frozenset({"provider/p1"})), OPTIONS)
        assert len(bench.verifier) == 1
        assert bench.ask(provider="p2").source is Source.CACHE
        assert bench.ask().source is Source.CONTROL

    def test_who_signs_out_here_needs_no_word_of_control(self, bench: Bench) -> None:
        bench.ask()
        bench.verifier.end_here("s1")
        assert bench.ask().source is Source.CONTROL

    def test_all_that_one_session_opened_goes(self, bench: Bench) -> None:
        for number in range(3):
            bench.ask(BearerToken(f"t{number}"))
        bench.commit(ended_x=Ended(session="s1", subject="", provider="", before=NOW, until=NOW + HOUR))
        assert len(bench.verifier) == 0
        assert not bench.verifier._about

    @pytest.mark.parametrize("reason", [DenyReason.INVALID_CREDENTIALS, DenyReason.ACCESS_DENIED])
    def test_a_no_of_controls_drops_what_was_a_yes(self, bench: Bench, reason: DenyReason) -> None:
        bench.ask()
        bench.later(11 * MINUTE)
        bench.gate.answer = Denied(reason=reason)
        bench.ask()
        bench.gate.answer = AWAY
        assert bench.ask().answer is AWAY

    def test_what_changed_while_control_decided_is_not_kept(self, bench: Bench) -> None:
        with ThreadPoolExecutor(1) as pool:
            with bench.gate.held():
                asked = pool.submit(bench.ask)
                eventually(lambda: bench.asked() == 1, "control is asked")
                bench.later(1)
                bench.commit(ended_x=Ended(session="", subject="u1", provider="", before=NOW + 9, until=NOW + HOUR))
            assert asked.result(5).answer is YES
        assert len(bench.verifier) == 0
