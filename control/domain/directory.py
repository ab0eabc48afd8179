"""The directory as LDAP outposts hold it: users, groups, and places in the feed of their changes.

A place is a revision of the database that changed something of it, with the epoch that began there: a random name for
that one commit. So when a database was put back in time and went on differently, what outposts hold of the history that
was lost is not mistaken for a beginning of the present one.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A place in the feed: the directory as this revision left it, in the history that knows this epoch."""

    epoch: UUID
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """How far the log of changes has been read: from a position, and beyond it to a change in the middle of things."""

    position: Position
    beyond: "Touched | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Touched:
    """That a user or a group changed, came or went with a revision."""

    revision: int
    kind: str
    target: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryUser:
    """A user as LDAP outposts know one. `groups` are those directly joined, in order; `attributes` a JSON object."""

    id: UUID
    username: str
    name: str
    email: str
    active: bool
    groups: tuple[UUID, ...]
    attributes: str
    created: datetime
    updated: datetime

    @property
    def key(self) -> str:
        """Its name in the feed."""
        return key_of("user", self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryGroup:
    """A group as LDAP outposts know one. `parents` are those directly above, in order; `attributes` a JSON object."""

    id: UUID
    name: str
    superuser: bool
    parents: tuple[UUID, ...]
    attributes: str

    @property
    def key(self) -> str:
        """Its name in the feed."""
        return key_of("group", self.id)


Entry = DirectoryUser | DirectoryGroup


def key_of(kind: str, target: UUID) -> str:
    """The name of a user or group in the feed."""
    return f"{kind}/{target}"
