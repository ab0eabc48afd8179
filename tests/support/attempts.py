"""Attempts to get in by every way, with real factors, and what is left of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from control.auth import app_passwords, factors, people, totp
from control.auth.app_passwords import AppPasswordDraft
from control.auth.deciding import AnswerGiven, Attempt, Decider, Given, PasswordGiven, TokenGiven
from control.auth.passwords import Passwords
from control.auth.people import UserDraft
from control.auth.sessions import Origin
from control.domain.decision import Channel, Verdict
from control.domain.factors import AppPassword, Failures
from control.domain.identity import User, UserKind
from control.domain.security import AuditEvent
from tests.support.auth import EDGE, PASSWORD, World
from tests.support.stores import ADMIN, Clock

HOME, ELSEWHERE, THIEF = "198.51.100.7", "203.0.113.80", "192.0.2.66"
PROTOCOLS = (Channel.HTTP, Channel.LDAP, Channel.RADIUS)


def count_hashes(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bool, str]]:
    """A list that gets one entry for each password that is checked: whether against a real hash, and the password."""
    checked: list[tuple[bool, str]] = []
    verify = Passwords.verify

    def counted(self: Passwords, password_hash: str | None, password: str, source: str = "") -> bool:
        checked.append((password_hash is not None, password))
        return verify(self, password_hash, password, source)

    monkeypatch.setattr(Passwords, "verify", counted)
    return checked


@dataclass
class Door:
    """Where people try to get in: at the wiki, by HTTP, from home, unless said otherwise."""

    world: World
    clock: Clock
    decider: Decider = field(init=False)

    def __post_init__(self) -> None:
        self.decider = self.another()

    def another(self, passwords: Passwords | None = None) -> Decider:
        """A decider like that of another process."""
        return Decider(self.world.store, passwords or self.world.passwords, self.world.issuer)

    def attempt(self, given: Given, address: str = HOME, **changed: Any) -> Attempt:
        usual: dict[str, Any] = {
            "channel": Channel.HTTP,
            "application": self.world.wiki_application.id,
            "dialogue": False,
            "actor": EDGE,
        }
        if changed.get("channel") is Channel.BROWSER:
            usual |= {"application": None, "dialogue": True}
        return Attempt(given=given, origin=Origin(address=address, request_id="r-1"), **{**usual, **changed})

    def password(self, username: str, password: str = PASSWORD, address: str = HOME, **changed: Any) -> Verdict:
        given = PasswordGiven(username=username, password=password)
        return self.decider.decide(self.attempt(given, address, **changed))

    def token(self, secret: str, address: str = HOME, **changed: Any) -> Verdict:
        return self.decider.decide(self.attempt(TokenGiven(secret=secret), address, **changed))

    def answer(self, state: str, code: str, address: str = HOME, **changed: Any) -> Verdict:
        return self.decider.decide(self.attempt(AnswerGiven(state=state, code=code), address, **changed))

    def fail(self, username: str, times: int, address: str = HOME, **changed: Any) -> list[Verdict]:
        return [self.password(username, "wrong", address, **changed) for _ in range(times)]

    def enrol(self, user: User) -> "App":
        """An authenticator app, with its recovery codes; its first code is spent."""
        with self.world.store.write(ADMIN) as unit:
            made = factors.begin_enrolment(unit, user.id, "phone")
            app = App(made.secret, self.clock)
            app.recovery = tuple(factors.confirm_enrolment(unit, user.id, made.id, app.code()))
        self.clock.advance(seconds=30)
        return app

    def app_password(
        self,
        user: User,
        name: str = "phone",
        expires: datetime | None = None,
        application: UUID | None = None,
        second_factor: bool = True,
    ) -> tuple[AppPassword, str]:
        draft = AppPasswordDraft(
            user=user.id,
            name=name,
            expires=expires,
            everywhere=application is None,
            second_factor=second_factor,
            applications=frozenset([application] if application else ()),
        )
        with self.world.store.write(ADMIN) as unit:
            return app_passwords.create(unit, draft)

    def account(self, username: str, kind: UserKind = UserKind.INTERNAL, **changed: Any) -> User:
        """Another account, with the usual password, that may use the wiki."""
        with self.world.store.write(ADMIN) as unit:
            groups = frozenset([self.world.staff.id])
            draft = UserDraft(username=username, kind=kind, groups=groups, **changed)
            return people.create_user(unit, draft, self.world.alice.password_hash)

    def events(self, *actions: str) -> Sequence[AuditEvent]:
        """What the audit trail says of attempts, oldest first."""
        wanted = actions or ("signed_in", "authenticated")
        with self.world.store.read() as unit:
            return [event for event in unit.audit.latest(1000)[::-1] if event.action in wanted]

    def reasons(self) -> list[str]:
        return [event.reason for event in self.events()]

    def failures(self, *buckets: str) -> dict[str, Failures]:
        with self.world.store.read() as unit:
            return unit.failures.find(buckets)


@dataclass
class App:
    """An authenticator app as a person has it."""

    secret: bytes
    clock: Clock
    recovery: tuple[str, ...] = ()

    def code(self) -> str:
        """What it shows now."""
        return totp.code_at(self.secret, totp.step_of(self.clock.now))
