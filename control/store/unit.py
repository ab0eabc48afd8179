"""The unit of work: one transaction with a repository for each noun.

`Store.write` begins it as a writer, and at the end records the audit trail and the consequences for sessions,
takes the revision as the last statement (so commit order is revision order) and wakes the listeners.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from control.domain.security import AuditEvent
from control.store import tables
from control.store.audit import AuditEvents
from control.store.base import Context
from control.store.catalogue import Applications, Bindings, CookieKeys, LdapProviders, Providers, ProxyProviders
from control.store.changes import Change
from control.store.crowds import Crowds, Event
from control.store.deployments import Drains, InstanceEvents, Instances, LinkProcesses, Outposts, Tokens
from control.store.directory import Directory, DirectoryLog
from control.store.engine import LOOK_SECONDS, Begin, announce, beginning, listen, time_of
from control.store.factors import AppPasswords, Authenticators, FailureCounts, RecoveryCodes
from control.store.failures import told_plainly
from control.store.identifiers import ordered_id
from control.store.integrations import Deployments, IntegrationHealths, Integrations
from control.store.moments import Moments
from control.store.numbers import Numbers
from control.store.people import Groups, Memberships, Users
from control.store.recent import RecentChanges
from control.store.revoking import Revoking
from control.store.runs import Runs
from control.store.sealing import Sealer
from control.store.security import (
    Authorities,
    AuthorizationCodes,
    Certificates,
    Revocations,
    SigningKeys,
    SignIns,
)
from control.store.superusers import Superusers


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acts, for the audit trail: a username, `outpost/NAME` or `cli`, and where from."""

    name: str
    address: str = ""
    request_id: str = ""


SYSTEM = Actor(name="system")


class Unit:
    """One transaction's repositories. `now` is the time the transaction began, the same for all it writes.

    `sealer` derives the keys of keyed hashes that are looked for in the database.
    """

    def __init__(  # long: a repository for each noun
        self, connection: Connection, sealer: Sealer, now: datetime, crowds: Crowds
    ) -> None:
        context = Context(connection, sealer, now, self._note)
        self.now = now
        self.sealer = sealer
        self.changes: list[Change] = []
        self._events: list[Event] = []
        self._crowds = crowds
        self._connection = connection
        self.users = Users(context)
        self.groups = Groups(context)
        self.memberships = Memberships(context, self.groups)
        self.superusers = Superusers(context)
        self.applications = Applications(context)
        self.bindings = Bindings(context)
        self.providers = Providers(context)
        self.proxy_providers = ProxyProviders(context)
        self.ldap_providers = LdapProviders(context)
        self.numbers = Numbers(context)
        self.directory = Directory(context)
        self.cookie_keys = CookieKeys(context)
        self.outposts = Outposts(context)
        self.integrations = Integrations(context)
        self.integration_healths = IntegrationHealths(context)
        self.deployments = Deployments(context)
        self.runs = Runs(context)
        self.tokens = Tokens(context)
        self.instances = Instances(context)
        self.instance_events = InstanceEvents(context)
        self.drains = Drains(context)
        self.link_processes = LinkProcesses(context)
        self.certificates = Certificates(context)
        self.signing_keys = SigningKeys(context)
        self.authorities = Authorities(context)
        self.sign_ins = SignIns(context)
        self.authenticators = Authenticators(context)
        self.recovery_codes = RecoveryCodes(context)
        self.app_passwords = AppPasswords(context)
        self.failures = FailureCounts(context)
        self.codes = AuthorizationCodes(context)
        self.revocations = Revocations(context)
        self.audit = AuditEvents(context)
        self.moments = Moments(context)
        self._revoking = Revoking(self.users, self.groups, self.memberships, self.applications, self.proxy_providers)
        self._directory_log = DirectoryLog(context, self.groups, self.memberships)
        self.recent = RecentChanges(context)

    def revision(self) -> int:
        """The number of the last transaction that changed something."""
        return int(self._connection.execute(sa.select(tables.revision.c.n)).scalar_one())

    def record(self, event: Event) -> None:
        """Append to the audit trail what is no change of an object, such as a failed sign-in."""
        self._events.append(event)

    def finish(self, actor: Actor) -> bool:
        """Write what follows from the changes; True when there were any."""
        events = self._crowds.told([*map(_event, self.changes), *self._events], self.now)
        self.audit.record(_audited(event, actor, self.now) for event in events)
        if not self.changes:
            return False
        revocations = self._revoking.revocations(self.now, self.moments)
        self.revocations.put(revocations)
        self.recent.touch(self.revocations.kind, (each.id for each in revocations))
        self.recent.write()
        self._directory_log.write()
        announce(self._connection)
        self._connection.execute(sa.update(tables.revision).values(n=tables.revision.c.n + 1))
        return True

    def _note(self, change: Change) -> None:
        self.changes.append(change)
        self._revoking.note(change)
        self._directory_log.note(change)
        self.recent.note(change)


def _event(change: Change) -> Event:
    return Event(action=change.action, kind=change.kind, target=change.target, name=change.name, fields=change.changed)


def _audited(event: Event, actor: Actor, now: datetime) -> AuditEvent:
    return AuditEvent(
        id=ordered_id(now),
        at=now,
        recorded=now,
        actor=actor.name,
        action=event.action,
        kind=event.kind,
        target=event.target,
        name=event.name,
        fields=event.fields,
        address=actor.address,
        outcome=event.outcome,
        reason=event.reason,
        count=event.count,
        request_id=actor.request_id,
    )


Clock = Callable[[], datetime] | None
"""The time of units; None is the database's own, which is one for all machines that share it.

Revocations are compared with sessions by it: clocks that differ would let some slip through.
"""


class Store:
    """The database as the rest of control sees it: units that read and units that write."""

    def __init__(self, engine: Engine, sealer: Sealer, clock: Clock, wake: Callable[[], None]) -> None:
        self.sealer = sealer
        self._engine = engine
        self._reading = beginning(engine, Begin.READING)
        self._writing = beginning(engine, Begin.WRITING)
        self._clock = clock
        self._wake = wake
        self._crowds = Crowds()

    @contextmanager
    def read(self) -> Iterator[Unit]:
        """One consistent view; nothing may be written. Raises NotWriting, DatabaseUnavailable."""
        with told_plainly(), self._reading.connect() as connection:
            yield self._unit(connection)
            connection.rollback()

    @contextmanager
    def write(self, actor: Actor) -> Iterator[Unit]:
        """A transaction that commits when the block ends well and is rolled back when it raises.

        Raises DatabaseBusy where others write for too long, DatabaseUnavailable.
        """
        with told_plainly(), self._writing.connect() as connection, connection.begin():
            unit = self._unit(connection)
            yield unit
            changed = unit.finish(actor)
        if changed:
            self._wake()

    @property
    def look_seconds(self) -> float:
        """How often to look for commits of others that nobody was woken for."""
        return LOOK_SECONDS[self._engine.dialect.name]

    async def listen(self, heard: Callable[[], None], listening: Callable[[bool], None]) -> NoReturn:
        """Call `heard` for each commit of anybody, for ever; `listening` says whether that is so just now.

        SQLite tells nobody: there it is up to `wake`.
        """
        await listen(self._engine, heard, listening)

    def close(self) -> None:
        """Close the connections that nobody uses just now."""
        self._engine.dispose()

    def _unit(self, connection: Connection) -> Unit:
        now = time_of(connection) if self._clock is None else self._clock()
        return Unit(connection, self.sealer, now, self._crowds)
