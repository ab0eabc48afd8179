"""The directory as LDAP outposts hold it: users, groups, and places in the feed of their changes.

A place is a revision of the database, in an epoch. Each epoch goes on from where the one before ended; a new one begins
with each start of the link. So a database that was put back in time shares none with those who were ahead of it, and
what they hold is not mistaken for a beginning of what there is now.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A place in the feed: all changes up to this revision, in the history that this epoch belongs to."""

    epoch: UUID
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """A stretch of the feed: from the revision `since` to where the next epoch begins."""

    epoch: UUID
    since: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """How far the log of changes has been read: to a position, and of the next revision to a target, if at all."""

    position: Position
    target: UUID | None = None


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


def leads_on(epochs: Sequence[Epoch], position: Position, revision: int) -> bool:
    """Whether the changes after a position are all known, up to the present `revision`; `epochs` in their order."""
    ends = [following.since for following in epochs[1:]] + [revision]
    return any(
        each.epoch == position.epoch and each.since <= position.revision <= end
        for each, end in zip(epochs, ends, strict=False)
    )
