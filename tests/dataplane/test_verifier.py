"""What is kept of control's answers: for whom, for how long, what drops it at once, and what a flood can take."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.config import Changed, Edit, Ended, Options
from dataplane.gate import (
    Allowed,
    Answer,
    Attempt,
    BearerToken,
    Challenge,
    ChallengeAnswer,
    Channel,
    Credentials,
    Denied,
    DenyReason,
    Identity,
    PasswordCredentials,
    ProxySession,
    Unavailable,
)
from dataplane.verifier import Source, Verified, Verifier, VerifierLimits
from tests.support.fake_control import eventually

NOW = 1_800_000_000.0
MINUTE, HOUR = 60.0, 3600.0
OPTIONS = Options(
    outpost_id="o",
    outpost_name="edge",
    log_level="info",
    refresh_interval=300.0,
    browser_url="https://sso.example.com",
    bind_cache=10 * MINUTE,
    offline_grace=24 * HOUR,
)
ALICE = Identity(
    subject="u1", username="alice", name="Alice", email="", groups=(), entitlements=(), additional_headers=()
)
SESSION = ProxySession(id="s1", identity=ALICE, authenticated=NOW, expires=NOW + 48 * HOUR, id_token="a.b.c")
YES = Allowed(session=SESSION, attributes="{}", cache=10 * MINUTE)
NO = Denied(reason=DenyReason.INVALID_CREDENTIALS)
AWAY = Unavailable("control is away")
SECRET = PasswordCredentials(username="alice", password="secret")


def attempt(credentials: Credentials = SECRET, provider: str = "p1", address: str = "192.0.2.7") -> Attempt:
    return Attempt(provider=provider, channel=Channel.HTTP, credentials=credentials, client_address=address)


@dataclass
class Clock:
    now: float = NOW

    def __call__(self) -> float:
        return self.now


class BrokenOff(Exception):
    """What ends a greenlet in the middle of a call."""


@dataclass
class SlowGate:
    """Answers by what it was told to; while it is held, callers wait."""

    answer: Answer = YES
    failures: int = 0
    attempts: list[Attempt] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.released.set()

    @contextmanager
    def held(self) -> Iterator[None]:
        self.released.clear()
        try:
            yield
        finally:
            self.released.set()

    def authenticate(self, attempt: Attempt) -> Answer:
        self.attempts.append(attempt)
        is_broken, self.failures = self.failures > 0, max(0, self.failures - 1)
        assert self.released.wait(10)
        if is_broken:
            raise BrokenOff
        return self.answer


class Bench:
    """A verifier with its gate and its clock."""

    def __init__(
        self, limits: VerifierLimits | None = None, options: Options = OPTIONS, key: bytes = b"k" * 32
    ) -> None:
        self.clock = Clock()
        self.gate = SlowGate()
        self.verifier = Verifier(self.gate.authenticate, self.clock, lambda _: key, limits)
        self.verifier.commit(Edit(), options)

    def ask(self, credentials: Credentials = SECRET, provider: str = "p1", address: str = "192.0.2.7") -> Verified:
        return self.verifier.verify(attempt(credentials, provider, address))

    def asked(self) -> int:
        return len(self.gate.attempts)

    def later(self, seconds: float) -> None:
        self.clock.now += seconds

    def commit(self, **resources: Ended | Changed) -> None:
        changed = {key.replace("_", "/"): each for key, each in resources.items()}
        self.verifier.commit(Edit(changed=changed), OPTIONS)


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
                bench.commit(ended_x=Ended(session="", subject="u1", provider="", before=NOW + 9, until=NOW + HOUR))
            assert asked.result(5).answer is YES
        assert len(bench.verifier) == 0


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
        bench = Bench(VerifierLimits(attempts=8, attempts_of_client=2))
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
        bench = Bench(VerifierLimits(attempts=2, attempts_of_client=2))
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
