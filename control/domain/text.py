"""Text that others chose or typed, as it may stand in a log, on a terminal or on a page."""


def printable(text: str) -> str:
    """The text with what could start another line, hide or turn the direction of writing made visible."""
    return text if text.isprintable() else "".join(map(_shown, text))


def _shown(letter: str) -> str:
    return letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}"
