"""Control's answers about credentials, kept for a while: for every protocol that carries credentials itself.

A program that signs in with each request is one question to control and not a thousand, and it comes in while control
is away. Only who was let in is kept, in memory alone, under a keyed hash of the provider and the exact credentials with
a key of this run; so neither secrets nor what could be tried against them lie here, and a look-up tells by its time
nothing that can be aimed at. What ends or changes the person, the session or the provider drops the answer at once.
"""

import hmac
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, assert_never

from dataplane.config import Changed, Edit, Ended, Options
from dataplane.crowding import Crowd, Places
from dataplane.gate import (
    Allowed,
    Answer,
    Attempt,
    BearerToken,
    Challenge,
    ChallengeAnswer,
    Denied,
    DenyReason,
    PasswordCredentials,
    Unavailable,
)
from dataplane.metering import Sample, counters, gauge
from dataplane.sansio.clients import client_of
from dataplane.suspects import Suspects

BUSY_SECONDS = 1.0
"""After how long whoever was turned away for want of room may come again."""
_KEY_SIZE = 32
_UNDER_WAY = 30.0
"""Seconds; a call to control has five, and what is learnt of another worker comes by way of the supervisor."""
_BUSY = Denied(reason=DenyReason.BUSY, retry_after=BUSY_SECONDS)
_PROVIDER = "provider/"
# What can become true again by itself; after the others the credentials are not what they were.
_PASSING = frozenset({DenyReason.LOCKED_OUT, DenyReason.BUSY})


class Source(StrEnum):
    """Where an answer comes from."""

    CONTROL = "control"
    CACHE = "cache"
    OFFLINE = "offline"
    """An older one that was kept, since control can't be asked."""


class Verified(NamedTuple):
    """An answer and where it comes from."""

    answer: Answer
    source: Source


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierLimits:
    """How much of each. Who was let in before is asked about beyond these: strangers don't hold up those known."""

    entries: int = 10_000
    entries_of_subject: int = 100
    """Of one person: whoever may write a credential in many ways takes room from nobody else."""
    clients: int = 100
    """That one answer serves while somebody guesses at the name elsewhere."""
    places: Places = field(default_factory=Places)
    """Asked about at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """An answer that is kept; `at` is when control was asked for it, in POSIX seconds.

    `clients` are those that control gave it for.
    """

    allowed: Allowed
    provider: str
    at: float
    clients: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What one worker has learnt of control, for the others: credentials by their hash, and None for no more."""

    digest: bytes
    kept: Kept | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """What the workers of an outpost have in common: the key of their hashes, and how one tells the others."""

    key: bytes = field(repr=False)
    tell: Callable[[Lesson], None]


@dataclass(slots=True)
class _Flight:
    """A question under way, and who waits for its answer."""

    landed: threading.Event = field(default_factory=threading.Event)
    answer: Answer | None = None


class Verifier:
    """Asks control, or remembers. `authenticate` is the gate's, `clock` control's time.

    Calls block the calling greenlet, as the gate's do; any number may be under way. `counts` holds what became of each
    attempt, `limits` which limits were hit.
    """

    def __init__(
        self,
        authenticate: Callable[[Attempt], Answer],
        clock: Callable[[], float],
        random: Callable[[int], bytes],
        limits: VerifierLimits | None = None,
    ) -> None:
        self._authenticate = authenticate
        self._clock = clock
        self._sharing = Sharing(key=random(_KEY_SIZE), tell=lambda _: None)
        self._limits = limits or VerifierLimits()
        self._bind_cache = 0.0
        self._offline_grace = 0.0
        self._kept: OrderedDict[bytes, Kept] = OrderedDict()
        self._about: dict[tuple[str, str], dict[bytes, None]] = {}
        """Digests by what ends them: the session, the subject, the provider; the oldest first."""
        self._suspects = Suspects(clock)
        self._names: Counter[str] = Counter()
        """Of those whose answers are kept: guesses at others are no matter here."""
        self._flights: dict[tuple[bytes, str], _Flight] = {}
        self._ends: dict[tuple[str, str], tuple[float, float]] = {}
        """What was dropped of late: what was decided before then, and when that was heard."""
        self.counts: Counter[str] = Counter()
        self.limits: Counter[str] = Counter()
        self._crowd = Crowd(self._limits.places, self.limits)

    def __len__(self) -> int:
        return len(self._kept)

    def counters(self) -> list[Sample]:
        """What was counted, as it is exported."""
        return [
            *counters("garrison_verifier_lookups_total", "Credentials looked up", "result", self.counts),
            *counters("garrison_verifier_limits_total", "Limits of it hit", "limit", self.limits),
        ]

    def gauge(self) -> Sample:
        """How much is kept, as it is exported."""
        return gauge("garrison_verifier_entries", "Answers about credentials that are kept", len(self))

    def join(self, sharing: Sharing) -> None:
        """Have what is kept in common with other workers from now on."""
        self._sharing = sharing

    def learn(self, lesson: Lesson) -> None:
        """Another worker has asked control."""
        if lesson.kept is None:
            self._drop(lesson.digest)
        else:
            self._keep(lesson.digest, lesson.kept)

    def commit(self, edit: Edit, options: Options | None) -> None:
        """Go by these options, and drop what the edit ends or changes; its keys are those of resources."""
        self._bind_cache = options.bind_cache if options else 0.0
        self._offline_grace = options.offline_grace if options else 0.0
        for key in edit.touched:
            if key.startswith(_PROVIDER):
                self._drop_about("provider", key.removeprefix(_PROVIDER))
        for resource in edit.changed.values():
            match resource:
                case Ended():
                    self._end(resource)
                case Changed(identity=identity, at=at):
                    self._drop_about("subject", identity.subject, at)

    def end_here(self, session: str) -> None:
        """Drop what this session was given for, without waiting for control."""
        self._drop_about("session", session)

    def change_here(self, subject: str) -> None:
        """Drop what was kept of this person, at all workers, without waiting for control: the password is another."""
        for digest in tuple(self._about.get(("subject", subject), ())):
            self._sharing.tell(Lesson(digest=digest, kept=None))
        self._drop_about("subject", subject)

    def verify(self, attempt: Attempt) -> Verified:
        """The answer to an attempt: one that was kept, where it is young enough, else control's."""
        digest = self._digest(attempt)
        kept = self._find_for(attempt, digest)
        if kept is not None and self._age(kept) < min(kept.allowed.cache, self._bind_cache):
            self._kept.move_to_end(digest)
            self.counts["hit"] += 1
            return Verified(kept.allowed, Source.CACHE)
        answer = self._share(digest, attempt, kept is not None)
        if isinstance(answer, Unavailable) and not answer.refused:
            # Looked for again: it may have been dropped while control was asked.
            kept = self._find_for(attempt, digest)
            if kept is not None and self._age(kept) < self._offline_grace:
                self._kept.move_to_end(digest)
                self.counts["offline"] += 1
                return Verified(kept.allowed, Source.OFFLINE)
            self._suspect(attempt, answer)
        return Verified(answer, Source.CONTROL)

    def ask(self, attempt: Attempt) -> Answer:
        """Control's answer, which is not kept and never was: within the same bounds as the others."""
        client = client_of(attempt.client_address)
        if self._crowd.is_full_for(client):
            return _BUSY
        self.counts["unkept"] += 1
        with self._crowd.entered(client):
            answer = self._authenticate(attempt)
        if isinstance(answer, Allowed):
            self._crowd.know(client)
        return answer

    def _share(self, digest: bytes, attempt: Attempt, is_known: bool) -> Answer:
        """Control's answer; the same attempt from the same client at the same time is one question."""
        key = (digest, attempt.client_address)
        while (flight := self._flights.get(key)) is not None:
            flight.landed.wait()
            if flight.answer is not None and _is_for_all(flight.answer):
                self.counts["shared"] += 1
                return flight.answer
        flight = self._flights[key] = _Flight()
        try:
            flight.answer = self._ask(digest, attempt, is_known)
        finally:
            del self._flights[key]
            flight.landed.set()
        return flight.answer

    def _ask(self, digest: bytes, attempt: Attempt, is_known: bool) -> Answer:
        client = client_of(attempt.client_address)
        if not is_known and self._crowd.is_full_for(client):
            self._suspect(attempt, _BUSY)
            return _BUSY
        self.counts["miss"] += 1
        asked = self._clock()
        with self._crowd.entered(client):
            answer = self._authenticate(attempt)
        match answer:
            case Allowed():
                self._crowd.know(client)
                kept = Kept(allowed=answer, provider=attempt.provider, at=asked, clients=self._clients(digest, client))
                if answer.cache > 0 and self._keep(digest, kept):
                    self._sharing.tell(Lesson(digest=digest, kept=kept))
            case Denied(reason=reason) if reason not in _PASSING:
                if self._drop(digest):
                    self._sharing.tell(Lesson(digest=digest, kept=None))
            case Denied(reason=DenyReason.LOCKED_OUT):
                self._suspect(attempt, answer)
            case Denied() | Challenge() | Unavailable():
                pass
            case _:
                assert_never(answer)
        return answer

    def _find_for(self, attempt: Attempt, digest: bytes) -> Kept | None:
        """What is kept, unless somebody guesses at the name from there."""
        kept = self._find(digest)
        if kept is None or not isinstance(attempt.credentials, PasswordCredentials):
            return kept
        client = client_of(attempt.client_address)
        username = attempt.credentials.username
        if self._suspects.is_held(username, client, is_known_there=client in kept.clients):
            self.limits["suspects"] += 1
            return None
        return kept

    def _suspect(self, attempt: Attempt, answer: Denied | Unavailable) -> None:
        """Whoever has to wait, and whoever can't be told from a guesser; tokens are too long to be guessed."""
        if not isinstance(attempt.credentials, PasswordCredentials) or attempt.credentials.username not in self._names:
            return
        client, username = client_of(attempt.client_address), attempt.credentials.username
        match answer:
            case Denied(reason=DenyReason.LOCKED_OUT, retry_after=seconds):
                self._suspects.hold(username, client, seconds)
            case Denied() | Unavailable():
                self._suspects.miss(username, client)

    def _clients(self, digest: bytes, client: str) -> frozenset[str]:
        """Those that control has given the answer for, the newest included."""
        before = self._kept.get(digest)
        known = before.clients if before is not None else frozenset[str]()
        return known | {client} if len(known) < self._limits.clients else frozenset((client,))

    def _find(self, digest: bytes) -> Kept | None:
        kept = self._kept.get(digest)
        if kept is not None and kept.allowed.session.expires <= self._clock():
            self._drop(digest)
            return None
        return kept

    def _age(self, kept: Kept) -> float:
        """In seconds; what a clock that was set back makes younger than nothing is too old for anything."""
        age = self._clock() - kept.at
        return age if age >= 0 else float("inf")

    def _keep(self, digest: bytes, kept: Kept) -> bool:
        """Keep it, unless it is overtaken."""
        self._drop(digest)
        if self._is_overtaken(kept):
            return False
        self._make_room(kept)
        self._kept[digest] = kept
        self._names[kept.allowed.session.identity.username] += 1
        for about in _subjects_of(kept):
            self._about.setdefault(about, {})[digest] = None
        return True

    def _make_room(self, kept: Kept) -> None:
        """For one more: the person's oldest goes where that person has a full share, or else the least used of all."""
        own = self._about.get(("subject", kept.allowed.session.identity.subject), {})
        if len(own) >= self._limits.entries_of_subject:
            self.limits["entries_of_subject"] += 1
            self._drop(next(iter(own)))
        elif len(self._kept) >= self._limits.entries:
            self.limits["entries"] += 1
            self._drop(next(iter(self._kept)))

    def _is_overtaken(self, kept: Kept) -> bool:
        """Whether something was ended or changed while control was asked: it may have known nothing of that yet."""
        ends = (self._ends.get(about) for about in _subjects_of(kept))
        return any(end and kept.at < end[1] and kept.allowed.session.authenticated < end[0] for end in ends)

    def _drop(self, digest: bytes) -> bool:
        kept = self._kept.pop(digest, None)
        if kept is None:
            return False
        username = kept.allowed.session.identity.username
        self._names[username] -= 1
        if not self._names[username]:
            del self._names[username]
        for about in _subjects_of(kept):
            digests = self._about[about]
            del digests[digest]
            if not digests:
                del self._about[about]
        return True

    def _end(self, ended: Ended) -> None:
        """A session that is named is over whenever it began, as in every judgement of sessions."""
        if ended.session:
            self._drop_about("session", ended.session)
        elif ended.subject:
            self._drop_about("subject", ended.subject, ended.before)
        else:
            self._drop_about("provider", ended.provider, ended.before)

    def _drop_about(self, kind: str, name: str, before: float = float("inf")) -> None:
        """What was decided before then, about whom or what bears that name."""
        about, now = (kind, name), self._clock()
        for digest in tuple(self._about.get(about, ())):
            if self._kept[digest].allowed.session.authenticated < before:
                self._drop(digest)
        # The newest last; none is needed for longer than a question can be under way.
        self._ends.pop(about, None)
        self._ends[about] = before, now
        while self._ends and self._ends[oldest := next(iter(self._ends))][1] < now - _UNDER_WAY:
            del self._ends[oldest]

    def _digest(self, attempt: Attempt) -> bytes:
        """Of all that the answer depends on, each part with its length, so that no two attempts read alike."""
        parts = [attempt.provider, attempt.channel, "dialogue" if attempt.dialogue else "", *_parts(attempt)]
        encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
        text = b"".join(len(part).to_bytes(4, "big") + part for part in encoded)
        return hmac.digest(self._sharing.key, text, "sha256")


def _parts(attempt: Attempt) -> tuple[str, ...]:
    match attempt.credentials:
        case PasswordCredentials(username=username, password=password):
            return "password", username, password
        case BearerToken(secret=secret):
            return "bearer", secret
        case ChallengeAnswer(state=state, code=code):
            return "answer", state, code
        case _:
            assert_never(attempt.credentials)


def _subjects_of(kept: Kept) -> tuple[tuple[str, str], ...]:
    session = kept.allowed.session
    return ("session", session.id), ("subject", session.identity.subject), ("provider", kept.provider)


def _is_for_all(answer: Answer) -> bool:
    """Whether everybody who asked the same may have it: what a code opened that is good once is for one alone."""
    return not isinstance(answer, Challenge) and not (isinstance(answer, Allowed) and answer.cache <= 0)
