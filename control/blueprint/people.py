"""Users and groups of a blueprint: plain fields made into what the commands of `control.auth.people` take."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

from control.auth import people
from control.auth.people import GroupDraft, UserDraft, remove_group, remove_user
from control.blueprint.sections import BY_NAME
from control.domain.identity import Group, User, UserKind
from control.fleet.fields import Fields, Reader
from control.store import Unit

__all__ = [
    "create_bare_group",
    "create_group",
    "create_user",
    "remove_group",
    "remove_user",
    "update_group",
    "update_user",
]

_LONG = 10_000


def create_bare_group(unit: Unit, name: str) -> Group:
    """Make a group that has nothing but its name yet."""
    return people.create_group(unit, GroupDraft(name=name))


def create_group(unit: Unit, fields: Fields) -> Group:
    """Make a group. Raises Invalid with every problem."""
    read = _read_group(unit, Group(id=uuid4(), name="", created=unit.now, updated=unit.now), fields)
    draft = GroupDraft(
        name=read.name,
        superuser=read.superuser,
        second_factor=read.second_factor,
        attributes=read.attributes,
        parents=read.parents,
    )
    return people.create_group(unit, draft)


def update_group(unit: Unit, group: Group, fields: Fields) -> Group:
    """Change the fields that are named. Raises Invalid with every problem."""
    return people.update_group(unit, _read_group(unit, group, fields))


def create_user(unit: Unit, fields: Fields, hashes: Mapping[str, str]) -> User:
    """Make a user with the password hash worked out before. Raises Invalid with every problem."""
    blank = User(id=uuid4(), username="", name="", created=unit.now, updated=unit.now)
    read, groups = _read_user(unit, blank, fields)
    draft = UserDraft(
        username=read.username,
        name=read.name,
        email=read.email,
        kind=read.kind,
        active=read.active,
        attributes=read.attributes,
        groups=groups,
    )
    return people.create_user(unit, draft, hashes.get(read.username))


def update_user(unit: Unit, user: User, fields: Fields, hashes: Mapping[str, str]) -> None:
    """Change the fields that are named. Raises Invalid with every problem."""
    read, groups = _read_user(unit, user, fields)
    people.update_user(unit, read)
    if "groups" in fields:
        people.set_user_groups(unit, user.id, groups)
    if user.username in hashes:
        people.set_password(unit, user.id, hashes[user.username])


def _read_group(unit: Unit, current: Group, fields: Fields) -> Group:
    reader = Reader(fields, BY_NAME["groups"].fields)
    group = replace(
        current,
        name=reader.text("name", current.name, _LONG),
        superuser=reader.flag("superuser", current.superuser),
        second_factor=reader.flag("second_factor", current.second_factor),
        attributes=_attributes(reader, current.attributes),
        parents=reader.references("parents", current.parents, unit.groups),
    )
    reader.check()
    return group


def _read_user(unit: Unit, current: User, fields: Fields) -> tuple[User, frozenset[Any]]:
    reader = Reader(fields, BY_NAME["users"].fields)
    kind = reader.word("kind", current.kind)
    if kind is UserKind.OUTPOST and current.kind is not UserKind.OUTPOST:
        reader.refuse("kind", "made_with_outposts", kind, f"{UserKind.INTERNAL} or {UserKind.SERVICE}")
    user = replace(
        current,
        username=reader.text("username", current.username, _LONG),
        name=reader.text("name", current.name, _LONG),
        email=reader.text("email", current.email, _LONG),
        kind=kind,
        active=reader.flag("active", current.active),
        attributes=_attributes(reader, current.attributes),
    )
    groups = reader.references("groups", (), unit.groups)
    reader.check()
    return user, groups


def _attributes(reader: Reader, current: Mapping[str, Any]) -> Mapping[str, Any]:
    value = reader.fields.get("attributes", current)
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        reader.refuse("attributes", "not_a_mapping", value, "names with values")
        return current
    return value
