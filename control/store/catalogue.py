"""Applications, their bindings, and the providers that guard them."""

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import timedelta
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import Row

from control.domain.application import (
    Application,
    AttributeMapping,
    Binding,
    LdapProvider,
    Provider,
    ProviderType,
    ProxyProvider,
)
from control.domain.directory import Shown
from control.domain.security import CookieKey
from control.store import tables
from control.store.base import Context, Repository


class Applications(Repository[Application]):
    """The applications, by slug."""

    table = tables.applications
    entity = Application
    kind = "application"
    name = "slug"
    order = "name"
    unique = ("slug", "provider")

    def find_for_provider(self, provider: UUID) -> Application | None:
        """The application the provider guards, if there is one."""
        return self._by(self.table.c.provider, provider)


class Bindings(Repository[Binding]):
    """The rules of all applications."""

    table = tables.bindings
    entity = Binding
    kind = "binding"
    name = "id"
    order = "order"

    def of_application(self, application: UUID) -> list[Binding]:
        """The rules of one application, in order."""
        return self._of(self.table.c.application, [application])


ProviderT = TypeVar("ProviderT", bound=ProxyProvider | LdapProvider)


class OneType(Repository[ProviderT]):
    """The providers of one type, in a table of their own beside what all providers share."""

    kind = "provider"
    order = "id"

    def find_named(self, name: str) -> ProviderT | None:
        """The provider of that name, if there is one of this type."""
        return self._by(tables.providers.c.name, name)

    @classmethod
    def _query(cls) -> sa.Select[Any]:
        joined = cls.table.join(tables.providers, tables.providers.c.id == cls.table.c.id)
        return sa.select(cls.table, tables.providers.c.name).select_from(joined)

    def _select(self, *where: sa.ColumnElement[bool]) -> list[ProviderT]:
        return sorted(super()._select(*where), key=lambda provider: provider.name)

    def _insert(self, entity: ProviderT) -> None:
        shared = {"id": entity.id, "name": entity.name, "type": entity.type}
        self.context.connection.execute(sa.insert(tables.providers).values(**shared))
        super()._insert(entity)

    def _update(self, entity: ProviderT) -> None:
        where = tables.providers.c.id == entity.id
        self.context.connection.execute(sa.update(tables.providers).where(where).values(name=entity.name))
        super()._update(entity)

    def _delete(self, entity: ProviderT) -> None:
        self.context.connection.execute(sa.delete(tables.providers).where(tables.providers.c.id == entity.id))

    def _users_of(self, entity: ProviderT) -> Iterable[str]:
        statement = sa.select(tables.applications.c.slug).where(tables.applications.c.provider == entity.id)
        for (slug,) in self.context.rows(statement):
            yield f"application {slug!r}"

    @classmethod
    @cache
    def _others(cls, name: str) -> sa.Select[Any]:
        """Names are one for the providers of all types."""
        if name != cls.name:
            return super()._others(name)
        shared = tables.providers.c
        query = sa.select(shared.id)
        return query.where(shared.name == sa.bindparam("wanted"), shared.id != sa.bindparam("own"))


class ProxyProviders(OneType[ProxyProvider]):
    """The proxy providers."""

    table = tables.proxy_providers
    entity = ProxyProvider
    unique = ("name", "client_id")

    def longest_validity(self) -> timedelta | None:
        """The longest that a session at any of them lasts; None when there is none."""
        statement = sa.select(sa.func.max(self.table.c.access_token_validity))
        longest: timedelta | None = self.context.connection.execute(statement).scalar_one()
        return longest

    def find_by_client_id(self, client_id: str) -> ProxyProvider | None:
        """The provider of that OIDC client id, if there is one."""
        return self._by(self.table.c.client_id, client_id)


class LdapProviders(OneType[LdapProvider]):
    """The LDAP providers."""

    table = tables.ldap_providers
    entity = LdapProvider
    unique = ("name",)

    def shown(self) -> dict[UUID, Shown]:
        """What each of those shows of users and groups that belong to an application."""
        column, applied = self.table.c, tables.applications.c.provider
        statement = sa.select(column.id, column.user_attributes, column.group_attributes)
        rows = self.context.rows(statement.where(column.id.in_(sa.select(applied).where(applied.is_not(None)))))
        return {row.id: _shown_by(row.user_attributes, row.group_attributes) for row in rows}


def _shown_by(users: Iterable[AttributeMapping], groups: Iterable[AttributeMapping]) -> Shown:
    return Shown(users=frozenset(each.source for each in users), groups=frozenset(each.source for each in groups))


_SHELVES: Mapping[ProviderType, Callable[[Context], OneType[Any]]] = {
    ProviderType.PROXY: ProxyProviders,
    ProviderType.LDAP: LdapProviders,
}
# Those of one type each; all have a certificate.
PROVIDER_TABLES = (tables.proxy_providers, tables.ldap_providers)


class Providers(Repository[Provider]):
    """The providers of every type, by name. Each lies on the shelf of its type."""

    table = tables.providers
    kind = "provider"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._shelves = {kind: shelf(context) for kind, shelf in _SHELVES.items()}

    def add(self, entity: Provider) -> Provider:
        """Create the provider. Raises Invalid when its name or its client id is taken."""
        added: Provider = self._shelf(entity).add(entity)
        return added

    def update(self, entity: Provider) -> Provider:
        """Store the provider's new fields. Raises NotFound, Invalid."""
        updated: Provider = self._shelf(entity).update(entity)
        return updated

    def remove(self, entity: Provider) -> None:
        """Remove the provider. Raises InUse when an application has it."""
        self._shelf(entity).remove(entity)

    def _shelf(self, entity: Provider) -> OneType[Any]:
        return self._shelves[entity.type]

    def _entities(self, rows: Collection[Row[Any]]) -> list[Provider]:
        """In the order of the rows: one query for each type that there is among them."""
        keys = {kind: [row.id for row in rows if row.type is kind] for kind in self._shelves}
        found = {key: each for kind, some in keys.items() for key, each in self._shelves[kind].find_many(some).items()}
        return [found[row.id] for row in rows]


class CookieKeys(Repository[CookieKey]):
    """The cookie keys of proxy providers, newest first."""

    table = tables.cookie_keys
    entity = CookieKey
    kind = "cookie key"
    name = "id"
    sealed = ("secret",)
    order = "created"

    def of_provider(self, provider: UUID) -> list[CookieKey]:
        """The keys of one provider, the newest first."""
        return self._select(self.table.c.provider == provider)[::-1]
