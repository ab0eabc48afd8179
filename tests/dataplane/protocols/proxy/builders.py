"""Builders with defaults, a gate that answers by a table, and a browser-less way to ask a handler."""

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

from dataplane.config import Edit, Options, ProxyMode, ProxyProvider, Resource, SessionKey
from dataplane.gate import (
    Answer as Verdict,
)
from dataplane.gate import (
    Attempt,
    Denied,
    DenyReason,
    Identity,
    PasswordAnswer,
    PasswordChange,
    ProxySession,
    Redemption,
    Refusal,
    SessionAnswer,
    SessionReference,
    Unavailable,
)
from dataplane.io.limits import Counts
from dataplane.protocols.proxy.common import Outside
from dataplane.protocols.proxy.config import Prepared, prepare
from dataplane.protocols.proxy.cookies import seal_session, split_token
from dataplane.protocols.proxy.doors import Doors
from dataplane.protocols.proxy.handler import ProxyHandler
from dataplane.protocols.proxy.session import HttpSession
from dataplane.protocols.proxy.told.told import Outlets
from dataplane.protocols.proxy.trust import Trust
from dataplane.sansio import PeerError
from dataplane.sansio.clients import DEFAULT_TRUSTED

NOW = 1_800_000_000.0
OPTIONS = Options(
    outpost_id="o1",
    outpost_name="edge",
    log_level="info",
    refresh_interval=300.0,
    browser_url="https://sso.example.com",
)
KEY = SessionKey(id="k1", secret=b"k" * 32)
WIKI = ProxyProvider(
    id="p1",
    name="Wiki provider",
    application_slug="wiki",
    application_name="Wiki",
    client_id="wiki-client",
    mode=ProxyMode.FORWARD_SINGLE,
    external_host="https://wiki.example.com",
    internal_host="",
    internal_host_ssl_validation=True,
    cookie_domain="",
    skip_path_regex=(),
    access_token_validity=86400.0,
    session_keys=(KEY,),
    certificate="",
    intercept_header_auth=True,
)
DOMAIN = replace(
    WIKI,
    id="p2",
    name="Domain provider",
    application_slug="all",
    application_name="Everything",
    client_id="domain-client",
    mode=ProxyMode.FORWARD_DOMAIN,
    external_host="https://auth.corp.test",
    cookie_domain="corp.test",
)
ALICE = Identity(
    subject="u1",
    username="alice",
    name="Alice Doe",
    email="alice@example.com",
    groups=("admins", "staff"),
    entitlements=("edit", "read"),
    additional_headers=(),
)


def id_token(nonce: str = "n") -> str:
    """A token as control makes it, unsigned."""
    payload = base64.urlsafe_b64encode(json.dumps({"nonce": nonce}).encode()).rstrip(b"=").decode()
    return f"e30.{payload}.c2ln"


def session(**changes: Any) -> ProxySession:
    """Alice's session, an hour old of the day it has."""
    base = ProxySession(id="s1", identity=ALICE, authenticated=NOW - 3600, expires=NOW + 82800, id_token=id_token())
    return replace(base, **changes)


@dataclass
class Clock:
    """Virtual time."""

    now: float = NOW

    def __call__(self) -> float:
        return self.now


NO = Denied(reason=DenyReason.INVALID_CREDENTIALS)


@dataclass
class TableGate:
    """Answers by what it was told to."""

    redeemed: SessionAnswer = Refusal.INVALID_CODE
    looked_up: SessionAnswer = Refusal.SESSION_ENDED
    verdict: Verdict = NO
    outage: Unavailable | None = None
    nonce: str = ""
    redemptions: list[Redemption] = field(default_factory=list)
    look_ups: list[SessionReference] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    ended: list[tuple[str, str]] = field(default_factory=list)

    def redeem_code(self, redemption: Redemption) -> SessionAnswer:
        self.redemptions.append(redemption)
        if isinstance(self.redeemed, ProxySession) and self.nonce:
            return replace(self.redeemed, id_token=id_token(self.nonce))
        return self.redeemed

    def look_up_session(self, reference: SessionReference) -> SessionAnswer:
        self.look_ups.append(reference)
        return self.looked_up

    def authenticate(self, attempt: Attempt) -> Verdict:
        self.attempts.append(attempt)
        return self.verdict

    def change_password(self, change: PasswordChange) -> PasswordAnswer:
        raise AssertionError(f"no proxy changes passwords: {change.username}")

    def find_outage(self) -> Unavailable | None:
        return self.outage

    def end_session(self, provider: str, session: str) -> None:
        self.ended.append((provider, session))


class Randomness:
    """Distinct bytes, the same in each run."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, size: int) -> bytes:
        self._count += 1
        return self._count.to_bytes(4, "big").rjust(size, b"r")[-size:]


@dataclass(frozen=True)
class Answer:
    """A response, read back by eye."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def __getitem__(self, name: str) -> str:
        return self.find(name) or ""

    def find(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def read_answer(raw: bytes) -> Answer:
    """Parse a response of ours."""
    head, _, body = raw.partition(b"\r\n\r\n")
    status_line, *lines = head.split(b"\r\n")
    headers = tuple(tuple(line.decode("latin-1").split(": ", 1)) for line in lines)
    return Answer(int(status_line.split()[1]), headers, body)  # type: ignore[arg-type]  # pairs by construction


class FakeConnection:
    """What a handler sees of a connection, without a socket."""

    def __init__(self, peer: str, *, secure: bool) -> None:
        self.peer = peer
        self.secure = secure
        self.finished = False
        self.sent = b""
        self.server = SimpleNamespace(draining=False, counts=Counts())

    def finish(self) -> None:
        self.finished = True

    def send(self, data: bytes) -> None:
        self.sent += data


class Outpost:
    """A proxy outpost without sockets: requests in, answers out, and a cookie jar where wanted."""

    def __init__(
        self,
        *providers: ProxyProvider,
        resources: Mapping[str, Resource] | None = None,
        peer: str = "127.0.0.1",
        trusted: tuple[str, ...] = DEFAULT_TRUSTED,
        service_hosts: frozenset[str] = frozenset(),
        outlets: Outlets | None = None,
    ) -> None:
        self.clock = Clock()
        self.gate = TableGate()
        self.random = Randomness()
        self.peer = peer
        self.outside = Outside(gate=self.gate, clock=self.clock, random=self.random, outlets=outlets or Outlets())
        self.doors = Doors(self.outside, Trust(trusted, service_hosts), None)
        self.refused: Mapping[str, str] = {}
        self.prepared = Prepared()
        first: dict[str, Resource] = {"options": OPTIONS}
        first |= {f"provider/{provider.id}": provider for provider in providers}
        self.commit(**first, **(resources or {}))

    def commit(self, **resources: Resource) -> None:
        """Apply these beside what there is."""
        self.edit(Edit(changed=resources))

    def edit(self, edit: Edit) -> None:
        """Apply a change."""
        self.prepared, self.refused = prepare(edit, "1.0", self.random, self.prepared)
        self.doors.commit(self.prepared)

    def exchange(self, raw: bytes, *, secure: bool = False) -> tuple[list[Answer], FakeConnection]:
        """All answers to what a peer sends on one connection."""
        http = HttpSession()
        handler = ProxyHandler(self.doors, http)
        connection = FakeConnection(self.peer, secure=secure)
        answers = list(_converse(http, handler, connection, raw))
        return [read_answer(answer) for answer in answers if answer], connection

    def ask(self, target: str, method: str = "GET", headers: Mapping[str, str] | None = None) -> Answer:
        """The answer to one request."""
        fields = {"Host": "outpost.internal", **(headers or {})}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        answers, _ = self.exchange(f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode())
        (answer,) = answers
        return answer

    def check(self, dialect: str, url: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Ask as a reverse proxy does, about `url`."""
        scheme, _, rest = url.partition("://")
        host, slash, path = rest.partition("/")
        uri = slash + path
        match dialect:
            case "traefik" | "caddy":
                asked = {
                    "X-Forwarded-Method": "GET", "X-Forwarded-Proto": scheme, "X-Forwarded-Host": host,
                    "X-Forwarded-Uri": uri or "/",
                }  # fmt: skip
                return self.ask(f"/outpost.goauthentik.io/auth/{dialect}", headers={**asked, **(headers or {})})
            case "nginx":
                asked = {"Host": host, "X-Original-URL": url}
                return self.ask("/outpost.goauthentik.io/auth/nginx", headers={**asked, **(headers or {})})
        return self.ask(
            f"/outpost.goauthentik.io/auth/envoy{uri}",
            headers={"Host": host, "X-Forwarded-Proto": scheme, **(headers or {})},
        )

    def cookie(self, held: ProxySession | None = None, provider: str = "p1") -> str:
        """A Cookie header that holds a session."""
        application = next(app for app in self.doors.routes.applications if app.provider.id == provider)
        values = split_token(seal_session(application.sealer, held or session()))
        names = [application.cookie, application.cookie + b"_1", application.cookie + b"_2"]
        return "; ".join(f"{name.decode()}={value.decode()}" for name, value in zip(names, values, strict=False))


def _converse(http: HttpSession, handler: ProxyHandler, connection: FakeConnection, raw: bytes) -> Iterator[bytes]:
    http.receive(raw)
    try:
        for event in http.events():
            yield handler.handle(event, connection)  # type: ignore[arg-type]  # the part of it that handlers use
            if connection.finished:
                return
    except PeerError as error:
        yield handler.refuse(error, connection)  # type: ignore[arg-type]  # likewise
