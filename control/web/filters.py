"""Values as people read them: times, sizes, durations. The server writes the words, scripts only keep them fresh."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from markupsafe import Markup, escape

from control.domain.text import printable

_UNITS = (("year", 31_557_600), ("month", 2_629_800), ("day", 86_400), ("hour", 3_600), ("minute", 60))
_JUST_NOW = 10
_LEAST = 0.1
_SIZES = ("kB", "MB", "GB", "TB")
_STEP = 1000
_SHORT = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
_PLACE = re.compile(r"\{([a-z_]+)\}")


def relative(when: datetime, now: datetime) -> str:
    """How long ago, or in how long: "3 minutes ago", "in 2 days"."""
    seconds = (now - when).total_seconds()
    if abs(seconds) < _JUST_NOW:
        return "just now"
    words = _largest_unit(abs(seconds))
    return f"{words} ago" if seconds > 0 else f"in {words}"


def absolute(when: datetime) -> str:
    """The moment itself, in UTC."""
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def time_element(when: datetime, words: str) -> Markup:
    """A <time> whose words a script keeps fresh and whose title tells the moment."""
    stamp = when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(stamp, absolute(when), words)


def instant(when: datetime) -> str:
    """The moment itself to the second, in UTC."""
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def size(count: int) -> str:
    """A number of bytes, in steps of a thousand: "92.4 MB"."""
    amount, unit = float(count), "B"
    for larger in _SIZES:
        if amount < _STEP:
            break
        amount, unit = amount / _STEP, larger
    return f"{amount:.4g} {unit}"


def duration(length: timedelta) -> str:
    """A length exactly, as far as it needs: "1 day", "1 hour 30 minutes"."""
    left, parts = int(length.total_seconds()), []
    for unit, seconds in (*_UNITS[2:], ("second", 1)):
        count, left = divmod(left, seconds)
        parts += [_counted(count, unit)] if count else []
    return " ".join(parts) or "0 seconds"


def lasting(length: timedelta) -> str:
    """A length as far as people care, in few letters: "< 0.1 s", "9.8 s", "12 min 3 s", "2 d 4 h"."""
    seconds = length.total_seconds()
    if seconds < _LEAST:
        return f"< {_LEAST} s"
    if seconds < _JUST_NOW:
        return f"{seconds:.1f} s"
    left, parts = int(seconds), []
    for unit, size in _SHORT:
        count, left = divmod(left, size)
        parts += [f"{count} {unit}"] if count else []
    return " ".join(parts[:2])


def fill(text: str, values: Mapping[str, object]) -> Markup:
    """Words with the values in their places (`{name}`), which can't be more than text; "?" where one is missing."""
    whole, end = Markup(), 0
    for place in _PLACE.finditer(text):
        value = printable(str(values.get(place[1], "?")))
        whole += escape(text[end : place.start()]) + Markup("<bdi>{}</bdi>").format(value)
        end = place.end()
    return whole + escape(text[end:])


def _largest_unit(seconds: float) -> str:
    for unit, length in _UNITS:
        if seconds >= length:
            return _counted(int(seconds // length), unit)
    return _counted(int(seconds), "second")


def _counted(count: int, unit: str) -> str:
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
