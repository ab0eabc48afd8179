"""Durations as authentik writes them: `hours=1;minutes=2;seconds=3` (also weeks, days, milliseconds)."""

from datetime import timedelta

from control.domain.errors import Invalid, Problem

_UNITS = {
    "weeks": timedelta(weeks=1),
    "days": timedelta(days=1),
    "hours": timedelta(hours=1),
    "minutes": timedelta(minutes=1),
    "seconds": timedelta(seconds=1),
    "milliseconds": timedelta(milliseconds=1),
}
EXPECTED = "parts like hours=1;minutes=2;seconds=3 (weeks, days, hours, minutes, seconds, milliseconds)"
LONGEST = timedelta(days=3650)


def parse_duration(text: str, field: str) -> timedelta:
    """The duration `text` stands for. Raises Invalid naming `field`."""
    try:
        total = sum((_part(part) for part in text.strip().strip(";").split(";")), timedelta())
    except (ValueError, KeyError, OverflowError):
        raise Invalid([Problem(field=field, code="not_a_duration", found=text, expected=EXPECTED)]) from None
    if total > LONGEST:
        raise Invalid([Problem(field=field, code="too_long", found=text, expected="at most ten years")])
    return total


def format_duration(duration: timedelta) -> str:
    """The shortest text that `parse_duration` reads back as `duration`, down to milliseconds."""
    left = duration
    parts = []
    for unit, length in list(_UNITS.items())[1:]:
        count, left = divmod(left, length)
        if count:
            parts.append(f"{unit}={count}")
    return ";".join(parts) or "seconds=0"


def _part(text: str) -> timedelta:
    unit, _, count = text.partition("=")
    if not count.strip().isascii() or not count.strip().isdigit():
        raise ValueError(text)
    return _UNITS[unit.strip()] * int(count)
