"""From a blueprint's text to entries: every name known, every reference resolved, every problem with its path.

Values themselves are judged by the commands that take them. Garbage raises Invalid and nothing else.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from control.blueprint.sections import BY_NAME, LATER, SECTIONS, Section
from control.blueprint.strings import Surroundings, Unresolved, read_file, refers, resolve
from control.domain.errors import Invalid, Problem
from control.fleet.documents import kind_of, load_mapping
from control.fleet.fields import problem

MOST_BYTES = 1024 * 1024
VERSION = 1


class Presence(StrEnum):
    """Whether the object is to be there."""

    PRESENT = "present"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One object of a file: which, where it stands, whether it is to be there, and the fields that are named.

    `hidden` names fields whose values are not shown in errors.
    """

    section: Section
    name: str
    file: str
    path: str
    presence: Presence
    fields: Mapping[str, Any]
    hidden: frozenset[str]

    def located(self, error: Invalid) -> Invalid:
        """The error of a command with this entry's place before each field, secrets left out."""
        return Invalid([self._located(each) for each in error.problems])

    def _located(self, each: Problem) -> Problem:
        field = each.field.partition(".")[0].partition("[")[0]
        place = f"{self.file}: {self.path}.{each.field}"
        found = "" if field in self.hidden else each.found
        return Problem(field=place, code=each.code, found=found, expected=each.expected)


def parse(text: str, file: str, around: Surroundings) -> tuple[Entry, ...]:
    """The entries of one file. Raises Invalid with every problem."""
    try:
        document = load_mapping(text, "file", MOST_BYTES)
    except Invalid as error:
        raise Invalid([_in_file(file, each) for each in error.problems]) from None
    problems: list[Problem] = list(_document_problems(document))
    entries: list[Entry] = []
    for section in SECTIONS:
        for place, item in enumerate(_items(section, document, problems)):
            path = f"{section.name}[{place}]"
            try:
                entries.append(_entry(section, item, (file, path), around))
            except Invalid as error:
                problems.extend(error.problems)
    if problems:
        raise Invalid([_in_file(file, each) for each in problems])
    return tuple(entries)


def refuse_doubles(entries: Iterable[Entry]) -> None:
    """Refuse an object that two entries speak of. Raises Invalid."""
    seen: dict[tuple[str, str], Entry] = {}
    problems = []
    for entry in entries:
        first = seen.setdefault((entry.section.name, entry.name), entry)
        if first is not entry:
            place = f"{entry.file}: {entry.path}.{entry.section.key}"
            problems.append(
                problem(place, "said_twice", entry.name, f"no second entry beside {first.file}: {first.path}")
            )
    if problems:
        raise Invalid(problems)


def _document_problems(document: Mapping[str, Any]) -> Iterator[Problem]:
    version = document.get("version", VERSION)
    if version != VERSION or isinstance(version, bool):
        yield problem("version", "unknown_version", version, str(VERSION))
    known = ", ".join(section.name for section in SECTIONS)
    for name in document:
        if name in LATER:
            yield problem(name, "section_not_served_yet", "", f"one of {known}")
        elif name not in BY_NAME and name != "version":
            yield problem(name, "unknown_section", "", f"one of version, {known}")


def _items(section: Section, document: Mapping[str, Any], problems: list[Problem]) -> list[Any]:
    items = document.get(section.name)
    if items is None:
        return []
    if not isinstance(items, list):
        problems.append(problem(section.name, "not_a_list", kind_of(items), f"a list of {section.name}"))
        return []
    return items


def _entry(section: Section, item: object, place: tuple[str, str], around: Surroundings) -> Entry:
    file, path = place
    if not isinstance(item, dict) or not all(isinstance(key, str) for key in item):
        raise Invalid([problem(path, "not_a_mapping", kind_of(item), f"the fields of a {section.kind}")])
    problems = list(_name_problems(section, item, path))
    values = _resolved(item, around, path, problems)
    presence = _presence(values.pop("state", Presence.PRESENT), path, problems)
    name = values.get(section.key)
    if not isinstance(name, str) or not name.strip():
        problems.append(problem(f"{path}.{section.key}", "missing", name or "", "text that names the object"))
    if problems:
        raise Invalid(problems)
    return Entry(
        section=section,
        name=str(name).strip(),
        file=file,
        path=path,
        presence=presence,
        fields={section.aliases.get(key, key): value for key, value in values.items()},
        hidden=_hidden(section, item),
    )


def _name_problems(section: Section, item: Mapping[str, Any], path: str) -> Iterator[Problem]:
    for key in item:
        if key not in section.known:
            yield problem(f"{path}.{key}", "unknown_field", "", "one of " + ", ".join(sorted(section.known)))
        elif key in section.aliases and section.aliases[key] in item:
            yield problem(f"{path}.{key}", "said_twice", "", f"either {key} or {section.aliases[key]}")


def _resolved(item: Mapping[str, Any], around: Surroundings, path: str, problems: list[Problem]) -> dict[str, Any]:
    """The item with references replaced, and `…_file` fields as the fields they are the files of."""
    values: dict[str, Any] = {}
    for key, value in item.items():
        try:
            found = resolve(value, around, f"{path}.{key}")
            name, found = _from_file(key, found, around, f"{path}.{key}")
        except Unresolved as error:
            problems.append(error.problem)
        else:
            if key.endswith("_file") and name in item:
                problems.append(problem(f"{path}.{key}", "said_twice", "", f"either {key} or {name}"))
            values[name] = found
    return values


def _from_file(key: str, value: object, around: Surroundings, path: str) -> tuple[str, object]:
    if not key.endswith("_file"):
        return key, value
    if not isinstance(value, str) or not value:
        raise Unresolved(problem(path, "not_a_path", value, "the path of a file"))
    return key.removesuffix("_file"), read_file(value, around, path)


def _presence(value: object, path: str, problems: list[Problem]) -> Presence:
    if value not in list(Presence):
        problems.append(problem(f"{path}.state", "not_a_choice", value, "one of " + ", ".join(Presence)))
        return Presence.PRESENT
    return Presence(str(value))


def _hidden(section: Section, item: Mapping[str, Any]) -> frozenset[str]:
    named = {key: section.aliases.get(key, key).removesuffix("_file") for key in item}
    referring = {name for key, name in named.items() if refers(item[key]) or key.endswith("_file")}
    return frozenset(referring | set(section.secrets))


def _in_file(file: str, each: Problem) -> Problem:
    place = file if each.field == "file" else f"{file}: {each.field}"
    return Problem(field=place, code=each.code, found=each.found, expected=each.expected)
