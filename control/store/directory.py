"""The feed of users and groups: which of them changed with which revision, and what they are now.

Each unit that touches an entry logs it with the revision it takes, in the same transaction. Membership lies with the
member, and the entry of a group doesn't name its own: who joins or leaves one is one changed user, however large it is,
and the group as such has changed too, once for all in the unit. When a group goes, so do its memberships, and all its
members have changed. The log is bounded; it is complete after each of the epochs that are kept
(control.domain.directory), so what was trimmed is known to be missing. What is shown of attributes is part of a place:
who was shown others gets a whole copy instead of what changed.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlalchemy import Row

from control.domain.directory import (
    Cursor,
    DirectoryGroup,
    DirectoryUser,
    Entry,
    Excerpt,
    Position,
    Shown,
    Touched,
)
from control.domain.identity import Group, User, UserKind
from control.store import tables
from control.store.base import Context, chunks
from control.store.changes import Change, Membership
from control.store.people import Groups, Memberships

# Two whole replacements of a directory of 100,000: some 25 MB. Who is further behind gets a whole copy, which is less.
KEPT_CHANGES = 200_000
# What outposts are not told of: these fields change with every sign-in.
_UNSEEN = frozenset({"password_hash", "last_sign_in"})

_LOG = tables.directory_changes.c
_EPOCHS = tables.directory_epochs.c
_USERS = tables.users.c
_GROUPS = tables.groups.c
_MEMBER = tables.memberships.c
_PARENT = tables.group_parents.c

Page = tuple[tuple[Entry, ...], UUID | None]
"""Entries, and the id after which the next page begins, None at the end."""
_Links = Mapping[UUID, Sequence[UUID]]
_Targets = dict[str, set[UUID]]
_NEXT = sa.select(tables.revision.c.n + 1).scalar_subquery()
_LOGGED = sa.insert(tables.directory_changes).values(
    revision=_NEXT, target=sa.bindparam("target"), kind=sa.bindparam("kind")
)
_BEGUN = sa.insert(tables.directory_epochs).values(revision=_NEXT, epoch=sa.bindparam("epoch"))


class DirectoryLog:
    """Takes note of what one unit of work does to users and groups, and logs it at the end."""

    def __init__(self, context: Context, groups: Groups, memberships: Memberships) -> None:
        self._context = context
        self._groups = groups
        self._memberships = memberships
        self._touched: _Targets = {"user": set(), "group": set()}
        # Whose memberships, or members, are others now: theirs is the time of the unit.
        self._linked: _Targets = {"user": set(), "group": set()}
        self._added: set[UUID] = set()

    def note(self, change: Change) -> None:
        """Take note of a change; of a removal before it is carried out."""
        match change.before or change.after:
            case User(id=user) if _is_seen(change):
                self._note_user(user, change)
            case Membership(user=user, group=group):
                self._linked["user"].add(user)
                self._linked["group"].add(group)
            case Group(id=group):
                self._note_group(group, change)
            case _:
                pass

    def _note_user(self, user: UUID, change: Change) -> None:
        self._touched["user"].add(user)
        if change.before is None:
            self._added.add(user)
        elif change.after is None:
            self._linked["group"] |= self._memberships.groups_of(user)

    def _note_group(self, group: UUID, change: Change) -> None:
        self._touched["group"].add(group)
        before, after = (each.parents if each is not None else frozenset() for each in (change.before, change.after))
        if before != after:
            self._linked["group"] |= {group} | (before ^ after)
        if change.before is None:
            self._added.add(group)
        elif change.after is None:
            # Their memberships and parents go with it, of which there is no other word.
            self._linked["user"] |= self._memberships.users_in(group)
            self._linked["group"] |= self._groups.directly_below(group)

    def write(self) -> None:
        """Log what was touched, with the revision that the unit takes: nobody else writes meanwhile."""
        self._stamp(tables.users, self._linked["user"])
        self._stamp(tables.groups, self._linked["group"])
        touched = {kind: targets | self._linked[kind] for kind, targets in self._touched.items()}
        rows = [{"target": target, "kind": kind} for kind, targets in touched.items() for target in targets]
        if rows:
            self._context.connection.execute(_LOGGED, rows)
            self._context.connection.execute(_BEGUN, {"epoch": uuid4()})

    def _stamp(self, table: sa.Table, targets: set[UUID]) -> None:
        """Have them changed now; who was added has the time already."""
        for some in chunks(targets - self._added):
            stamped = sa.update(table).where(table.c.id.in_(some)).values(updated=self._context.now)
            self._context.connection.execute(stamped)


def _is_seen(change: Change) -> bool:
    """Whether the change of a user is one of their entry; outposts' own accounts have none."""
    if {each.kind for each in (change.before, change.after) if each is not None} == {UserKind.OUTPOST}:
        return False
    return change.before is None or change.after is None or not _UNSEEN.issuperset(change.changed)


class Directory:
    """The feed, read: positions, what changed since, and the entries of now. The log is kept bounded here."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def begin(self) -> None:
        """Begin the feed at the present revision, where nothing was logged yet."""
        if not self._context.rows(sa.select(_EPOCHS.revision).limit(1)):
            present = sa.select(tables.revision.c.n).scalar_subquery()
            begun = sa.insert(tables.directory_epochs).values(revision=present, epoch=uuid4())
            self._context.connection.execute(begun)

    def position(self, shown: Shown) -> Position:
        """The end of the feed, for who is shown this."""
        statement = sa.select(_EPOCHS.epoch, _EPOCHS.revision).order_by(_EPOCHS.revision.desc()).limit(1)
        row = self._context.connection.execute(statement).one()
        return Position(epoch=shown.epoch(row.epoch), revision=row.revision)

    def leads_on(self, position: Position, shown: Shown) -> bool:
        """Whether the position is one of this database where this was shown, and the log tells what changed since."""
        known = sa.select(_EPOCHS.epoch).where(_EPOCHS.revision == position.revision)
        epoch = self._context.connection.execute(known).scalar()
        return epoch is not None and shown.epoch(epoch) == position.epoch

    def touched(self, after: Cursor, limit: int) -> list[Touched]:
        """At most `limit` of the changes after a place, in their order."""
        if after.beyond is None:
            later = _LOG.revision > after.position.revision
        else:
            same = (_LOG.revision == after.beyond.revision) & (_LOG.target > after.beyond.target)
            later = (_LOG.revision > after.beyond.revision) | same
        statement = sa.select(_LOG.revision, _LOG.kind, _LOG.target).where(later)
        rows = self._context.rows(statement.order_by(_LOG.revision, _LOG.target).limit(limit))
        return [Touched(revision=row.revision, kind=row.kind, target=row.target) for row in rows]

    def users(self, kinds: Collection[UserKind], shown: Shown, after: UUID | None, limit: int) -> Page:
        """A page of the users in the order of their ids, beginning after one, without those of other kinds."""
        where = [] if after is None else [_USERS.id > after]
        rows = self._context.rows(_user_rows().where(*where).order_by(_USERS.id).limit(limit))
        if not rows:
            return (), None
        # Left out here, since a database that knows little of the table would sort it whole for each page.
        wanted = [row for row in rows if row.kind in kinds]
        links = self._links(_MEMBER.user, _MEMBER.group, _MEMBER.user.between(rows[0].id, rows[-1].id))
        excerpt = Excerpt(shown.users)
        return tuple(_user(row, links, excerpt) for row in wanted), rows[-1].id

    def groups(self, shown: Shown, after: UUID | None, limit: int) -> Page:
        """A page of the groups in the order of their ids, beginning after one."""
        where = [] if after is None else [_GROUPS.id > after]
        rows = self._context.rows(_group_rows().where(*where).order_by(_GROUPS.id).limit(limit))
        if not rows:
            return (), None
        links = self._links(_PARENT.group, _PARENT.parent, _PARENT.group.between(rows[0].id, rows[-1].id))
        excerpt = Excerpt(shown.groups)
        return tuple(_group(row, links, excerpt) for row in rows), rows[-1].id

    def entries(self, kinds: Collection[UserKind], shown: Shown, touched: Iterable[Touched]) -> Iterator[Entry]:
        """What there is now of entries that were touched; users of other kinds are not there."""
        targets: dict[str, set[UUID]] = {"user": set(), "group": set()}
        for each in touched:
            targets[each.kind].add(each.target)
        of_users, of_groups = Excerpt(shown.users), Excerpt(shown.groups)
        for some in chunks(targets["group"]):
            links = self._links(_PARENT.group, _PARENT.parent, _PARENT.group.in_(some))
            rows = self._context.rows(_group_rows().where(_GROUPS.id.in_(some)))
            yield from (_group(row, links, of_groups) for row in rows)
        for some in chunks(targets["user"]):
            links = self._links(_MEMBER.user, _MEMBER.group, _MEMBER.user.in_(some))
            rows = self._context.rows(_user_rows().where(_USERS.id.in_(some)))
            yield from (_user(row, links, of_users) for row in rows if row.kind in kinds)

    def trim(self) -> int:
        """Drop the oldest of the log beyond what is kept; how many changes that were."""
        newest = sa.select(_LOG.revision).order_by(_LOG.revision.desc(), _LOG.target.desc())
        last = self._context.connection.execute(newest.offset(KEPT_CHANGES).limit(1)).scalar()
        if last is None:
            return 0
        # Whoever is just there lacks nothing of what goes.
        self._context.connection.execute(sa.delete(tables.directory_epochs).where(_EPOCHS.revision < last))
        trimmed = sa.delete(tables.directory_changes).where(_LOG.revision <= last)
        return self._context.connection.execute(trimmed).rowcount

    def _links(self, owner: sa.Column[Any], other: sa.Column[Any], where: sa.ColumnElement[bool]) -> _Links:
        """By owner, in order: the same entry is always the same bytes."""
        found: defaultdict[UUID, list[UUID]] = defaultdict(list)
        links = sa.select(owner.label("near"), other.label("far")).where(where).order_by(owner, other)
        for row in self._context.rows(links):
            found[row.near].append(row.far)
        return found


def _user(row: Row[Any], groups: _Links, excerpt: Excerpt) -> DirectoryUser:
    return DirectoryUser(
        id=row.id,
        username=row.username,
        name=row.name,
        email=row.email,
        active=row.active,
        groups=tuple(groups.get(row.id, ())),
        attributes=excerpt(row.attributes),
        number=row.number,
        created=row.created,
        updated=row.updated,
        password_changed=row.password_changed,
    )


def _group(row: Row[Any], parents: _Links, excerpt: Excerpt) -> DirectoryGroup:
    return DirectoryGroup(
        id=row.id,
        name=row.name,
        superuser=row.superuser,
        parents=tuple(parents.get(row.id, ())),
        attributes=excerpt(row.attributes),
        number=row.number,
        created=row.created,
        updated=row.updated,
    )


def _user_rows() -> sa.Select[Any]:
    return sa.select(
        _USERS.id,
        _USERS.username,
        _USERS.name,
        _USERS.email,
        _USERS.active,
        _USERS.kind,
        _as_text(_USERS.attributes),
        _USERS.number,
        _USERS.created,
        _USERS.updated,
        _USERS.password_changed,
    )


def _group_rows() -> sa.Select[Any]:
    return sa.select(
        _GROUPS.id,
        _GROUPS.name,
        _GROUPS.superuser,
        _as_text(_GROUPS.attributes),
        _GROUPS.number,
        _GROUPS.created,
        _GROUPS.updated,
    )


def _as_text(column: sa.Column[Any]) -> sa.Label[str]:
    """JSON as it is stored: most has nothing in it that would have to be parsed."""
    return sa.cast(column, sa.Text).label(column.name)
