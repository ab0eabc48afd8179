"""Which passwords of a blueprint have to be hashed, and their hashes: worked out before the unit of work begins.

A hash takes too long to be made under the database's write lock. A password counts at creation, and later only with
`password_policy: enforce`; one that the user has already is not set again.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from control.auth.passwords import Passwords, password_hash_problems
from control.auth.people import hash_new_password
from control.blueprint.parse import Entry, Presence
from control.domain.errors import Invalid, Problem
from control.domain.identity import User
from control.fleet.fields import problem
from control.store import Store


class PasswordPolicy(StrEnum):
    """When a password in a file counts."""

    INITIAL = "initial"
    ENFORCE = "enforce"


def hashes_of(entries: Iterable[Entry], store: Store, passwords: Passwords) -> Mapping[str, str]:
    """The password hashes to be stored, by username. Raises Invalid with every problem."""
    wanted = [entry for entry in entries if entry.section.name == "users" and entry.presence is Presence.PRESENT]
    with store.read() as unit:
        known = {entry.name: unit.users.find_named(entry.name) for entry in wanted}
    found: dict[str, str] = {}
    problems: list[Problem] = []
    for entry in wanted:
        try:
            hashed = _hash(entry, known[entry.name], passwords)
        except Invalid as error:
            problems.extend(entry.located(error).problems)
        else:
            found |= {entry.name: hashed} if hashed is not None else {}
    if problems:
        raise Invalid(problems)
    return found


def _hash(entry: Entry, user: User | None, passwords: Passwords) -> str | None:
    """The hash to store for one user, or None where what is there stays."""
    password, given = entry.fields.get("password"), entry.fields.get("password_hash")
    policy = _policy(entry)
    if given is not None:
        _refuse_both(password)
        return _checked_hash(given, user)
    if password is None or (user is not None and policy is PasswordPolicy.INITIAL):
        return None
    if not isinstance(password, str):
        raise Invalid([problem("password", "not_text", "", "text in quotes")])
    if user is not None and user.password_hash and passwords.verify(user.password_hash, password):
        return None
    return hash_new_password(passwords, entry.name, password)


def _policy(entry: Entry) -> PasswordPolicy:
    value = entry.fields.get("password_policy", PasswordPolicy.INITIAL)
    if value not in list(PasswordPolicy):
        raise Invalid([problem("password_policy", "not_a_choice", value, "one of " + ", ".join(PasswordPolicy))])
    return PasswordPolicy(str(value))


def _refuse_both(password: object) -> None:
    if password is not None:
        raise Invalid([problem("password", "said_twice", "", "either password or password_hash")])


def _checked_hash(given: object, user: User | None) -> str | None:
    if not isinstance(given, str):
        raise Invalid([problem("password_hash", "not_text", "", "an argon2id hash in PHC form")])
    problems = password_hash_problems(given)
    if problems:
        raise Invalid(problems)
    return given if user is None or user.password_hash != given else None
