"""A verifier with a gate that answers as it is told, and a clock that is ours."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from dataplane.config import Changed, Edit, Ended, Options
from dataplane.gate import (
    Allowed,
    Answer,
    Attempt,
    Channel,
    Credentials,
    Denied,
    DenyReason,
    Identity,
    PasswordCredentials,
    ProxySession,
    Unavailable,
)
from dataplane.verifier import Verified, Verifier, VerifierLimits

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
YES_BOB = replace(YES, session=replace(SESSION, id="s2", identity=replace(ALICE, subject="u2", username="bob")))
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
