"""Column types that keep domain values whole on every database: aware times, enumerations, tuples.

And how text in columns is searched, upper and lower case alike, and what text they can hold.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from control.domain.application import AttributeMapping
from control.domain.errors import Problem
from control.domain.outpost import Rejection

# What SQLite calls `str.lower`; its own `lower` knows the letters of ASCII only.
UNICODE_LOWER = "unicode_lower"


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An aware datetime in UTC; SQLite would forget the zone."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times, store the rest in UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive datetime {value!r}")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the zone back."""
        return None if value is None else value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Word(sa.types.TypeDecorator[StrEnum]):
    """A member of one enumeration, stored as its word."""

    impl = sa.String(40)
    cache_ok = True

    def __init__(self, words: type[StrEnum]) -> None:
        super().__init__()
        self.words = words

    def process_bind_param(self, value: StrEnum | None, dialect: Dialect) -> str | None:
        """The word."""
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> StrEnum | None:
        """The member."""
        return None if value is None else self.words(value)


class Listed(sa.types.TypeDecorator[tuple[Any, ...]]):
    """A tuple stored as a JSON array, its items made by `item` when read and `plain` when written."""

    impl = sa.JSON
    cache_ok = False

    def __init__(self, item: Callable[[Any], Any] = str, plain: Callable[[Any], Any] = str) -> None:
        super().__init__()
        self.item = item
        self.plain = plain

    def process_bind_param(self, value: tuple[Any, ...] | None, dialect: Dialect) -> list[Any] | None:
        """The array."""
        return None if value is None else [self.plain(item) for item in value]

    def process_result_value(self, value: list[Any] | None, dialect: Dialect) -> tuple[Any, ...] | None:
        """The tuple."""
        return None if value is None else tuple(self.item(item) for item in value)


def rejections() -> Listed:
    """The column of `Instance.rejections`."""
    return Listed(
        item=lambda pair: Rejection(key=pair[0], reason=pair[1]),
        plain=lambda rejection: [rejection.key, rejection.reason],
    )


def mappings() -> Listed:
    """The columns of `LdapProvider.user_attributes` and `group_attributes`."""
    return Listed(
        item=lambda pair: AttributeMapping(attribute=pair[0], source=pair[1]),
        plain=lambda mapping: [mapping.attribute, mapping.source],
    )


def holds(column: sa.Column[str], text: str) -> sa.ColumnElement[bool]:
    """Whether the column's text has `text` in it, upper and lower case alike."""
    if text.isascii():
        return column.icontains(text, autoescape=True)
    escaped = text.replace("/", "//").replace("%", "/%").replace("_", "/_")
    return _Lowered(column).like(_Lowered(sa.literal(f"%{escaped}%")), escape="/")


class _Lowered(sa.sql.functions.FunctionElement[str]):
    """The text in lower case, in every script. Slower than `lower` on SQLite, so only where it makes a difference."""

    name = "lowered"
    type = sa.String()
    inherit_cache = True


@compiles(_Lowered, "sqlite")
def _lowered_by_python(element: _Lowered, compiler: SQLCompiler, **_: object) -> str:
    return f"{UNICODE_LOWER}({compiler.process(element.clauses)})"


@compiles(_Lowered, "postgresql")
def _lowered_by_locale(element: _Lowered, compiler: SQLCompiler, **_: object) -> str:
    """By the database's locale; columns are in "C", which knows ASCII only."""
    return f'lower({compiler.process(element.clauses)} COLLATE "default")'


def find_problem(column: sa.Column[Any], value: object) -> Problem | None:
    """Why the column can't hold the text. SQLite would take it, so PostgreSQL must not be the first to say so."""
    if not isinstance(value, str):
        return None
    if "\0" in value:
        return Problem(field=column.name, code="not_text", expected="text without NUL")
    longest = column.type.length if isinstance(column.type, sa.String) else None
    if longest is not None and len(value) > longest:
        return Problem(field=column.name, code="too_long", expected=f"at most {longest} characters")
    return None
