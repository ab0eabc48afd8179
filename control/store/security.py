"""Certificates, keys, sign-ins, authorization codes and revocations."""

from collections import defaultdict
from collections.abc import Iterable
from uuid import UUID

import sqlalchemy as sa

from control.domain.security import (
    Authority,
    AuthorizationCode,
    Certificate,
    Revocation,
    SignIn,
    SigningKey,
)
from control.store import tables
from control.store.base import Repository, chunks
from control.store.catalogue import PROVIDER_TABLES
from control.store.changes import Change
from control.store.columns import holds


class Certificates(Repository[Certificate]):
    """The certificates; private keys lie sealed."""

    table = tables.certificates
    entity = Certificate
    kind = "certificate"
    sealed = ("private_key",)
    unique = ("name",)

    def _users_of(self, entity: Certificate) -> Iterable[str]:
        for table in PROVIDER_TABLES:
            naming = sa.or_(*(each.parent == entity.id for each in table.foreign_keys if each.references(self.table)))
            statement = sa.select(tables.providers.c.name).select_from(table.join(tables.providers))
            for (name,) in self.context.rows(statement.where(naming)):
                yield f"provider {name!r}"
        named = tables.integrations.c
        shown = sa.or_(named.tls_verification == entity.id, named.tls_authentication == entity.id)
        for (name,) in self.context.rows(sa.select(named.name).where(shown).order_by(named.name)):
            yield f"integration {name!r}"


class SigningKeys(Repository[SigningKey]):
    """The keys of ID tokens, oldest first."""

    table = tables.signing_keys
    entity = SigningKey
    kind = "signing key"
    name = "id"
    sealed = ("private_key",)
    order = "created"


class Authorities(Repository[Authority]):
    """The certificate authorities of the link, oldest first."""

    table = tables.authorities
    entity = Authority
    kind = "authority"
    name = "id"
    sealed = ("private_key",)
    order = "created"


class SignIns(Repository[SignIn]):
    """The control plane's own sessions."""

    table = tables.sign_ins
    entity = SignIn
    kind = "sign-in"
    name = "user"
    order = "authenticated"
    unique = ("fingerprint",)

    def find_by_fingerprint(self, fingerprint: str) -> SignIn | None:
        """The session whose browser secret has that SHA-256."""
        return self._by(self.table.c.fingerprint, fingerprint)

    def _note(self, before: SignIn | None, after: SignIn | None) -> None:
        """By whose it is, as the audit trail tells it."""
        noted = after or before
        if noted is not None:
            username = sa.select(tables.users.c.username).where(tables.users.c.id == noted.user)
            name = self.context.connection.execute(username).scalar_one()
            self.context.note(Change(kind=self.kind, target=str(noted.id), name=name, before=before, after=after))

    def of_user(self, user: UUID) -> list[SignIn]:
        """The sessions of one user."""
        return self._select(self.table.c.user == user)

    def search(self, text: str, offset: int, limit: int) -> tuple[list[SignIn], int]:
        """One page of those that live whose user, address or browser holds `text`, the latest used first; how many."""
        if "\0" in text:
            return [], 0
        users, mine = tables.users.c, self.table.c
        where: list[sa.ColumnElement[bool]] = [mine.expires > self.context.now, users.active]
        if text:
            columns = (users.username, users.name, mine.address, mine.user_agent)
            where.append(sa.or_(*(holds(column, text) for column in columns)))
        joined = self.table.join(tables.users, mine.user == users.id)
        total = sa.select(sa.func.count()).select_from(joined).where(*where)
        page = sa.select(self.table).select_from(joined).where(*where).order_by(mine.last_seen.desc(), mine.id)
        found = self._entities(self.context.rows(page.offset(offset).limit(limit)))
        return found, int(self.context.connection.execute(total).scalar_one())

    def touch(self, sign_in: UUID) -> None:
        """Remember that the session was used now; no change worth an audit event."""
        statement = sa.update(self.table).where(self.table.c.id == sign_in).values(last_seen=self.context.now)
        self.context.connection.execute(statement)

    def drop_expired(self) -> None:
        """Forget sessions that ran out by themselves."""
        self.context.connection.execute(sa.delete(self.table).where(self.table.c.expires < self.context.now))


class AuthorizationCodes(Repository[AuthorizationCode]):
    """The authorization codes not yet redeemed."""

    table = tables.authorization_codes
    entity = AuthorizationCode
    kind = "authorization code"
    key = "fingerprint"
    name = "fingerprint"
    order = "expires"

    def take(self, fingerprint: str) -> AuthorizationCode | None:
        """The code, which is gone afterwards: good once, also when two ask at the same moment."""
        statement = sa.delete(self.table).where(self.table.c.fingerprint == fingerprint).returning(self.table)
        taken = self.context.rows(statement)
        return self._entity(taken[0]._mapping, {}) if taken else None

    def drop_expired(self) -> None:
        """Forget codes that nobody redeemed."""
        self.context.connection.execute(sa.delete(self.table).where(self.table.c.expires < self.context.now))

    def _note(self, before: AuthorizationCode | None, after: AuthorizationCode | None) -> None:
        """Nothing: a code is part of one sign-in."""


class Revocations(Repository[Revocation]):
    """What ends or overlays proxy sessions; made by the unit of work alone."""

    table = tables.revocations
    entity = Revocation
    kind = "revocation"
    name = "id"
    order = "at"

    def live(self) -> list[Revocation]:
        """Those that still matter."""
        return self._select(self.table.c.until > self.context.now)

    def about(self, sign_in: UUID, user: UUID, provider: UUID) -> list[Revocation]:
        """Those that still matter and name nothing but these."""
        columns = ((self.table.c.sign_in, sign_in), (self.table.c.user, user), (self.table.c.provider, provider))
        fitting = [column.is_(None) | (column == key) for column, key in columns]
        return self._select(self.table.c.until > self.context.now, *fitting)

    def put(self, revocations: Iterable[Revocation]) -> None:
        """Store them, each in the place of an earlier one about the same."""
        alike: defaultdict[tuple[str, ...], dict[tuple[UUID | bool, ...], Revocation]] = defaultdict(dict)
        for revocation in revocations:
            named = tuple(name for name in _ABOUT if getattr(revocation, name) is not None)
            alike[named][tuple(getattr(revocation, name) for name in named)] = revocation
        for named, by_key in alike.items():
            self._forget(named, by_key)
            self._insert_many(by_key.values())

    def _forget(self, named: tuple[str, ...], keys: Iterable[tuple[UUID | bool, ...]]) -> None:
        """Remove those that name these and nothing else."""
        nothing_else = [self.table.c[name].is_(None) for name in _ABOUT if name not in named]
        these = sa.tuple_(*(self.table.c[name] for name in named))
        for some in chunks(keys):
            self.context.connection.execute(sa.delete(self.table).where(these.in_(some), *nothing_else))

    def drop_expired(self) -> None:
        """Forget those that no session can outlive."""
        self.context.connection.execute(sa.delete(self.table).where(self.table.c.until < self.context.now))


_ABOUT = ("sign_in", "user", "provider", "changed")
