"""Applications, their bindings, and the providers that guard them."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from control.domain.application import Application, Binding, ProxyProvider
from control.domain.security import CookieKey
from control.store import tables
from control.store.base import Repository


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


class ProxyProviders(Repository[ProxyProvider]):
    """The proxy providers, in a table of their own beside what all providers share."""

    table = tables.proxy_providers
    entity = ProxyProvider
    kind = "provider"
    order = "id"
    unique = ("name", "client_id")

    def find_named(self, name: str) -> ProxyProvider | None:
        """The provider of that name, if there is one."""
        return self._by(tables.providers.c.name, name)

    def longest_validity(self) -> timedelta | None:
        """The longest that a session at any of them lasts; None when there is none."""
        statement = sa.select(sa.func.max(self.table.c.access_token_validity))
        longest: timedelta | None = self.context.connection.execute(statement).scalar_one()
        return longest

    def find_by_client_id(self, client_id: str) -> ProxyProvider | None:
        """The provider of that OIDC client id, if there is one."""
        return self._by(self.table.c.client_id, client_id)

    @classmethod
    def _query(cls) -> sa.Select[Any]:
        joined = cls.table.join(tables.providers, tables.providers.c.id == cls.table.c.id)
        return sa.select(cls.table, tables.providers.c.name).select_from(joined)

    def _select(self, *where: sa.ColumnElement[bool]) -> list[ProxyProvider]:
        return sorted(super()._select(*where), key=lambda provider: provider.name)

    def _insert(self, entity: ProxyProvider) -> None:
        shared = {"id": entity.id, "name": entity.name, "type": entity.type}
        self.context.connection.execute(sa.insert(tables.providers).values(**shared))
        super()._insert(entity)

    def _update(self, entity: ProxyProvider) -> None:
        where = tables.providers.c.id == entity.id
        self.context.connection.execute(sa.update(tables.providers).where(where).values(name=entity.name))
        super()._update(entity)

    def _delete(self, entity: ProxyProvider) -> None:
        self.context.connection.execute(sa.delete(tables.providers).where(tables.providers.c.id == entity.id))

    def _users_of(self, entity: ProxyProvider) -> Iterable[str]:
        statement = sa.select(tables.applications.c.slug).where(tables.applications.c.provider == entity.id)
        for (slug,) in self.context.rows(statement):
            yield f"application {slug!r}"


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
