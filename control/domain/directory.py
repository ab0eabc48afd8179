"""The directory as LDAP outposts hold it: users, groups, and places in the feed of their changes.

A place is a revision of the database that changed something of it, with the epoch that began there: a random name for
that one commit. So when a database was put back in time and went on differently, what outposts hold of the history that
was lost is not mistaken for a beginning of the present one.

Of the attributes of users and groups an outpost gets those that a provider shows which it serves (`Shown`): the others
stay here. What outposts hold by different sets of them are different histories, each with epochs of its own.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Union
from uuid import UUID, uuid5

# What stands in for the numbers that are counted, wherever it is set.
USER_NUMBERS, GROUP_NUMBERS = frozenset({"uidNumber", "gidNumber"}), frozenset({"gidNumber"})
_Tree = dict[str, Union["_Tree", None]]
"""Of each attribute that is shown the parts that are, or None for all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Which attributes of users and of groups are shown; `a.b` is b of the object a."""

    users: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()

    def __or__(self, other: "Shown") -> "Shown":
        return Shown(users=self.users | other.users, groups=self.groups | other.groups)

    def completed(self) -> "Shown":
        """With what always goes along, and without parts of what is shown whole: what is alike is equal."""
        users, groups = self.users | USER_NUMBERS, self.groups | GROUP_NUMBERS
        return Shown(users=_without_parts(users), groups=_without_parts(groups))

    def epoch(self, epoch: UUID) -> UUID:
        """The name that an epoch has in the history of those who are shown this."""
        return uuid5(epoch, json.dumps([sorted(self.users), sorted(self.groups)]))


def _without_parts(sources: frozenset[str]) -> frozenset[str]:
    return frozenset(each for each in sources if sources.isdisjoint(_above(each)))


def _above(source: str) -> Iterator[str]:
    """The objects that it is a part of."""
    while source := source.rpartition(".")[0]:
        yield source


class Excerpt:
    """Makes of attributes, a JSON object as text, the object that outposts get."""

    def __init__(self, shown: Iterable[str]) -> None:
        self._tree: _Tree = {}
        # Shorter ones first: what is shown whole is not shown in parts.
        for source in sorted(shown):
            _plant(self._tree, source.split("."))

    def __call__(self, attributes: str) -> str:
        """The excerpt; the same attributes give the same text."""
        return "{}" if attributes == "{}" else json.dumps(_pruned(json.loads(attributes), self._tree))


def _plant(tree: _Tree, path: list[str]) -> None:
    first, *rest = path
    if not rest:
        tree[first] = None
        return
    below = tree.setdefault(first, {})
    if below is not None:
        _plant(below, rest)


def _pruned(value: Mapping[str, Any], tree: _Tree) -> dict[str, Any]:
    """In the order of the value; of what is no object nothing has parts."""
    kept: dict[str, Any] = {}
    for name, each in value.items():
        if name not in tree:
            continue
        below = tree[name]
        if below is None:
            kept[name] = each
        elif isinstance(each, dict) and (part := _pruned(each, below)):
            kept[name] = part
    return kept


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
    number: int
    created: datetime
    updated: datetime
    password_changed: datetime | None

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
    number: int
    created: datetime
    updated: datetime

    @property
    def key(self) -> str:
        """Its name in the feed."""
        return key_of("group", self.id)


Entry = DirectoryUser | DirectoryGroup


def key_of(kind: str, target: UUID) -> str:
    """The name of a user or group in the feed."""
    return f"{kind}/{target}"
