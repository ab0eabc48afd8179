"""Text that others chose or typed, as it may stand in a log, on a terminal or on a page, and as names of objects."""

import re

_UNSAFE_NAME = re.compile(r"[^a-z0-9]+")
_LONGEST_NAME = 50


def printable(text: str) -> str:
    """The text with what could start another line, hide or turn the direction of writing made visible."""
    return text if text.isprintable() else "".join(map(_shown, text))


def _shown(letter: str) -> str:
    return letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}"


def resource_name(text: str, fallback: str) -> str:
    """A name for containers, units and Kubernetes objects: an RFC 1123 label, whatever the outpost is called."""
    name = _UNSAFE_NAME.sub("-", text.lower()).strip("-")[:_LONGEST_NAME].strip("-")
    return name or fallback
