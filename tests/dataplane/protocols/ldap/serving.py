"""An LDAP server on real sockets, with a gate that answers as it is told, and clients that run beside it."""

import datetime as dt
import os
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, Self

import gevent
import pytest
from gevent import socket as gevent_socket
from gevent.event import Event
from gevent.ssl import SSLContext

from dataplane.config import (
    BindMode,
    Certificate,
    DirectoryEdit,
    DirectoryEntry,
    DirectoryUser,
    Edit,
    Ended,
    LdapProvider,
    Options,
    Resource,
)
from dataplane.gate import (
    Allowed,
    Answer,
    Attempt,
    Denied,
    DenyReason,
    Identity,
    PasswordAnswer,
    PasswordChange,
    PasswordChanged,
    PasswordCredentials,
    ProxySession,
    Redemption,
    SessionAnswer,
    SessionReference,
    Unavailable,
)
from dataplane.io.connection import Connection
from dataplane.io.limits import Limits
from dataplane.io.self_signed import self_signed
from dataplane.protocols.ldap.server import LdapServer, LdapSettings
from dataplane.protocols.ldap.service import OperationLimits
from tests.dataplane.io.lines import listen
from tests.support import ldap_ber as ber
from tests.support.ldap_client import Ended as Closed
from tests.support.ldap_client import Ldap
from tests.support.ldap_people import directory_group, directory_user, ldap_provider
from tests.support.verifying import NOW, Clock

BASE = "dc=example,dc=com"
PASSWORD = "correct-horse"
QUICK = Limits(linger=0.2, tick=0.02, settle=0.02, parting=0.1)
OPTIONS = Options(
    outpost_id="o",
    outpost_name="edge",
    log_level="info",
    refresh_interval=300.0,
    browser_url="",
    bind_cache=600.0,
    offline_grace=86400.0,
)
PROVIDER = replace(ldap_provider(base_dn=BASE), search_group=directory_group("searchers").id)
STAFF, SEARCHERS = directory_group("staff"), directory_group("searchers")
ALICE = replace(directory_user("alice"), groups=(STAFF.id,), number=1)
BOB = replace(directory_user("bob"), groups=(STAFF.id,), number=2)
SEARCH = replace(directory_user("search"), groups=(SEARCHERS.id,), number=3)
PEOPLE: tuple[DirectoryUser, ...] = (ALICE, BOB, SEARCH)


def entries(*people: DirectoryEntry) -> dict[str, DirectoryEntry]:
    """Entries by their keys."""
    return {f"{'user' if isinstance(each, DirectoryUser) else 'group'}/{each.id}": each for each in people}


def user_dn(username: str) -> str:
    """Of a user whose name needs no escapes."""
    return f"cn={username},ou=users,{BASE}"


def session_of(user: DirectoryUser, number: int = 1) -> ProxySession:
    """As control gives it to who signs in."""
    person = Identity(
        subject=user.id, username=user.username, name="", email="", groups=(), entitlements=(), additional_headers=()
    )
    return ProxySession(
        id=f"{user.username}-{number}", identity=person, authenticated=NOW, expires=NOW + 86400, id_token=""
    )


def certificate(name: str = "web") -> Certificate:
    """A certificate of its own for any name."""
    chain, key = self_signed(dt.datetime.now(dt.UTC))
    return Certificate(id=name, name=name, chain=chain, private_key=key)


@dataclass
class DirectoryGate:
    """Lets in whoever knows `PASSWORD`, or answers as it is told."""

    verdict: Answer | None = None
    changed: PasswordAnswer = field(default_factory=PasswordChanged)
    slowly: float = 0.0
    held: Event | None = None
    """Until it is set no password is changed."""
    cache: float = 600.0
    attempts: list[Attempt] = field(default_factory=list)
    changes: list[PasswordChange] = field(default_factory=list)

    def authenticate(self, attempt: Attempt) -> Answer:
        self.attempts.append(attempt)
        gevent.sleep(self.slowly)
        if self.verdict is not None:
            return self.verdict
        given = attempt.credentials
        assert isinstance(given, PasswordCredentials)
        for user in PEOPLE:
            if user.username == given.username and given.password == PASSWORD:
                return Allowed(session=session_of(user, len(self.attempts)), attributes="{}", cache=self.cache)
        return Denied(reason=DenyReason.INVALID_CREDENTIALS)

    def change_password(self, change: PasswordChange) -> PasswordAnswer:
        self.changes.append(change)
        gevent.sleep(self.slowly)
        if self.held is not None:
            self.held.wait(30)
        return self.changed

    def redeem_code(self, redemption: Redemption) -> SessionAnswer:
        raise AssertionError(f"there are no codes in LDAP: {redemption}")

    def look_up_session(self, reference: SessionReference) -> SessionAnswer:
        raise AssertionError(f"there are no cookies in LDAP: {reference}")

    def find_outage(self) -> Unavailable | None:
        return None

    def end_session(self, provider: str, session: str) -> None:
        raise AssertionError(f"nobody signs out over LDAP: {provider} {session}")


class Client(Ldap):
    """A connection that waits in its own greenlet."""

    def __init__(self, port: int, source: str = "127.0.0.1", name: str = "localhost") -> None:
        self.socket = gevent_socket.create_connection(("127.0.0.1", port), timeout=30, source_address=(source, 0))
        self.name = name
        self._numbers = count(1)
        self._data = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


class World:
    """One server with what it has been told."""

    def __init__(self, settings: LdapSettings) -> None:
        self.gate = DirectoryGate()
        self.clock = Clock()
        self.wanted = 0
        self.server = LdapServer(settings, self.gate, self.clock, os.urandom, self._want)
        self.listener = listen(socket.AF_INET)
        self.tls_listener = listen(socket.AF_INET)

    def _want(self) -> None:
        self.wanted += 1

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    @property
    def tls_port(self) -> int:
        return int(self.tls_listener.getsockname()[1])

    def apply(self, changed: Mapping[str, Resource], *removed: str) -> Mapping[str, str]:
        """Prepare and commit; what is refused, in which case nothing is committed."""
        prepared, refused = self.server.prepare(Edit(changed=changed, removed=frozenset(removed)))
        if not refused:
            self.server.commit(prepared)
        return refused

    def load(self, *people: DirectoryEntry) -> None:
        """A whole copy of a directory."""
        edit = DirectoryEdit(changed=entries(*people), begins=True)
        self.server.apply_directory(edit, lambda: None)

    def change(self, *people: DirectoryEntry, removed: tuple[str, ...] = ()) -> None:
        """A change of it."""
        self.server.apply_directory(DirectoryEdit(changed=entries(*people), removed=frozenset(removed)), lambda: None)

    def client(self, username: str = "", source: str = "127.0.0.1") -> Client:
        """A connection, bound if it is somebody's."""
        client = Client(self.port, source)
        if username:
            found = client.bind(user_dn(username), PASSWORD)
            assert found.code == 0, found
        return client

    def count(self, name: str, **labels: str) -> float:
        """A counter or gauge by name and some of its labels."""
        snapshot = self.server.metrics()
        samples = [*snapshot["counters"], *snapshot["gauges"]]
        return sum(
            each["value"] for each in samples if each["name"] == name and labels.items() <= each["labels"].items()
        )

    def connections(self) -> list[Connection[Any]]:
        """Those that are open."""
        return [*self.server._handlers]  # nobody else has to know them

    def limits(self) -> dict[str, float]:
        """Limits hit."""
        counters = self.server.metrics()["counters"]
        return {
            each["labels"]["limit"]: each["value"] for each in counters if each["name"] == "garrison_ldap_limits_total"
        }


@contextmanager
def serving(
    provider: LdapProvider = PROVIDER,
    *,
    limits: Limits = QUICK,
    operations: OperationLimits | None = None,
    trusted: tuple[str, ...] = (),
    loaded: bool = True,
) -> Iterator[World]:
    """A server of one provider that serves, with its directory."""
    world = World(
        LdapSettings(version="1.2.3", trusted_cidrs=trusted, limits=limits, operations=operations or OperationLimits())
    )
    assert not world.apply({"options": OPTIONS, f"provider/{provider.id}": provider})
    if loaded:
        world.load(STAFF, SEARCHERS, *PEOPLE)
    world.server.serve(world.listener, tls=False)
    world.server.serve(world.tls_listener, tls=True)
    try:
        yield world
    finally:
        world.server.drain(0.1)
        assert world.server.connections == 0
        world.listener.close()
        world.tls_listener.close()


DIRECT, CACHED = PROVIDER, replace(PROVIDER, bind_mode=BindMode.CACHED)


UNTIL = NOW + 1e6
NOTICE = "1.3.6.1.4.1.1466.20036"
ME = ber.Search(base=BASE, filter=ber.equal("uid", "alice"), attributes=("1.1",))
CROWD = [replace(directory_user(f"user{number:05}"), number=10 + number) for number in range(6000)]


def last_words(client: Client) -> tuple[int, str]:
    """The notice of disconnection and nothing behind it."""
    heard = client.receive()
    assert heard.number == 0, heard
    notice = ber.answer(heard.operation, heard.controls, ())
    assert notice.oid == NOTICE
    with pytest.raises(Closed):
        client.receive()
    return notice.code, notice.text


def trusting(chain: str | None = None) -> SSLContext:
    """A client's context that takes this certificate alone, or any."""
    context = SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    if chain is None:
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(cadata=chain)
    return context


def codes_of(client: Client, numbers: Sequence[int]) -> dict[int, int]:
    """How these requests ended."""
    return {number: answer.code for number, answer in client.answers(numbers).items()}


def ended(session: str = "", subject: str = "", provider: str = "", before: float = NOW + 10) -> Ended:
    """A revocation."""
    return Ended(session=session, subject=subject, provider=provider, before=before, until=UNTIL)
