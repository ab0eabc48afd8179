"""Outposts, their tokens, and what is known of their instances."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from control.domain.outpost import Instance, Outpost, Token
from control.store import tables
from control.store.base import Context, LinkTable, Repository


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
        return sorted(self._select(self.table.c.user == user), key=lambda token: token.created, reverse=True)

    def touch(self, token: UUID) -> None:
        """Remember that the token was used now; no change worth an audit event."""
        statement = sa.update(self.table).where(self.table.c.id == token).values(last_used=self.context.now)
        self.context.connection.execute(statement)


class Instances(Repository[Instance]):
    """The running copies of outposts. Their beats are no changes: nothing here is audited or wakes anyone."""

    table = tables.instances
    entity = Instance
    kind = "instance"
    name = "uid"
    order = "hostname"

    def of_outpost(self, outpost: UUID) -> list[Instance]:
        """The instances of one outpost."""
        return self._select(self.table.c.outpost == outpost)

    def save(self, instances: Iterable[Instance]) -> None:
        """Create or replace instances."""
        for instance in instances:
            known = self.find(instance.id) is not None
            (self._update if known else self._insert)(instance)

    def _note(self, before: Instance | None, after: Instance | None) -> None:
        """Nothing: an instance's life is no change of configuration."""
