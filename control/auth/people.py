"""Users and groups as commands: the admin interface and `garrison apply` both act through these.

Each takes a writing unit, finds every problem before it writes, and leaves the consequences for sessions at outposts
to the store. Passwords arrive hashed (`hash_new_password`), since a hash is too slow to compute under a write lock.
"""

from collections.abc import Iterable
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
from control.domain.identity import Group, User, UserKind
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


def hash_new_password(passwords: Passwords, username: str, password: str, field: str = "password") -> str:
    """Check a new password by the rules and hash it. Raises Invalid, Busy."""
    _refuse(password_problems(username, password, field))
    return passwords.hash(password)


def has_administrator(unit: Unit) -> bool:
    """Whether somebody administers Garrison, or could once an administrator's account is active again."""
    return unit.users.find_named(FIRST_ADMIN) is not None or unit.superusers.any()


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
            password_changed=unit.now if password_hash is not None else None,
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
    taken = (
        _taken("username", username, unit.users.find_named(username), user.id) if username != before.username else ()
    )
    _refuse([*user_problems(user), *taken, *last])
    if edited != before:
        edited = unit.users.update(replace(edited, updated=unit.now))
    return set_active(unit, user.id, active=user.active) if user.active != before.active else edited


def set_password(unit: Unit, user: UUID, password_hash: str, keep: UUID | None = None) -> User:
    """Give the user another password; every session of the user ends, save the sign-in `keep`."""
    found = unit.users.get(user)
    sessions.end_all_sessions(unit, user, keep)
    return unit.users.update(replace(found, password_hash=password_hash, password_changed=unit.now, updated=unit.now))


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
    before, wanted = unit.memberships.groups_of(user), frozenset(groups)
    _refuse(_unknown_groups(unit, wanted - before, "groups"))
    if before - wanted:
        stays = unit.superusers.any_among([user]) and unit.superusers.are_made_by(wanted)
        _refuse(_nobody_left(unit, "groups", somebody=stays or unit.superusers.any_but(user)))
    unit.memberships.set_groups(user, wanted)


def create_group(unit: Unit, draft: GroupDraft) -> Group:
    """A new group below its parents."""
    group = Group(
        id=uuid4(),
        name=composed(draft.name),
        superuser=draft.superuser,
        second_factor=draft.second_factor,
        attributes=dict(draft.attributes),
        parents=draft.parents,
        created=unit.now,
        updated=unit.now,
    )
    taken = _taken("name", group.name, unit.groups.find_named(group.name))
    _refuse([*group_problems(draft), *_unknown_groups(unit, draft.parents, "parents"), *taken])
    return unit.groups.add(group)


def update_group(unit: Unit, group: Group) -> Group:
    """Store the group's new fields."""
    before = unit.groups.get(group.id)
    edited = replace(group, name=composed(group.name), attributes=dict(group.attributes))
    if edited == before:
        return before
    problems = [
        *group_problems(edited),
        *(_taken("name", edited.name, unit.groups.find_named(edited.name)) if edited.name != before.name else ()),
        *_unknown_groups(unit, edited.parents - before.parents, "parents"),
        *_cycles(unit, group.id, edited.parents - before.parents),
    ]
    _refuse(problems)
    _refuse(_superusers_lost(unit, before, edited))
    return unit.groups.update(replace(edited, updated=unit.now))


def remove_group(unit: Unit, group: UUID) -> None:
    """Remove the group; its members stay. Raises InUse when a binding names it."""
    found = unit.groups.get(group)
    _refuse(_nobody_left(unit, "name", somebody=unit.superusers.any_without_group(group)))
    unit.groups.remove(found)


def set_group_users(unit: Unit, group: UUID, users: Iterable[UUID]) -> None:
    """Make the group's direct members exactly `users`."""
    unit.groups.get(group)
    before, wanted = unit.memberships.users_in(group), frozenset(users)
    unknown = wanted - before - unit.users.known(wanted - before)
    _refuse(_unknown("users", "unknown_user", user) for user in sorted(unknown, key=str))
    if before - wanted:
        makes = unit.superusers.are_made_by([group]) and unit.superusers.any_among(wanted)
        somebody = makes or unit.superusers.any_without_members_of(group)
        _refuse(_nobody_left(unit, "users", somebody=somebody))
    unit.memberships.set_users(group, wanted)


def _refuse(problems: Iterable[Problem]) -> None:
    found = list(problems)
    if found:
        raise Invalid(found)


def _taken(field: str, name: str, holder: User | Group | None, own: UUID | None = None) -> list[Problem]:
    if holder is None or holder.id == own:
        return []
    return [Problem(field=field, code="already_taken", found=name, expected="another one")]


def _unknown_groups(unit: Unit, groups: frozenset[UUID], field: str) -> list[Problem]:
    unknown = groups - unit.groups.known(groups)
    return [_unknown(field, "unknown_group", group) for group in sorted(unknown, key=str)]


def _unknown(field: str, code: str, key: UUID) -> Problem:
    return Problem(field=field, code=code, found=str(key), expected="one that exists")


def _cycles(unit: Unit, group: UUID, parents: frozenset[UUID]) -> list[Problem]:
    """Problems where the group would come to lie above itself by these new parents."""
    childless = group not in parents and not unit.groups.directly_below(group)
    if childless or not unit.groups.is_above(group, parents):
        return []
    return cycle_problems(group, parents, unit.groups.above(parents))


def _superusers_lost(unit: Unit, before: Group, edited: Group) -> list[Problem]:
    """A problem when the group no longer makes superusers and nobody is left who is one without it."""
    dropped = before.superuser and not edited.superuser
    if not dropped and not before.parents - edited.parents:
        return []
    somebody = edited.superuser or unit.superusers.are_made_by(edited.parents)
    somebody = somebody or unit.superusers.any_without_group(before.id)
    return _nobody_left(unit, "superuser" if dropped else "parents", somebody=somebody)


def _last_superuser(unit: Unit, user: UUID) -> list[Problem]:
    """A problem when nobody else administers Garrison."""
    return _nobody_left(unit, "username", somebody=unit.superusers.any_but(user))


def _nobody_left(unit: Unit, field: str, *, somebody: bool) -> list[Problem]:
    """A problem when the change leaves nobody to administer Garrison; where nobody did, it takes nobody away."""
    found = [] if somebody else unit.superusers.usernames()
    expected = "another active superuser first"
    return [Problem(field=field, code="last_superuser", found=", ".join(found), expected=expected)] if found else []
