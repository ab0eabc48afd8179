"""Passwords: argon2id with the second recommended parameters of RFC 9106 section 4, the same work for every answer.

Whether the account exists, has a password or has a damaged one, one hash is computed: time tells nothing. Only so
many are computed at once and only so many may wait; beyond that callers are told to come back (`Busy`).
"""

import re
import threading
import unicodedata
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY
from prometheus_client import Counter as Metric

from control.domain.errors import Problem

SHORTEST, LONGEST = 8, 1024
REFUSED = Metric("garrison_password_hash_refused", "Password checks turned away because too many were waiting.")
_PHC = re.compile(r"\$argon2id\$v=19\$m=(\d{1,8}),t=(\d{1,3}),p=(\d{1,3})\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{16,86}")
# A hash from elsewhere is computed at every sign-in: its cost is bounded like everything else.
_MOST_MEMORY_KIB, _MOST_PASSES, _MOST_LANES = 262_144, 16, 16


class Busy(Exception):
    """Too many password checks wait already."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"too many password checks at once; try again in {retry_after} s")
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """The cost of one hash: memory in KiB, passes over it, lanes."""

    memory: int = RFC_9106_LOW_MEMORY.memory_cost
    passes: int = RFC_9106_LOW_MEMORY.time_cost
    lanes: int = RFC_9106_LOW_MEMORY.parallelism


@dataclass(frozen=True, slots=True, kw_only=True)
class HashLimits:
    """How many hashes are computed at once, how many callers may wait, and how long (seconds).

    All together are half the threads of the web process, so that a flood of sign-ins leaves the pages alone. One
    source has half of that, so that a flood from one address leaves sign-ins from elsewhere alone. Sources that wait
    after failures (`of_waiting`) have few in all and one each, so that their floods leave all others alone.
    """

    at_once: int = 2
    waiting: int = 6
    of_one_source: int = 4
    of_waiting: int = 2
    patience: float = 3.0
    retry_after: int = 5


RFC_9106 = Parameters()
DEFAULT_LIMITS = HashLimits()


class Passwords:
    """Hashes and checks passwords. One for the whole process, since its limits are the process's."""

    def __init__(self, parameters: Parameters = RFC_9106, limits: HashLimits = DEFAULT_LIMITS) -> None:
        self._hasher = PasswordHasher(
            time_cost=parameters.passes,
            memory_cost=parameters.memory,
            parallelism=parameters.lanes,
            type=Type.ID,
        )
        self._limits = limits
        self._running = threading.BoundedSemaphore(limits.at_once)
        self._places = threading.BoundedSemaphore(limits.at_once + limits.waiting)
        self._sources: Counter[str] = Counter()
        self._waiting: set[str] = set()
        self._counting = threading.Lock()

    def hash(self, password: str) -> str:
        """A new hash of the password, in PHC form. Raises Busy."""
        with self._turn():
            return self._hasher.hash(_prepared(password))

    def verify(self, password_hash: str | None, password: str, source: str = "") -> bool:
        """Whether the password fits; without a usable hash it does the same work and doesn't. Raises Busy.

        `source` is the address it came from, empty for our own programs.
        """
        usable = password_hash is not None and _PHC.fullmatch(password_hash) is not None
        with self._share(source), self._turn():
            nobody = self._nobody
            checked = password_hash if usable and password_hash else nobody
            return self._fits(checked, password) and usable

    @contextmanager
    def sparing(self, source: str) -> Iterator[None]:
        """A place among those of sources that wait, for what is verified meanwhile. Raises Busy."""
        with self._counting:
            if source in self._waiting or len(self._waiting) >= self._limits.of_waiting:
                raise self._busy()
            self._waiting.add(source)
        try:
            yield
        finally:
            with self._counting:
                self._waiting.remove(source)

    @cached_property
    def _nobody(self) -> str:
        """Checked where there is no usable hash to check, so that the work is the same."""
        return self._hasher.hash("nobody has this password")

    def is_outdated(self, password_hash: str) -> bool:
        """Whether the hash was made with other parameters than new ones are."""
        try:
            return self._hasher.check_needs_rehash(password_hash)
        except InvalidHashError:
            return True

    def _fits(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, _prepared(password))
        except (VerificationError, InvalidHashError):
            return False

    @contextmanager
    def _share(self, source: str) -> Iterator[None]:
        """A place among those of one source; only sources that have one are remembered."""
        with self._counting:
            if source and self._sources[source] >= self._limits.of_one_source:
                raise self._busy()
            self._sources[source] += 1
        try:
            yield
        finally:
            with self._counting:
                self._sources[source] -= 1
                if not self._sources[source]:
                    del self._sources[source]

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._places.acquire(blocking=False):
            raise self._busy()
        try:
            if not self._running.acquire(timeout=self._limits.patience):
                raise self._busy()
            try:
                yield
            finally:
                self._running.release()
        finally:
            self._places.release()

    def _busy(self) -> Busy:
        REFUSED.inc()
        return Busy(self._limits.retry_after)


def password_problems(username: str, password: str, field: str = "password") -> list[Problem]:
    """What is wrong with a new password of that user; never tells the password."""
    problems = []
    if len(password) < SHORTEST:
        problems.append(Problem(field=field, code="too_short", expected=f"at least {SHORTEST} characters"))
    if len(password) > LONGEST:
        problems.append(Problem(field=field, code="too_long", expected=f"at most {LONGEST} characters"))
    if password and _composed(password).casefold() == _composed(username).casefold():
        problems.append(Problem(field=field, code="same_as_username", expected="another word than the username"))
    return problems


def password_hash_problems(text: str, field: str = "password_hash") -> list[Problem]:
    """What is wrong with a hash from elsewhere; never tells the hash."""
    match = _PHC.fullmatch(text)
    if match is None:
        expected = "an argon2id hash like $argon2id$v=19$m=65536,t=3,p=4$SALT$HASH"
        return [Problem(field=field, code="not_argon2id", expected=expected)]
    memory, passes, lanes = (int(number) for number in match.groups())
    if memory > _MOST_MEMORY_KIB or not 1 <= passes <= _MOST_PASSES or not 1 <= lanes <= _MOST_LANES:
        expected = f"at most m={_MOST_MEMORY_KIB}, t={_MOST_PASSES}, p={_MOST_LANES}"
        return [Problem(field=field, code="too_costly", expected=expected)]
    return []


def _composed(text: str) -> str:
    """One form of the same letters: keyboards differ in how they compose them (RFC 8265 section 4.2)."""
    return unicodedata.normalize("NFC", text)


def _prepared(password: str) -> bytes:
    return _composed(password).encode("utf-8", "surrogatepass")
