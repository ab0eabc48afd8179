"""Outposts, their tokens, and what is known of their instances."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from control.domain.outpost import Drain, Instance, InstanceEvent, InstanceState, LinkProcess, Outpost, Token
from control.store import tables
from control.store.base import Context, LinkTable, Quiet, Repository, chunks


class Outposts(Repository[Outpost]):
    """The outposts, with the providers they serve."""

    table = tables.outposts
    entity = Outpost
    kind = "outpost"
    unique = ("name",)

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._providers = LinkTable(context, tables.outpost_providers.c.outpost, tables.outpost_providers.c.provider)

    def find_embedded(self) -> Outpost | None:
        """The outpost that runs with control, if it was made yet."""
        return self._one(self.table.c.embedded.is_(True))

    def find_by_service_account(self, user: UUID) -> Outpost | None:
        """The outpost whose account that is."""
        return self._one(self.table.c.service_account == user)

    def _linked(self, keys: Collection[object]) -> Mapping[Any, dict[str, Any]]:
        return {key: {"providers": providers} for key, providers in self._providers.of_each(keys).items()}

    def _insert(self, entity: Outpost) -> None:
        super()._insert(entity)
        self._providers.replace(entity.id, entity.providers)

    def _update(self, entity: Outpost) -> None:
        super()._update(entity)
        self._providers.replace(entity.id, entity.providers)


class Tokens(Repository[Token]):
    """The tokens of service accounts; the secret lies sealed and can be read again."""

    table = tables.tokens
    entity = Token
    kind = "token"
    name = "identifier"
    order = "identifier"
    sealed = ("secret",)
    unique = ("identifier", "fingerprint")

    def find_by_fingerprint(self, fingerprint: str) -> Token | None:
        """The token whose fingerprint that is, revoked or not."""
        return self._by(self.table.c.fingerprint, fingerprint)

    def of_user(self, user: UUID) -> list[Token]:
        """The tokens of one account, the newest first."""
        return self.of_users([user])[user]

    def of_users(self, users: Collection[UUID]) -> dict[UUID, list[Token]]:
        """The tokens of each of these accounts, the newest first."""
        found: dict[UUID, list[Token]] = {user: [] for user in users}
        for token in (token for some in chunks(found) for token in self._of(self.table.c.user, some)):
            found[token.user].append(token)
        return {user: sorted(tokens, key=lambda token: token.created, reverse=True) for user, tokens in found.items()}

    def users_with_several(self) -> frozenset[UUID]:
        """The accounts with more than one valid token, as there are while one is being rotated."""
        unexpired = sa.or_(self.table.c.expires.is_(None), self.table.c.expires > self.context.now)
        valid = sa.select(self.table.c.user).where(self.table.c.revoked.is_(None), unexpired)
        several = valid.group_by(self.table.c.user).having(sa.func.count() > 1)
        return frozenset(row[0] for row in self.context.rows(several))

    def touch(self, token: UUID) -> None:
        """Remember that the token was used now; no change worth an audit event."""
        statement = sa.update(self.table).where(self.table.c.id == token).values(last_used=self.context.now)
        self.context.connection.execute(statement)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An instance's id and the link process that holds it."""

    id: UUID
    holder: UUID | None


class Instances(Quiet[Instance]):
    """The running copies of outposts. Their beats are no changes."""

    table = tables.instances
    entity = Instance
    kind = "instance"
    name = "uid"
    order = "hostname"

    def of_outpost(self, outpost: UUID) -> list[Instance]:
        """The instances of one outpost."""
        return self._select(self.table.c.outpost == outpost)

    def counts_by_holder(self) -> dict[UUID, int]:
        """How many instances each link process holds; those without any are left out."""
        column = self.table.c.holder
        held = sa.and_(column.is_not(None), self.table.c.state != InstanceState.DISCONNECTED)
        statement = sa.select(column, sa.func.count().label("instances")).where(held).group_by(column)
        return {row._mapping[column]: int(row._mapping["instances"]) for row in self.context.rows(statement)}

    def of_outposts(self, outposts: Collection[UUID]) -> list[Instance]:
        """The instances of these outposts."""
        return [each for some in chunks(outposts) for each in self._select(self.table.c.outpost.in_(some))]

    def held(self, outposts: Collection[UUID]) -> dict[tuple[UUID, str], Held]:
        """The instances of these outposts, by outpost and uid, as far as it takes to see whose they are."""
        columns = (self.table.c.outpost, self.table.c.uid, self.table.c.id, self.table.c.holder)
        found = (sa.select(*columns).where(self.table.c.outpost.in_(some)) for some in chunks(outposts))
        rows = (row for statement in found for row in self.context.rows(statement))
        return {(row.outpost, row.uid): Held(id=row.id, holder=row.holder) for row in rows}

    def held_by_others(self, holder: UUID) -> frozenset[tuple[UUID, str]]:
        """Outpost and uid of the instances that other link processes hold."""
        theirs = self.table.c.holder.is_not(None) & (self.table.c.holder != holder)
        rows = self.context.rows(sa.select(self.table.c.outpost, self.table.c.uid).where(theirs))
        return frozenset((row.outpost, row.uid) for row in rows)


class InstanceEvents(Quiet[InstanceEvent]):
    """The history of instances; as little a change as their beats."""

    table = tables.instance_events
    entity = InstanceEvent
    kind = "instance event"
    name = "uid"
    order = "at"

    def record(self, events: Iterable[InstanceEvent]) -> None:
        """Append to the history."""
        self._insert_many(events)

    def of_instance(self, outpost: UUID, uid: str, limit: int) -> list[InstanceEvent]:
        """What happened last to one instance, the newest first."""
        mine = sa.and_(self.table.c.outpost == outpost, self.table.c.uid == uid)
        statement = self._query().where(mine).order_by(self.table.c.at.desc(), self.table.c.id).limit(limit)
        return self._entities(self.context.rows(statement))

    def drop_before(self, moment: datetime) -> None:
        """Forget what is older."""
        self.context.connection.execute(sa.delete(self.table).where(self.table.c.at < moment))


class Drains(Repository[Drain]):
    """Which instances are to end. Asking is a change, so that the link hears of it; that it is done is none."""

    table = tables.drains
    entity = Drain
    kind = "drain"
    name = "uid"
    order = "asked"

    def forget(self, drains: Iterable[UUID]) -> None:
        """Drop those that were carried out or came too late."""
        self._delete_many(drains)


class LinkProcesses(Quiet[LinkProcess]):
    """The link processes; that they live is no change."""

    table = tables.link_processes
    entity = LinkProcess
    kind = "link process"
    order = "started"

    def beat(self, process: UUID) -> bool:
        """It lives; False when it is not on the list."""
        statement = sa.update(self.table).where(self.table.c.id == process).values(last_seen=self.context.now)
        return self.context.connection.execute(statement).rowcount > 0
