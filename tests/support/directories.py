"""An LDAP outpost that a test plays word by word, and what control's directory is in the words of the feed."""

import json
import random
from collections.abc import AsyncIterator, Collection, Mapping
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from control.domain.identity import Group, User, UserKind
from control.link.server import Link
from control.store import SYSTEM, Store, tables
from protos.outpost.v1 import directory_pb2, link_pb2
from tests.support.links import Actress, Credentials, channel

BULK = 10_000_000
Entries = Mapping[str, directory_pb2.DirectoryEntry]


class LdapActress(Actress):
    """Holds what it is sent; answers when the test says so, or by itself in `follow`."""

    def __init__(self, open_channel: Any, uid: str) -> None:
        super().__init__(open_channel, uid)
        self.position: link_pb2.DirectoryPosition | None = None
        self.entries: dict[str, directory_pb2.DirectoryEntry] = {}
        self.copies = 0
        self._taking: dict[str, directory_pb2.DirectoryEntry] | None = None

    async def hello(self, **fields: Any) -> None:
        await super().hello(**{"type": "ldap", "protocol": 2, "directory": self.position, **fields})

    async def part(self) -> link_pb2.Directory:
        """Hear the next part of the directory, whatever else comes, and take it over without an answer."""
        while (heard := await self.hear()).WhichOneof("message") != "directory":
            if heard.WhichOneof("message") == "config" and heard.config.last:
                await self.applied(heard.config.revision)
        self._take(heard.directory)
        return heard.directory

    async def answer(self) -> None:
        """Say how far the directory is held."""
        applied = link_pb2.DirectoryApplied(position=self.position)
        await self.call.write(link_pb2.WatchRequest(directory_applied=applied))

    async def follow(self, wanted: Entries) -> list[link_pb2.Directory]:
        """Take parts and answer until the entries are what is wanted."""
        parts = []
        while self._taking is not None or self.entries != wanted:
            parts.append(await self.part())
            await self.answer()
        return parts

    def _take(self, part: link_pb2.Directory) -> None:
        if part.begins:
            self.copies += 1
            self._taking = {}
        elif self._taking is None:
            self._taking = dict(self.entries)
        for data in part.entries:
            entry = directory_pb2.DirectoryEntry.FromString(data)
            self._taking[entry.key] = entry
        for key in part.removed:
            self._taking.pop(key, None)
        assert part.complete == part.HasField("position")
        if part.complete:
            self.entries, self.position, self._taking = self._taking, part.position, None


@asynccontextmanager
async def ldap_outpost(link: Link, given: Credentials) -> AsyncIterator[LdapActress]:
    """An LDAP outpost on a channel of its own, which has said nothing yet."""
    async with channel(link, given) as open_channel:
        yield LdapActress(open_channel, given.uid)


def directory_of(store: Store, of_users: Collection[str] | None = None) -> dict[str, directory_pb2.DirectoryEntry]:
    """What LDAP outposts are to hold, made from the store's own values.

    For one that shows these attributes of users and none of groups; without them for one that serves all providers.
    """
    with store.read() as unit:
        users = [user for user in unit.users.all() if user.kind is not UserKind.OUTPOST]
        groups_of = unit.memberships.groups_of_each([user.id for user in users])
        groups, providers = unit.groups.all(), unit.ldap_providers.all()
    of_groups = {each.source for provider in providers for each in provider.group_attributes}
    if of_users is None:
        of_users = {each.source for provider in providers for each in provider.user_attributes}
    entries = [directory_pb2.DirectoryEntry(key=f"group/{each.id}", group=_group(each, of_groups)) for each in groups]
    for user in users:
        entry = directory_pb2.DirectoryEntry(
            key=f"user/{user.id}", user=_user(user, groups_of[user.id], frozenset(of_users))
        )
        entries.append(entry)
    return {entry.key: entry for entry in entries}


def _user(user: User, groups: frozenset[UUID], shown: AbstractSet[str]) -> directory_pb2.DirectoryUser:
    message = directory_pb2.DirectoryUser(
        id=str(user.id),
        username=user.username,
        name=user.name,
        email=user.email,
        active=user.active,
        groups=sorted(map(str, groups)),
        attributes=_excerpt(user.attributes, shown | {"uidNumber", "gidNumber"}),
        number=user.number,
    )
    if user.password_changed is not None:
        message.password_changed.FromDatetime(user.password_changed)
    message.created.FromDatetime(user.created)
    message.updated.FromDatetime(user.updated)
    return message


def _group(group: Group, shown: AbstractSet[str]) -> directory_pb2.DirectoryGroup:
    message = directory_pb2.DirectoryGroup(
        id=str(group.id),
        name=group.name,
        superuser=group.superuser,
        parents=sorted(map(str, group.parents)),
        attributes=_excerpt(group.attributes, shown | {"gidNumber"}),
        number=group.number,
    )
    message.created.FromDatetime(group.created)
    message.updated.FromDatetime(group.updated)
    return message


def _excerpt(attributes: Mapping[str, object], shown: AbstractSet[str]) -> str:
    """Those that are shown; here whole attributes alone are."""
    return json.dumps({name: value for name, value in attributes.items() if name in shown})


def fill(store: Store, users: int, groups: int, largest: int) -> list[UUID]:
    """A large directory, written in bulk; its users, of whom the first so many are in the largest group."""
    chance = random.Random(7)
    user_ids, group_ids = ([UUID(int=chance.getrandbits(128), version=4) for _ in range(n)] for n in (users, groups))
    with store.write(SYSTEM) as unit:
        connection, now = unit.users.context.connection, unit.now
        connection.execute(sa.insert(tables.users), [_user_row(*each, now) for each in enumerate(user_ids)])
        connection.execute(sa.insert(tables.groups), [_group_row(*each, now) for each in enumerate(group_ids)])
        nested = [{"group": group, "parent": group_ids[at // 10]} for at, group in enumerate(group_ids) if at >= 10]
        connection.execute(sa.insert(tables.group_parents), nested)
        members = [{"user": user, "group": group_ids[0]} for user in user_ids[:largest]]
        members += [{"user": user, "group": group} for user in user_ids for group in chance.sample(group_ids[1:], 2)]
        connection.execute(sa.insert(tables.memberships), members)
    return user_ids


def _user_row(number: int, user: UUID, now: datetime) -> dict[str, object]:
    return {
        "id": user,
        # Those that are added one by one have none as high.
        "number": BULK + number,
        "username": f"user{number:06}",
        "name": f"User Number {number}",
        "email": f"user{number}@example.com",
        "kind": UserKind.INTERNAL,
        "active": True,
        "attributes": {"department": f"department {number % 50}", "employeeNumber": number},
        "created": now,
        "updated": now,
    }


def _group_row(number: int, group: UUID, now: datetime) -> dict[str, object]:
    return {
        "id": group,
        "number": 2 * BULK + number,
        "name": f"group{number:05}",
        "superuser": False,
        "attributes": {},
        "created": now,
        "updated": now,
    }
