"""People who can sign in, applications they may use, and hashes that cost next to nothing."""

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID, uuid4

from control.auth import people, sessions
from control.auth.gatekeeper import Gatekeeper, Redemption
from control.auth.oidc.authorization import Asked, Outcome, SendBack, authorize
from control.auth.oidc.issuer import Issuer
from control.auth.passwords import DEFAULT_LIMITS, HashLimits, Parameters, Passwords
from control.auth.people import GroupDraft, UserDraft
from control.auth.sessions import OpenedSession, Origin
from control.domain.application import Application, Binding, ProxyProvider
from control.domain.grant import IssuedSession, Refusal
from control.domain.identity import Group, User
from control.store import Actor, Store
from tests.support import builders
from tests.support.stores import ADMIN

PASSWORD = "correct-horse"
CHEAP = Parameters(memory=8, passes=1, lanes=1)
ISSUER = Issuer(url="https://garrison.example.com")
EDGE = Actor(name="outpost/edge", address="192.0.2.9")
VERIFIER = "v" * 43
KEY = b"m" * 32


def cheap_passwords(limits: HashLimits = DEFAULT_LIMITS) -> Passwords:
    """Real argon2id, as cheap as it gets."""
    return Passwords(CHEAP, limits)


def challenge_of(verifier: str) -> str:
    """RFC 7636 section 4.2."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def query_of(url: str) -> dict[str, str]:
    """The parameters of a redirect."""
    return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))


@dataclass
class World:
    """Alice is in staff, bob isn't; wiki is for staff, paste is open to all."""

    store: Store
    passwords: Passwords
    alice: User
    bob: User
    staff: Group
    wiki: ProxyProvider
    wiki_application: Application
    paste: ProxyProvider
    paste_application: Application
    issuer: Issuer = field(default=ISSUER)

    @property
    def gatekeeper(self) -> Gatekeeper:
        return Gatekeeper(self.store, self.issuer)

    def sign_in(self, user: User | None = None) -> OpenedSession:
        """A session of the control plane, without the password's detour."""
        with self.store.write(ADMIN) as unit:
            return sessions.open_session(unit, (user or self.alice).id, Origin())

    def authorize(self, secret: str = "", /, **changed: str) -> Outcome:
        """Ask for a code with a session's secret; `changed` replaces parameters, empty ones are left out."""
        return self.ask(secret, tuple(self.parameters(**changed).items()))

    def ask(self, secret: str, asked: tuple[tuple[str, str], ...]) -> Outcome:
        """The same with exactly these parameters."""
        with self.store.write(ADMIN) as unit:
            session = sessions.find_session(unit, secret)
            return authorize(unit, self.issuer, Asked(parameters=asked, session=session, now=unit.now, key=KEY))

    def parameters(self, provider: ProxyProvider | None = None, /, **changed: str) -> dict[str, str]:
        """A request as an outpost makes it."""
        wanted = provider or self.wiki
        usual = {
            "response_type": "code",
            "client_id": wanted.client_id,
            "redirect_uri": callback(wanted),
            "scope": "openid profile email entitlements ak_proxy",
            "state": "st-123",
            "nonce": "n-123",
            "code_challenge": challenge_of(VERIFIER),
            "code_challenge_method": "S256",
        }
        return {name: value for name, value in {**usual, **changed}.items() if value}

    def code(self, secret: str, /, **changed: str) -> str:
        """A code, which must be granted."""
        outcome = self.authorize(secret, **changed)
        assert isinstance(outcome, SendBack), outcome
        return query_of(outcome.url)["code"]

    def redeem(self, code: str, **changed: Any) -> IssuedSession | Refusal:
        """Redeem a code as the outpost of the wiki."""
        fits: dict[str, Any] = {
            "provider": self.wiki.id,
            "code": code,
            "redirect_uri": callback(self.wiki),
            "verifier": VERIFIER,
        }
        return self.gatekeeper.redeem_code(EDGE, Redemption(**{**fits, **changed}))


def callback(provider: ProxyProvider) -> str:
    """The provider's redirect URI."""
    return f"{provider.external_host}/outpost.goauthentik.io/callback?X-authentik-auth-callback=true"


def make_world(store: Store, passwords: Passwords | None = None) -> World:
    """The usual people and applications, in a real database."""
    hasher = passwords or cheap_passwords()
    password_hash = hasher.hash(PASSWORD)
    wiki, paste = builders.provider("wiki"), builders.provider("paste")
    wiki_application = builders.application("wiki", provider=wiki.id)
    paste_application = builders.application("paste", provider=paste.id)
    with store.write(ADMIN) as unit:
        staff = people.create_group(unit, GroupDraft(name="staff"))
        alice = people.create_user(unit, _draft("alice", staff.id), password_hash)
        bob = people.create_user(unit, _draft("bob"), password_hash)
        for provider, application in ((wiki, wiki_application), (paste, paste_application)):
            unit.providers.add(provider)
            unit.applications.add(application)
        unit.bindings.add(Binding(id=uuid4(), application=wiki_application.id, group=staff.id))
    return World(store, hasher, alice, bob, staff, wiki, wiki_application, paste, paste_application)


def _draft(username: str, *groups: UUID) -> UserDraft:
    email = f"{username}@example.com"
    return UserDraft(username=username, name=username.title(), email=email, groups=frozenset(groups))
