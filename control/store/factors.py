"""Second factors, app passwords, and the failed attempts that lock people and addresses out for a while.

That a code or an app password was used is no change of configuration; that there is another one, or one less, is.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from control.domain.factors import AppPassword, Authenticator, Coverage, Failures, RecoveryCode
from control.store import tables
from control.store.base import Context, LinkTable, Repository, chunks
from control.store.columns import holds
from control.store.nesting import below


class Authenticators(Repository[Authenticator]):
    """The authenticator apps; their secrets lie sealed."""

    table = tables.authenticators
    entity = Authenticator
    kind = "authenticator"
    sealed = ("secret",)
    order = "created"

    def of_user(self, user: UUID) -> list[Authenticator]:
        """The apps of one user, confirmed or not, oldest first."""
        return self._select(self.table.c.user == user)

    def users_with_one(self, users: Collection[UUID]) -> frozenset[UUID]:
        """Those of these users that have a confirmed app."""
        column = self.table.c.user
        found = (
            sa.select(column).where(column.in_(some), self.table.c.confirmed.is_not(None)) for some in chunks(users)
        )
        return frozenset(row[0] for statement in found for row in self.context.rows(statement))

    def coverage(self, group: UUID) -> Coverage:
        """How many active users are in the group or below it, and how many of them have no confirmed app."""
        nested, users = below([group]), tables.users.c
        joined = nested.join(tables.memberships, tables.memberships.c.group == nested.c.id)
        inside = sa.select(tables.memberships.c.user).select_from(joined)
        has_one = sa.exists().where(self.table.c.user == users.id, self.table.c.confirmed.is_not(None))
        without = sa.func.coalesce(sa.func.sum(sa.case((has_one, 0), else_=1)), 0).label("without")
        statement = sa.select(sa.func.count().label("members"), without).select_from(tables.users)
        (row,) = self.context.rows(statement.where(users.active, users.id.in_(inside)))
        return Coverage(members=int(row.members), without=int(row.without))

    def spend(self, authenticator: UUID, step: int) -> bool:
        """Note that the code of a time step was used now; False where that or a later one was before."""
        unspent = sa.and_(self.table.c.id == authenticator, self.table.c.last_step < step)
        statement = sa.update(self.table).where(unspent).values(last_step=step, last_used=self.context.now)
        return self.context.connection.execute(statement).rowcount > 0


class RecoveryCodes(Repository[RecoveryCode]):
    """The recovery codes, spent ones included."""

    table = tables.recovery_codes
    entity = RecoveryCode
    kind = "recovery code"
    name = "user"
    order = "created"

    def of_user(self, user: UUID) -> list[RecoveryCode]:
        """The codes of one user."""
        return self._select(self.table.c.user == user)

    def replace_all(self, user: UUID, codes: Iterable[RecoveryCode]) -> None:
        """Make these the codes of the user, whatever there were before."""
        self.context.connection.execute(sa.delete(self.table).where(self.table.c.user == user))
        self._insert_many(codes)

    def spend(self, user: UUID, fingerprint: str) -> bool:
        """Use a code up; False where there is none such left."""
        where = (self.table.c.user == user, self.table.c.fingerprint == fingerprint, self.table.c.used.is_(None))
        statement = sa.update(self.table).where(*where).values(used=self.context.now)
        return self.context.connection.execute(statement).rowcount > 0


class AppPasswords(Repository[AppPassword]):
    """The app passwords, with the applications they are good for."""

    table = tables.app_passwords
    entity = AppPassword
    kind = "app password"
    order = "created"
    unique = ("fingerprint",)

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        links = tables.app_password_applications
        self._applications = LinkTable(context, links.c.app_password, links.c.application)

    def of_user(self, user: UUID) -> list[AppPassword]:
        """Those of one user, oldest first."""
        return self._select(self.table.c.user == user)

    def find_by_fingerprint(self, fingerprint: str) -> AppPassword | None:
        """The one whose secret has that keyed hash, expired or not."""
        return self._by(self.table.c.fingerprint, fingerprint)

    def retire(self, app_password: AppPassword) -> None:
        """Remove it, but remember whose it was: what goes on using it guesses at nothing."""
        self.remove(app_password)
        values = {"fingerprint": app_password.fingerprint, "user": app_password.user, "revoked": self.context.now}
        self.context.connection.execute(sa.insert(tables.revoked_app_passwords).values(**values))

    def was_of(self, user: UUID, fingerprint: str) -> bool:
        """Whether the secret with that keyed hash was the user's until it was revoked."""
        revoked = tables.revoked_app_passwords.c
        found = sa.select(revoked.user).where(revoked.fingerprint == fingerprint, revoked.user == user)
        return bool(self.context.rows(found))

    def forget_before(self, revoked: datetime) -> None:
        """Forget what was revoked before that moment."""
        table = tables.revoked_app_passwords
        self.context.connection.execute(sa.delete(table).where(table.c.revoked < revoked))

    def touch(self, app_password: UUID, address: str) -> None:
        """Remember that it was used now, and from where."""
        values = {"last_used": self.context.now, "last_address": address[:80]}
        self.context.connection.execute(sa.update(self.table).where(self.table.c.id == app_password).values(**values))

    def _linked(self, keys: Collection[object]) -> Mapping[Any, dict[str, Any]]:
        return {key: {"applications": found} for key, found in self._applications.of_each(keys).items()}

    def _insert(self, entity: AppPassword) -> None:
        super()._insert(entity)
        self._applications.replace(entity.id, entity.applications)

    def _update(self, entity: AppPassword) -> None:
        super()._update(entity)
        self._applications.replace(entity.id, entity.applications)


# Built once: that takes longer than the database does, and each sign-in asks all of them.
_IN_BUCKETS = sa.select(tables.failures).where(tables.failures.c.bucket.in_(sa.bindparam("wanted", expanding=True)))
_THERE = (tables.familiar.c.user == sa.bindparam("who"), tables.familiar.c.address == sa.bindparam("where"))
_FAMILIAR = sa.select(tables.familiar.c.last).where(*_THERE, tables.familiar.c.last >= sa.bindparam("since"))
_GREETED = sa.update(tables.familiar).where(*_THERE).values(last=sa.bindparam("now"))


class FailureCounts:
    """Failed attempts in a row by bucket, and the addresses people are known to come from. None of it is a change."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def find(self, buckets: Collection[str]) -> dict[str, Failures]:
        """What is counted in these buckets."""
        found = (self._context.rows(_IN_BUCKETS, {"wanted": some}) for some in chunks(buckets))
        return {row.bucket: _counted(row) for rows in found for row in rows}

    def put(self, failures: Failures) -> None:
        """Count so many in that bucket."""
        self.drop([failures.bucket])
        values = {name: getattr(failures, name) for name in tables.failures.c.keys()}  # noqa: SIM118 - columns
        self._context.connection.execute(sa.insert(tables.failures).values(**values))

    def drop(self, buckets: Collection[str]) -> None:
        """Forget these buckets."""
        table = tables.failures
        for some in chunks(buckets):
            self._context.connection.execute(sa.delete(table).where(table.c.bucket.in_(some)))

    def locked(self) -> list[Failures]:
        """Those that are locked now, the longest first."""
        table = tables.failures
        statement = sa.select(table).where(table.c.locked_until > self._context.now)
        return [_counted(row) for row in self._context.rows(statement.order_by(table.c.locked_until.desc()))]

    def search(self, text: str, offset: int, limit: int) -> tuple[list[Failures], int]:
        """One page of those that are locked now and whose name or address holds `text`; how many there are."""
        if "\0" in text:
            return [], 0
        table = tables.failures
        where: list[sa.ColumnElement[bool]] = [table.c.locked_until > self._context.now]
        if text:
            where.append(sa.or_(*(holds(column, text) for column in (table.c.shown, table.c.address))))
        total = sa.select(sa.func.count()).select_from(table).where(*where)
        page = sa.select(table).where(*where).order_by(table.c.locked_until.desc(), table.c.bucket)
        found = [_counted(row) for row in self._context.rows(page.offset(offset).limit(limit))]
        return found, int(self._context.connection.execute(total).scalar_one())

    def locked_about(self, user: UUID) -> list[Failures]:
        """Those that are locked now and count for a user, everywhere or at one address, the longest first."""
        table = tables.failures
        about = sa.or_(table.c.bucket == f"user/{user}", table.c.bucket.startswith(f"pair/{user}/", autoescape=True))
        statement = sa.select(table).where(about, table.c.locked_until > self._context.now)
        return [_counted(row) for row in self._context.rows(statement.order_by(table.c.locked_until.desc()))]

    def is_familiar(self, user: UUID, address: str, since: datetime) -> bool:
        """Whether the user has come in from there since then."""
        return bool(self._context.rows(_FAMILIAR, {"who": user, "where": address, "since": since}))

    def greet(self, user: UUID, address: str) -> None:
        """Remember that the user has come in from there now."""
        now = self._context.now
        if not self._context.connection.execute(_GREETED, {"who": user, "where": address, "now": now}).rowcount:
            values = {"user": user, "address": address, "last": now}
            self._context.connection.execute(sa.insert(tables.familiar), values)

    def drop_before(self, counted: datetime, familiar: datetime) -> None:
        """Forget what was last counted, and who last came, before these moments."""
        self._context.connection.execute(sa.delete(tables.failures).where(tables.failures.c.last < counted))
        self._context.connection.execute(sa.delete(tables.familiar).where(tables.familiar.c.last < familiar))


def _counted(row: sa.Row[Any]) -> Failures:
    return Failures(**row._mapping)
