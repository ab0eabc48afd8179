"""The LDAP outpost's protocol server, as a worker runs it: prepare and commit config, serve sockets, drain, count."""

import datetime as dt
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dataplane.config import DirectoryEdit, Edit
from dataplane.gate import Event, Gate
from dataplane.io.connection import Connection
from dataplane.io.limits import Limits
from dataplane.io.self_signed import self_signed
from dataplane.io.tcp import TcpServer
from dataplane.io.tls import ServerNames, server_context
from dataplane.metering import Snapshot
from dataplane.protocols.ldap.config import Prepared, prepare
from dataplane.protocols.ldap.handler import LdapHandler
from dataplane.protocols.ldap.service import OperationLimits, Service
from dataplane.protocols.ldap.session import LdapSession, Room
from dataplane.protocols.ldap.trees import Trees
from dataplane.sansio.clients import DEFAULT_TRUSTED, Trusted
from dataplane.verifier import Lesson, Sharing

LIMITS = Limits(connections=20_000, connections_per_peer=1_000, first=OperationLimits().idle, unsent=64 << 20)
"""An application is one peer, and may open connections before it has a use for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LdapSettings:
    """What doesn't come from control."""

    version: str
    trusted_cidrs: tuple[str, ...] = DEFAULT_TRUSTED
    """Who may say in the PROXY protocol whose connection it is."""
    limits: Limits = LIMITS
    operations: OperationLimits = field(default_factory=OperationLimits)
    certificate: tuple[str, ...] = field(default=(), repr=False)
    """Chain and key (PEM) for names without one of their own; empty for one that is made here."""


class LdapServer:
    """One worker's server. Raises ValueError for a bad setting."""

    def __init__(
        self,
        settings: LdapSettings,
        gate: Gate,
        clock: Callable[[], float],
        random: Callable[[int], bytes],
        want_directory: Callable[[], None],
    ) -> None:
        now = dt.datetime.fromtimestamp(clock(), dt.UTC)
        chain, key = settings.certificate or self_signed(now)
        self._names = ServerNames(server_context(chain, key, ()))
        self._service = Service(gate, self._names, settings.operations, clock, random)
        self._want_directory = want_directory
        self._handlers: dict[Connection[Any], LdapHandler] = {}
        self._room = Room()
        self._tcp = TcpServer(self._open, settings.limits, relays=Trusted(settings.trusted_cidrs).holds, keeper=self)
        self._prepared = Prepared(trees=Trees(version=settings.version))

    def prepare(self, edit: Edit) -> tuple[Prepared, Mapping[str, str]]:
        """What is served, with this edit, made ready; and which keys can't be served, with reasons."""
        return prepare(edit, self._prepared)

    def commit(self, prepared: Prepared) -> None:
        """Serve by `prepared` from the next operation on."""
        self._names.replace(prepared.find_context)
        self._service.commit(prepared)
        self._prepared = prepared
        if prepared.trees.wants_directory:
            self._want_directory()

    def apply_directory(self, edit: DirectoryEdit, pause: Callable[[], None]) -> None:
        """Take a part of the directory."""
        trees = self._service.trees
        trees.apply(edit, pause)
        # Others may be served by now, with more to show.
        if trees is not self._service.trees:
            self._service.trees.use()
            if edit.complete and self._service.trees.wants_directory:
                self._want_directory()
        if edit.complete:
            self._service.shelf.drop_stale()

    def serve(self, listener: socket.socket, *, tls: bool) -> None:
        """Accept on `listener` from now on."""
        self._tcp.serve(listener, self._names.context if tls else None)

    def join(self, sharing: Sharing) -> None:
        """Keep what control says of credentials in common with the other workers of the outpost."""
        self._service.verifier.join(sharing)

    def learn(self, lesson: Lesson) -> None:
        """Another worker has asked control about credentials."""
        self._service.verifier.learn(lesson)

    def drain(self, seconds: float) -> None:
        """Stop accepting, let operations in flight finish for `seconds`, then cut."""
        self._tcp.drain(seconds)

    def take_events(self, *, last: bool = False) -> tuple[Event, ...]:
        """What happened since the last time, to be told to control; `last`: there is no next one."""
        ledger = self._service.ledger
        return ledger.take_all() if last else ledger.take()

    @property
    def connections(self) -> int:
        """How many are open now."""
        return self._tcp.connections

    def metrics(self) -> Snapshot:
        """What was counted so far."""
        service, options = self._service, self._prepared.options
        gauges = {
            "garrison_ldap_connections": self.connections,
            "garrison_ldap_bound_connections": len(service.connections),
            "garrison_ldap_directory_loaded": float(service.trees.loaded),
            "garrison_ldap_events_untold": service.ledger.untold,
        }
        name = options.outpost_name if options is not None else ""
        return service.metrics.snapshot(name, self._tcp.counts.limits, gauges, service.verifier)

    # The driver's keeper.

    def farewell(self, connection: Connection[Any]) -> bytes:
        """The notice of disconnection, where one is due."""
        return self._handlers[connection].farewell()

    def closed(self, connection: Connection[Any]) -> None:
        """Forget it."""
        self._handlers.pop(connection).close()

    def _open(self, connection: Connection[Any]) -> tuple[LdapSession, LdapHandler]:
        session = LdapSession(room=self._room)
        handler = self._handlers[connection] = LdapHandler(self._service, session, connection)
        return session, handler
