"""Users and groups as commands: the admin interface and `garrison apply` both act through these.

Each takes a writing unit, finds every problem before it writes, and leaves the consequences for sessions at outposts
to the store. Passwords arrive hashed (`hash_new_password`), since a hash is too slow to compute under a write lock.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from uuid import UUID, uuid4

from control.auth import sessions
from control.auth.passwords import Passwords, password_problems
from control.auth.people_rules import (
    GroupDraft,
    UserDraft,
    composed,
    cycle_problems,
    group_problems,
    user_problems,
)
from control.domain.errors import Invalid, Problem
from control.domain.identity import Group, User, UserKind, ancestors
from control.store import Unit

__all__ = [
    "GroupDraft",
    "UserDraft",
    "create_group",
    "create_user",
    "first_start",
    "group_problems",
    "has_administrator",
    "hash_new_password",
    "remove_group",
    "remove_user",
    "set_active",
    "set_group_users",
    "set_password",
    "set_user_groups",
    "update_group",
    "update_user",
    "user_problems",
]

ADMINS, FIRST_ADMIN = "authentik Admins", "akadmin"

Members = Callable[[UUID], frozenset[UUID]]


def hash_new_password(passwords: Passwords, username: str, password: str, field: str = "password") -> str:
    """Check a new password by the rules and hash it. Raises Invalid, Busy."""
    _refuse(password_problems(username, password, field))
    return passwords.hash(password)


def has_administrator(unit: Unit) -> bool:
    """Whether somebody administers Garrison, or could once an administrator's account is active again."""
    return unit.users.find_named(FIRST_ADMIN) is not None or bool(
        _superusers(unit, unit.groups.by_id(), unit.memberships.users_in)
    )


def first_start(unit: Unit, password_hash: str) -> User | None:
    """The first administrator and the group that makes one; None when there is an administrator already.

    Other users may be there: a blueprint applied before the first start makes them.
    """
    if has_administrator(unit):
        return None
    admins = unit.groups.find_named(ADMINS) or create_group(unit, GroupDraft(name=ADMINS, superuser=True))
    draft = UserDraft(username=FIRST_ADMIN, name="authentik Default Admin", groups=frozenset({admins.id}))
    return create_user(unit, draft, password_hash)


def create_user(unit: Unit, draft: UserDraft, password_hash: str | None = None) -> User:
    """A new user with its groups."""
    username = composed(draft.username)
    problems = [*user_problems(draft), *_unknown_groups(unit, draft.groups, "groups")]
    _refuse([*problems, *_taken("username", username, unit.users.find_named(username))])
    user = unit.users.add(
        User(
            id=uuid4(),
            username=username,
            name=composed(draft.name) or username,
            email=draft.email,
            kind=draft.kind,
            active=draft.active,
            attributes=dict(draft.attributes),
            password_hash=password_hash,
            created=unit.now,
            updated=unit.now,
        )
    )
    unit.memberships.set_groups(user.id, draft.groups)
    return user


def update_user(unit: Unit, user: User) -> User:
    """Store what an admin may edit of a user: username, name, email, kind, attributes, and whether it is active."""
    before = unit.users.get(user.id)
    username = composed(user.username)
    edited = replace(
        before,
        username=username,
        name=composed(user.name) or username,
        email=user.email,
        kind=user.kind,
        attributes=dict(user.attributes),
    )
    demoted = before.kind is UserKind.INTERNAL and edited.kind is not UserKind.INTERNAL
    last = _last_superuser(unit, user.id) if demoted or not user.active else ()
    taken = _taken("username", username, unit.users.find_named(username), user.id)
    _refuse([*user_problems(user), *taken, *last])
    if edited != before:
        unit.users.update(replace(edited, updated=unit.now))
    return set_active(unit, user.id, active=user.active)


def set_password(unit: Unit, user: UUID, password_hash: str, keep: UUID | None = None) -> User:
    """Give the user another password; every session of the user ends, save the sign-in `keep`."""
    found = unit.users.get(user)
    sessions.end_all_sessions(unit, user, keep)
    return unit.users.update(replace(found, password_hash=password_hash, updated=unit.now))


def set_active(unit: Unit, user: UUID, *, active: bool) -> User:
    """Let the user sign in, or no longer; all sessions are gone at once."""
    found = unit.users.get(user)
    if found.active == active:
        return found
    if not active:
        _refuse(_last_superuser(unit, user))
        sessions.end_all_sessions(unit, user)
    return unit.users.update(replace(found, active=active, updated=unit.now))


def remove_user(unit: Unit, user: UUID) -> None:
    """Remove the user with its memberships and sessions. Raises InUse when a binding or an outpost names it."""
    found = unit.users.get(user)
    _refuse(_last_superuser(unit, user))
    sessions.end_all_sessions(unit, user)
    unit.users.remove(found)


def set_user_groups(unit: Unit, user: UUID, groups: Iterable[UUID]) -> None:
    """Make the groups the user is directly in exactly `groups`."""
    unit.users.get(user)
    wanted = frozenset(groups)

    def members(group: UUID) -> frozenset[UUID]:
        others = unit.memberships.users_in(group) - {user}
        return others | {user} if group in wanted else others

    unknown = _unknown_groups(unit, wanted, "groups")
    _refuse([*unknown, *_no_superuser_left(unit, "groups", unit.groups.by_id(), members)])
    unit.memberships.set_groups(user, wanted)


def create_group(unit: Unit, draft: GroupDraft) -> Group:
    """A new group below its parents."""
    group = Group(
        id=uuid4(),
        name=composed(draft.name),
        superuser=draft.superuser,
        attributes=dict(draft.attributes),
        parents=draft.parents,
    )
    taken = _taken("name", group.name, unit.groups.find_named(group.name))
    _refuse([*group_problems(draft), *_unknown_groups(unit, draft.parents, "parents"), *taken])
    return unit.groups.add(group)


def update_group(unit: Unit, group: Group) -> Group:
    """Store the group's new fields."""
    before = unit.groups.get(group.id)
    edited = replace(group, name=composed(group.name), attributes=dict(group.attributes))
    groups = unit.groups.by_id()
    problems = [
        *group_problems(edited),
        *_taken("name", edited.name, unit.groups.find_named(edited.name), group.id),
        *_unknown_groups(unit, group.parents, "parents"),
        *cycle_problems(group.id, group.parents, groups),
    ]
    _refuse(problems)
    field = "superuser" if before.superuser and not edited.superuser else "parents"
    _refuse(_no_superuser_left(unit, field, {**groups, group.id: edited}, unit.memberships.users_in))
    return unit.groups.update(edited)


def remove_group(unit: Unit, group: UUID) -> None:
    """Remove the group; its members stay. Raises InUse when a binding names it."""
    found = unit.groups.get(group)
    others = {key: other for key, other in unit.groups.by_id().items() if key != group}
    _refuse(_no_superuser_left(unit, "name", others, unit.memberships.users_in))
    unit.groups.remove(found)


def set_group_users(unit: Unit, group: UUID, users: Iterable[UUID]) -> None:
    """Make the group's direct members exactly `users`."""
    unit.groups.get(group)
    wanted = frozenset(users)

    def members(other: UUID) -> frozenset[UUID]:
        return wanted if other == group else unit.memberships.users_in(other)

    unknown = [user for user in sorted(wanted, key=str) if unit.users.find(user) is None]
    problems = [_unknown("users", "unknown_user", user) for user in unknown]
    _refuse([*problems, *_no_superuser_left(unit, "users", unit.groups.by_id(), members)])
    unit.memberships.set_users(group, wanted)


def _refuse(problems: Iterable[Problem]) -> None:
    found = list(problems)
    if found:
        raise Invalid(found)


def _taken(field: str, name: str, holder: User | Group | None, own: UUID | None = None) -> list[Problem]:
    if holder is None or holder.id == own:
        return []
    return [Problem(field=field, code="already_taken", found=name, expected="another one")]


def _unknown_groups(unit: Unit, groups: Iterable[UUID], field: str) -> list[Problem]:
    known = unit.groups.by_id()
    return [_unknown(field, "unknown_group", group) for group in sorted(groups, key=str) if group not in known]


def _unknown(field: str, code: str, key: UUID) -> Problem:
    return Problem(field=field, code=code, found=str(key), expected="one that exists")


def _superusers(unit: Unit, groups: Mapping[UUID, Group], members: Members) -> frozenset[UUID]:
    """People who administer Garrison, were these the groups and members: active, and able to sign in."""
    administering = [key for key in groups if any(groups[above].superuser for above in ancestors([key], groups))]
    found = (unit.users.find(user) for key in administering for user in members(key))
    return frozenset(user.id for user in found if user and user.active and user.kind is UserKind.INTERNAL)


def _last_superuser(unit: Unit, user: UUID) -> list[Problem]:
    """A problem when nobody else administers Garrison."""
    if _superusers(unit, unit.groups.by_id(), unit.memberships.users_in) != {user}:
        return []
    return [_nobody_left("username", unit.users.get(user).username)]


def _no_superuser_left(unit: Unit, field: str, groups: Mapping[UUID, Group], members: Members) -> list[Problem]:
    """A problem when these groups and members would take the last superuser away."""
    before = _superusers(unit, unit.groups.by_id(), unit.memberships.users_in)
    if not before or _superusers(unit, groups, members):
        return []
    return [_nobody_left(field, ", ".join(sorted(unit.users.get(user).username for user in before)))]


def _nobody_left(field: str, found: str) -> Problem:
    return Problem(field=field, code="last_superuser", found=found, expected="another active superuser first")
