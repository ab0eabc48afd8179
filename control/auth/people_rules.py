"""What users and groups must look like: pure rules, every problem found at once.

Names travel in HTTP headers, log lines and audit rows of every outpost; what could break out of those is refused here.
"""

import json
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from control.domain.addresses import EXPECTED as ADDRESS
from control.domain.addresses import EXPECTED_HOST as HOST_HEADER
from control.domain.addresses import parse_address, parse_host_header
from control.domain.errors import Problem
from control.domain.identity import PROXY_SETTINGS, Attributes, Group, User, UserKind
from control.domain.origins import NotAnOrigin

USERNAME_LENGTH, NAME_LENGTH, EMAIL_LENGTH, GROUP_LENGTH = 150, 200, 320, 150
ATTRIBUTES_BYTES, ATTRIBUTES_DEPTH = 65_536, 16
# The audit trail names these as actors.
RESERVED_USERNAMES = frozenset({"system", "cli", "anonymous"})
RESERVED_PREFIX = "outpost/"
_EMAIL = re.compile(r"[^\s@\"(),:;<>\[\]\\]+@[^\s@\"(),:;<>\[\]\\.]+(\.[^\s@\"(),:;<>\[\]\\.]+)*")
_HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,100}")
_HEADER_VALUE_LENGTH = 4096
# What its members are read by, and what is expected of them.
_PROXY_SETTINGS: Mapping[str, tuple[Callable[[str], object], str]] = {
    "backend_override": (parse_address, ADDRESS),
    "host_header": (parse_host_header, HOST_HEADER),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class UserDraft:
    """A user to be created. Without a `name` it is called by its username."""

    username: str
    name: str = ""
    email: str = ""
    kind: UserKind = UserKind.INTERNAL
    active: bool = True
    attributes: Attributes = field(default_factory=dict)
    groups: frozenset[UUID] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupDraft:
    """A group to be created."""

    name: str
    superuser: bool = False
    second_factor: bool = False
    attributes: Attributes = field(default_factory=dict)
    parents: frozenset[UUID] = frozenset()


def composed(name: str) -> str:
    """The name in Unicode's composed form, so that one name is one sequence of characters."""
    return unicodedata.normalize("NFC", name)


def user_problems(user: UserDraft | User) -> list[Problem]:
    """What is wrong with a user, as far as it can be said without a database."""
    return [
        *name_problems("username", user.username, USERNAME_LENGTH),
        *_reserved_problems(user.username),
        *name_problems("name", user.name or user.username, NAME_LENGTH),
        *email_problems(user.email),
        *attribute_problems(user.attributes),
    ]


def group_problems(group: GroupDraft | Group) -> list[Problem]:
    """What is wrong with a group, as far as it can be said without a database."""
    return [
        *name_problems("name", group.name, GROUP_LENGTH),
        *_bar_problems(group),
        *attribute_problems(group.attributes),
    ]


def email_problems(email: str) -> list[Problem]:
    """What is wrong with an e-mail address; none at all is fine. One @ only: no domain rule reads the wrong half."""
    if not email:
        return []
    if len(email) > EMAIL_LENGTH:
        return [Problem(field="email", code="too_long", expected=f"at most {EMAIL_LENGTH} characters")]
    if not email.isprintable() or _EMAIL.fullmatch(email) is None:
        return [Problem(field="email", code="not_an_email", found=email, expected="an address like alice@example.com")]
    return []


def attribute_problems(attributes: object) -> list[Problem]:
    """What is wrong with attributes: they are one JSON object, of bounded size."""
    if not isinstance(attributes, Mapping):
        found = type(attributes).__name__
        return [Problem(field="attributes", code="not_a_mapping", found=found, expected="names and values")]
    wrong = next(_not_json("attributes", attributes, ATTRIBUTES_DEPTH), None)
    if wrong is not None:
        return [wrong]
    if len(json.dumps(attributes)) > ATTRIBUTES_BYTES:
        return [Problem(field="attributes", code="too_long", expected=f"at most {ATTRIBUTES_BYTES} bytes as JSON")]
    return [*_header_problems(attributes), *_proxy_problems(attributes)]


def cycle_problems(group: UUID, parents: Iterable[UUID], groups: Mapping[UUID, Group]) -> list[Problem]:
    """A group above itself, by way of the parents it is to get."""
    for parent in sorted(parents, key=str):
        path = _path_up(parent, group, groups)
        if path is not None:
            found = " > ".join(groups[step].name for step in path)
            return [Problem(field="parents", code="cycle", found=found, expected="groups that are not below this one")]
    return []


def name_problems(place: str, name: str, length: int) -> Iterator[Problem]:
    """What is wrong with a name, which people see and logs hold."""
    if not name:
        yield Problem(field=place, code="required", expected="a name")
    if len(name) > length:
        yield Problem(field=place, code="too_long", found=f"{len(name)} characters", expected=f"at most {length}")
    if not name.isprintable():
        yield Problem(field=place, code="unprintable", found=ascii(name), expected="printable characters only")
    if name != name.strip():
        yield Problem(field=place, code="surrounding_space", found=name, expected="no space before or after")


def _reserved_problems(username: str) -> Iterator[Problem]:
    if username in RESERVED_USERNAMES or username.startswith(RESERVED_PREFIX):
        yield Problem(field="username", code="reserved_name", found=username, expected="another name: this is an actor")


def _bar_problems(group: GroupDraft | Group) -> Iterator[Problem]:
    # X-authentik-groups joins names by a bar: one group must not look like two.
    if "|" in group.name:
        yield Problem(field="name", code="reserved_character", found=group.name, expected="a name without |")


def _not_json(place: str, value: Any, depth: int) -> Iterator[Problem]:  # noqa: ANN401 - JSON is any
    if depth == 0:
        yield Problem(field=place, code="too_deep", expected=f"at most {ATTRIBUTES_DEPTH} levels")
        return
    match value:
        case None | bool() | int():
            return
        case str() if "\0" not in value:
            return
        case float() if math.isfinite(value):
            return
        case Mapping():
            for name, inner in value.items():
                if not isinstance(name, str):
                    yield Problem(field=place, code="not_json", found=repr(name), expected="names that are text")
                yield from _not_json(f"{place}.{name}", inner, depth - 1)
        case list() | tuple():
            for index, inner in enumerate(value):
                yield from _not_json(f"{place}[{index}]", inner, depth - 1)
        case _:
            found = type(value).__name__
            yield Problem(
                field=place, code="not_json", found=found, expected="text, numbers, booleans, lists, mappings"
            )


def _header_problems(attributes: Mapping[str, Any]) -> Iterator[Problem]:
    headers = attributes.get("additionalHeaders", {})
    place = "attributes.additionalHeaders"
    if not isinstance(headers, Mapping):
        yield Problem(field=place, code="not_a_mapping", found=type(headers).__name__, expected="names and values")
        return
    for name, value in headers.items():
        if _HEADER_NAME.fullmatch(name) is None:
            yield Problem(
                field=place, code="bad_header_name", found=ascii(name), expected="letters, digits and hyphens"
            )
        if not isinstance(value, str | int | float | bool):
            yield Problem(field=f"{place}.{name}", code="not_text", found=type(value).__name__, expected="text")
        elif not str(value).isprintable() or len(str(value)) > _HEADER_VALUE_LENGTH:
            expected = f"printable characters only, at most {_HEADER_VALUE_LENGTH}"
            yield Problem(field=f"{place}.{name}", code="unprintable_header", expected=expected)


def _proxy_problems(attributes: Mapping[str, Any]) -> Iterator[Problem]:
    """`ak_proxy`: where mode proxy finds applications for somebody."""
    settings, place = attributes.get(PROXY_SETTINGS, {}), f"attributes.{PROXY_SETTINGS}"
    if not isinstance(settings, Mapping):
        yield Problem(field=place, code="not_a_mapping", found=type(settings).__name__, expected="names and values")
        return
    for name, (parse, expected) in _PROXY_SETTINGS.items():
        value = settings.get(name, "")
        if not isinstance(value, str) or not value.isascii():
            found = value[:80] if isinstance(value, str) else type(value).__name__
            yield Problem(field=f"{place}.{name}", code="not_text", found=found, expected=f"ASCII text, {expected}")
            continue
        try:
            # It is sent as it is written; outposts read it as this does.
            _ = value and parse(value)
        except NotAnOrigin as error:
            yield Problem(field=f"{place}.{name}", code=str(error), found=value[:80], expected=expected)


def _path_up(start: UUID, goal: UUID, groups: Mapping[UUID, Group]) -> list[UUID] | None:
    waiting, seen = [[start]], {start}
    while waiting:
        path = waiting.pop()
        if path[-1] == goal:
            return path
        above = groups[path[-1]].parents if path[-1] in groups else frozenset()
        for parent in above - seen:
            seen.add(parent)
            waiting.append([*path, parent])
    return None
