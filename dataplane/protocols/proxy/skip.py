"""Paths that need no sign-in (skip_path_regex), matched so that no spelling of a path opens another.

RE2, unanchored, as authentik has it: on the path in the modes of one host, on scheme, host and path in
forward_domain. The query never takes part. A path that an application might read as another one (dot segments,
doubled slashes, encoded delimiters or letters, path parameters) is never skipped: then one signs in, and no harm is
done.
"""

import re
import unicodedata
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote_to_bytes

import re2

from dataplane.config import ConfigRefused

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.max_mem = 8 << 20

_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_DISGUISED = frozenset(b"./\\%#?;") | frozenset(range(32)) | {127}
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
"""What nobody has reason to encode (RFC 3986 section 2.3): so a path has one spelling."""
_ODD = _DISGUISED | _UNRESERVED


class SkipPaths:
    """The compiled patterns of one provider."""

    __slots__ = ("_patterns",)

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns: tuple[Any, ...] = tuple(_compile(pattern) for pattern in patterns)

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def match(self, path: bytes, origin: str = "") -> bool:
        """Whether `path` (as sent, without query) is open; `origin` is put before it for forward_domain."""
        if not self._patterns:
            return False
        plain = find_plain_path(path)
        if plain is None:
            return False
        subject = origin + plain
        return any(pattern.search(subject) for pattern in self._patterns)


def find_plain_path(path: bytes) -> str | None:
    """The decoded path where everyone must read it alike; None where readers may differ."""
    if not path.startswith(b"/") or b";" in path or b"\\" in path or b"#" in path or b"?" in path:
        return None
    decoded = unquote_to_bytes(path) if b"%" in path else path
    if decoded is not path and not _decodes_plainly(path):
        return None
    *inner, last = decoded[1:].split(b"/")
    # A dot segment by itself, or for who drops dots and spaces at a segment's end, as Windows does.
    if b"" in inner or any(segment != segment.rstrip(b" .") for segment in (*inner, last)):
        return None
    try:
        text = decoded.decode()
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() and not _folds_otherwise(text) else None


def _folds_otherwise(text: str) -> bool:
    """Whether there are delimiters more for who takes wide letters and their like for the usual ones."""
    if text.isascii():
        return False
    folded = unicodedata.normalize("NFKC", text)
    return any(folded.count(each) != text.count(each) for each in "./\\%#?;")


def _decodes_plainly(path: bytes) -> bool:
    """Whether each % begins a valid escape, and none stands for a delimiter, a dot or what needs none."""
    escapes = _ESCAPE.findall(path)
    if len(escapes) != path.count(b"%"):
        return False
    return not any(int(escape, 16) in _ODD for escape in escapes)


def _compile(pattern: str) -> Any:  # noqa: ANN401  # re2 has no types
    try:
        return re2.compile(pattern, options=_OPTIONS)
    except re2.error as error:
        detail = error.args[0].decode() if isinstance(error.args[0], bytes) else str(error)
        raise ConfigRefused(f"skip_path_regex {pattern!r} is not a regular expression of RE2: {detail}") from error
