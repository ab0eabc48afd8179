r"""Whether a path leads up from what it is joined to, for whoever may read it on its way. Pure.

Readers differ: who decodes, and how often, whether `\` is a slash and `;` begins a parameter, what Windows drops at a
name's end. None of them is asked. A client that means well has followed dot segments itself (RFC 3986 section 5.2.4),
so one that is there in any reading is there to lead somebody astray.
"""

import re
import unicodedata
from urllib.parse import unquote_to_bytes

_MOST_DECODED = 4
"""Times: nobody encodes as often by accident."""
_UP = re.compile(rb"[/\\]\.\.[. ]*(?:[/\\;?#\0]|\Z)")
_SKIPPED = b"\t\r\n"
"""What URL parsers of browsers and Node leave out wherever it is."""


def may_climb(target: bytes) -> bool:
    """Whether a request target has a segment `..` before its query, in any spelling."""
    if b".." not in target and b"%" not in target and target.isascii():
        return False
    plain = target.partition(b"?")[0]
    for _ in range(_MOST_DECODED):
        encoded, plain = plain, unquote_to_bytes(plain)
        if plain == encoded:
            return _UP.search(_folded(plain)) is not None
    return True


def _folded(path: bytes) -> bytes:
    """With wide dots and slashes as the usual ones."""
    path = path.translate(None, _SKIPPED)
    if path.isascii():
        return path
    return unicodedata.normalize("NFKC", path.decode("utf-8", "replace")).encode()
