"""Reading plain fields (of a form, of a blueprint) into typed values, with every problem found and not just the first.

Commands of this package read through a `Reader`: a field that is not named keeps the value it has, a field that
nobody knows is a problem, and `check` raises what was found. It knows nothing of what the fields mean.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Protocol, TypeVar
from uuid import UUID

from control.domain.duration import format_duration, parse_duration
from control.domain.errors import Invalid, Problem

Fields = Mapping[str, object]
Word = TypeVar("Word", bound=StrEnum)
Found_co = TypeVar("Found_co", bound="Identified", covariant=True)

SHOWN = 80


class Identified(Protocol):
    """Whatever has an id."""

    @property
    def id(self) -> UUID:
        """The id."""
        ...


class Shelf(Protocol[Found_co]):
    """A repository as far as references need it."""

    def find(self, key: object) -> Found_co | None:
        """The object of that id."""
        ...

    def find_named(self, name: str) -> Found_co | None:
        """The object of that name."""
        ...


class Reader:
    """Takes values out of `fields` by name and type, noting what is wrong; `prefix` says where the fields lie."""

    def __init__(self, fields: Fields, known: Collection[str], prefix: str = "") -> None:
        self.fields = fields
        self.prefix = prefix
        self.problems: list[Problem] = []
        for name in fields:
            if name not in known:
                self.refuse(name, "unknown_field", "", "one of " + ", ".join(sorted(known)))

    def refuse(self, name: str, code: str, found: object, expected: str) -> None:
        """Note a problem with one field."""
        self.problems.append(problem(self.prefix + name, code, found, expected))

    def refuse_all(self, error: Invalid) -> None:
        """Note every problem of an error, below this reader's place."""
        self.problems.extend(moved(error, self.prefix).problems)

    def check(self) -> None:
        """Raise Invalid when anything was noted."""
        if self.problems:
            raise Invalid(self.problems)

    def names(self, name: str) -> bool:
        """Whether the field is named at all."""
        return name in self.fields

    def text(self, name: str, current: str, limit: int, *, required: bool = False) -> str:
        """A line or lines of text, without space around it; None stands for none."""
        value = self.fields.get(name, current)
        value = "" if value is None else value
        if not isinstance(value, str):
            self.refuse(name, "not_text", value, "text (in YAML: in quotes)")
            return current
        value = value.strip()
        if "\0" in value:
            self.refuse(name, "not_text", value, "text without NUL")
        if len(value) > limit:
            self.refuse(name, "too_long", f"{len(value)} characters", f"at most {limit} characters")
        if required and not value:
            self.refuse(name, "missing", "", "a value")
        return value

    def object_name(self, current: str, limit: int) -> str:
        """The field `name`, which people see and logs hold; one of an earlier version may stay as it is."""
        value = self.text("name", current, limit, required=True)
        if value != current and not value.isprintable():
            self.refuse("name", "unprintable", ascii(value), "printable characters only")
        return value

    def flag(self, name: str, current: bool) -> bool:
        """True or false."""
        value = self.fields.get(name, current)
        if isinstance(value, bool):
            return value
        self.refuse(name, "not_a_boolean", value, "true or false")
        return current

    def whole(self, name: str, current: int, least: int, most: int) -> int:
        """A whole number between two bounds."""
        value = self.fields.get(name, current)
        if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit() and len(value) < SHOWN:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.refuse(name, "not_a_number", value, f"a whole number from {least} to {most}")
            return current
        return value

    def duration(self, name: str, current: timedelta, most: timedelta) -> timedelta:
        """A duration longer than none."""
        text = self.text(name, format_duration(current), 200, required=True)
        try:
            found = parse_duration(text, name) if text else current
        except Invalid as error:
            self.refuse_all(error)
            return current
        if not timedelta() < found <= most:
            self.refuse(name, "not_in_range", text, f"longer than no time, at most {format_duration(most)}")
        return found

    def word(self, name: str, current: Word) -> Word:
        """A member of the enumeration that `current` belongs to."""
        words = type(current)
        value = self.fields.get(name, current)
        try:
            return words(str(value) if isinstance(value, str) else "")
        except ValueError:
            self.refuse(name, "not_a_choice", value, "one of " + ", ".join(words))
            return current

    def reference(self, name: str, current: UUID | None, shelf: Shelf[Identified]) -> UUID | None:
        """The id of the object that is named by its id (UUID) or its name (text); None or "" for none."""
        value = self.fields.get(name, current)
        return None if value is None or value == "" else self._id(name, value, shelf)

    def references(self, name: str, current: Iterable[UUID], shelf: Shelf[Identified]) -> frozenset[UUID]:
        """The ids of a list of such objects."""
        value = self.fields.get(name, current)
        if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
            self.refuse(name, "not_a_list", value, "a list of names")
            return frozenset(current)
        found = (self._id(f"{name}[{place}]", item, shelf) for place, item in enumerate(value))
        return frozenset(key for key in found if key is not None)

    def mappings(self, name: str) -> Sequence[Fields]:
        """A list of mappings, each with text keys; empty when the field is not named."""
        value = self.fields.get(name, ())
        if isinstance(value, str) or not isinstance(value, Sequence):
            self.refuse(name, "not_a_list", value, "a list")
            return ()
        for place, item in enumerate(value):
            if not isinstance(item, Mapping) or not all(isinstance(key, str) for key in item):
                self.refuse(f"{name}[{place}]", "not_a_mapping", item, "fields with values")
        return [item for item in value if isinstance(item, Mapping)]

    def expect_free(self, name: str, taken_by: Identified | None, own: UUID) -> None:
        """Refuse a value that names another object already."""
        if taken_by is not None and taken_by.id != own:
            self.refuse(name, "already_taken", self.fields.get(name, ""), "another one")

    def _id(self, name: str, value: object, shelf: Shelf[Identified]) -> UUID | None:
        if not isinstance(value, str | UUID):
            self.refuse(name, "not_a_name", value, "a name")
            return None
        found = shelf.find(value) if isinstance(value, UUID) else shelf.find_named(value)
        if found is None:
            self.refuse(name, "not_found", value, "something that exists")
            return None
        return found.id


def problem(field: str, code: str, found: object, expected: str) -> Problem:
    """A problem whose found value is cut to what fits on a line."""
    text = str(found)
    shown = text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
    return Problem(field=field, code=code, found=shown, expected=expected)


def moved(error: Invalid, prefix: str) -> Invalid:
    """The same problems, in a place further down."""
    return Invalid(
        [
            Problem(field=prefix + each.field, code=each.code, found=each.found, expected=each.expected)
            for each in error.problems
        ]
    )
