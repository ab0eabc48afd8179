"""Column types that keep domain values whole on every database: aware times, enumerations, tuples."""

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

from control.domain.outpost import Rejection


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
