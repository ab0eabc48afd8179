r"""Whether a path leads up from what it is joined to, for whoever may read it on its way. Pure.

Readers differ: who decodes, and how often, whether `\` is a slash and `;` begins a parameter, what Windows drops at a
name's end. None of them is asked. A client that means well has followed dot segments itself (RFC 3986 section 5.2.4),
so one that is there in any reading is there to lead somebody astray.
"""

import re
import unicodedata
from urllib.parse import unquote_to_bytes

from dataplane.protocols.proxy.wire import parse_host
from dataplane.sansio import PeerError

_MOST_DECODED = 4
"""Times: nobody encodes as often by accident."""
_UP = re.compile(rb"[/\\]\.\.[. ]*(?:[/\\;?#\0]|\Z)")
_OVERLONG = re.compile(rb"[\xc0\xc1][\x80-\xbf]|\xe0[\x80-\x9f]|\xf0[\x80-\x8f]|%u[0-9a-f]{4}", re.IGNORECASE)
"""ASCII as UTF-8 never writes it, and as a few old servers decode it all the same; nobody else has reason to."""
_DESTINATION = re.compile(rb"((?:https?://)?)([^/?#]*)(/[^#]*)", re.IGNORECASE)
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
            return _OVERLONG.search(plain) is not None or _UP.search(_folded(plain)) is not None
    return True


def find_destination(value: bytes, host: str, path: bytes, known_as: bytes) -> bytes | None:
    """A Destination (RFC 4918 section 10.3) at `host`, for who serves it below `path` and is `known_as` another.

    None where it leads elsewhere: an application may look at the path alone.
    """
    match = _DESTINATION.fullmatch(value)
    if match is None or bool(match[1]) is not bool(match[2]) or may_climb(match[3]):
        return None
    try:
        if match[2] and parse_host(match[2]) != host:
            return None
    except PeerError:
        return None
    authority = known_as if match[2] and known_as else match[2]
    return match[1] + authority + path + match[3]


def _folded(path: bytes) -> bytes:
    """With wide dots and slashes as the usual ones."""
    path = path.translate(None, _SKIPPED)
    if path.isascii():
        return path
    return unicodedata.normalize("NFKC", path.decode("utf-8", "replace")).encode()
