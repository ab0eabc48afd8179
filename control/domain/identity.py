"""People and groups. A group may have several parents; membership is inherited upwards."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

Attributes = Mapping[str, Any]
# The attribute that says how mode proxy reaches applications for somebody, by authentik's name for it.
PROXY_SETTINGS = "ak_proxy"


class UserKind(StrEnum):
    """Who an account is for."""

    INTERNAL = "internal"
    SERVICE = "service_account"
    OUTPOST = "internal_service_account"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """An account. `password_hash` is argon2id in PHC form, or None where no password can be used.

    `number` tells users apart in LDAP. The store gives it when it adds one, to nobody again, and keeps it: whoever
    makes or compares users need not know it. Nor when they were `updated`, which the store says too where groups are
    joined or left.
    """

    id: UUID
    username: str
    name: str
    email: str = ""
    kind: UserKind = UserKind.INTERNAL
    active: bool = True
    attributes: Attributes = field(default_factory=dict)
    password_hash: str | None = field(default=None, repr=False)
    password_changed: datetime | None = None
    created: datetime
    updated: datetime = field(compare=False)
    last_sign_in: datetime | None = None
    number: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A named set of users. Members of a `superuser` group, or of one below it, administer Garrison.

    Those of one with `second_factor`, or of one below it, have to have a second factor and to use it. `number` is like
    that of a user, in a count of its own, and so is `updated`: who joins or leaves changes the group.
    """

    id: UUID
    name: str
    superuser: bool = False
    second_factor: bool = False
    attributes: Attributes = field(default_factory=dict)
    parents: frozenset[UUID] = frozenset()
    created: datetime
    updated: datetime = field(compare=False)
    number: int = field(default=0, compare=False)


def ancestors(direct: Iterable[UUID], groups: Mapping[UUID, Group]) -> frozenset[UUID]:
    """The groups `direct` and all above them, whatever cycles there are."""
    found: set[UUID] = set()
    waiting = list(direct)
    while waiting:
        current = waiting.pop()
        if current not in found and current in groups:
            found.add(current)
            waiting.extend(groups[current].parents)
    return frozenset(found)


def descendants(group: UUID, groups: Mapping[UUID, Group]) -> frozenset[UUID]:
    """The group itself and all below it."""
    children: dict[UUID, set[UUID]] = {}
    for other in groups.values():
        for parent in other.parents:
            children.setdefault(parent, set()).add(other.id)
    found: set[UUID] = set()
    waiting = [group] if group in groups else []
    while waiting:
        current = waiting.pop()
        if current not in found:
            found.add(current)
            waiting.extend(children.get(current, ()))
    return frozenset(found)


def find_path(direct: Iterable[UUID], goal: UUID, groups: Mapping[UUID, Group]) -> tuple[Group, ...] | None:
    """The shortest way up from one of the groups `direct` to the group `goal`, both included; None where none is."""
    waiting: deque[tuple[Group, ...]] = deque((groups[key],) for key in sorted(direct, key=str) if key in groups)
    seen = {path[0].id for path in waiting}
    while waiting:
        path = waiting.popleft()
        if path[-1].id == goal:
            return path
        for parent in sorted(path[-1].parents - seen, key=str):
            seen.add(parent)
            if parent in groups:
                waiting.append((*path, groups[parent]))
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A user with every group that applies, nested ones included: what policies and claims look at."""

    user: User
    groups: tuple[Group, ...]

    @property
    def superuser(self) -> bool:
        """Whether the person administers Garrison."""
        return any(group.superuser for group in self.groups)

    @property
    def needs_second_factor(self) -> bool:
        """Whether a group of the person's asks for a second factor."""
        return any(group.second_factor for group in self.groups)

    @property
    def group_names(self) -> tuple[str, ...]:
        """Names of all groups, sorted."""
        return tuple(sorted(group.name for group in self.groups))


def merged_attributes(person: Person) -> dict[str, Any]:
    """The attributes of the groups in name order, then of the user, later ones winning."""
    merged: dict[str, Any] = {}
    for group in sorted(person.groups, key=lambda group: group.name):
        merged.update(group.attributes)
    return {**merged, **person.user.attributes}


def additional_headers(person: Person) -> dict[str, str]:
    """The `additionalHeaders` of the groups in name order, then of the user, later ones winning."""
    return {str(name): str(value) for name, value in _merged_mapping(person, "additionalHeaders").items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxySettings:
    """What mode proxy does otherwise for one person; both are empty for nothing.

    `backend_override` is another address of the application, `host_header` another Host header.
    """

    backend_override: str = ""
    host_header: str = ""


def proxy_settings(person: Person) -> ProxySettings:
    """The `ak_proxy` attributes of the groups in name order, then of the user, later ones winning; only text counts."""
    merged = _merged_mapping(person, PROXY_SETTINGS)
    texts = {name: value for name, value in merged.items() if isinstance(value, str)}
    return ProxySettings(
        backend_override=texts.get("backend_override", ""),
        host_header=texts.get("host_header", ""),
    )


def _merged_mapping(person: Person, name: str) -> dict[str, Any]:
    """The mapping of that name in the attributes of the groups in name order, then of the user, later ones winning."""
    merged: dict[str, Any] = {}
    holders = [group.attributes for group in sorted(person.groups, key=lambda group: group.name)]
    for attributes in [*holders, person.user.attributes]:
        found = attributes.get(name)
        if isinstance(found, Mapping):
            merged.update(found)
    return merged
