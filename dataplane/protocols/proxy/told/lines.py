"""Access log and decision log as JSON lines: one object a line, in ASCII, of bounded length.

Whatever a client sent stands in JSON strings, so nobody forges a line or acts on a terminal. Never told: queries,
cookies, credentials, bodies, and of a referer more than its host.
"""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

MOST = 4096
"""Bytes of a line with its end."""
_CUTS = (1024, 64, 12)
"""Characters of each text: the first that gives a line short enough. The last always does."""
_HOST = re.compile(rb"[A-Za-z0-9._:\[\]-]{1,255}")
_encode = msgspec.json.Encoder().encode


class AccessLine(msgspec.Struct, kw_only=True):
    """One request. Times in milliseconds, sizes in bytes of bodies."""

    timestamp: str
    log: str = "access"
    worker: int
    request_id: str
    client: str
    method: str
    scheme: str
    host: str
    path: str
    protocol: str
    status: int
    bytes_in: int
    bytes_out: int
    duration_ms: float
    upstream: str
    upstream_ms: float | None
    user: str
    provider: str
    decision: str
    user_agent: str
    referer: str
    failure: str
    detail: str
    upgraded: bool
    trace_id: str


class DecisionLine(msgspec.Struct, kw_only=True):
    """One decision."""

    timestamp: str
    log: str = "decision"
    worker: int
    request_id: str
    channel: str
    verdict: str
    by: str
    reason: str
    user: str
    subject: str
    provider: str
    application: str
    client: str
    method: str
    host: str
    path: str
    trace_id: str


class LostLine(msgspec.Struct, kw_only=True):
    """Here so many lines are missing."""

    timestamp: str
    log: str = "lost"
    worker: int
    lines: int


def encode(line: AccessLine | DecisionLine | LostLine) -> bytes:
    """It with its end."""
    try:
        encoded = _encode(line)
    except UnicodeEncodeError:  # half a character, which JSON can spell and UTF-8 can't
        return _encode_shortened(line)
    if len(encoded) >= MOST or not encoded.isascii():
        return _encode_shortened(line)
    return encoded + b"\n"


def _encode_shortened(line: AccessLine | DecisionLine | LostLine) -> bytes:
    encoded = b""
    for most in _CUTS:
        cut = {name: cut_text(value, most) for name, value in msgspec.structs.asdict(line).items()}
        encoded = json.dumps(cut, separators=(",", ":")).encode("ascii") + b"\n"
        if len(encoded) <= MOST:
            break
    return encoded


def cut_text(value: object, most: int) -> object:
    """A text of at most so many characters, and anything else as it is."""
    return value[:most] + "…" if isinstance(value, str) and len(value) > most else value


def text(value: bytes) -> str:
    """What a client sent, to be read by people: bytes that are no UTF-8 are spelt out."""
    return value.decode("utf-8", "backslashreplace")


def referer_host(value: bytes) -> str:
    """Of a URL the host with its port; empty where there is none, and for what isn't one."""
    scheme, found, rest = value.partition(b"://")
    if not found or scheme not in {b"https", b"http"}:
        return ""
    host = rest.split(b"/", 1)[0].partition(b"?")[0].rpartition(b"@")[2]
    return host.decode("ascii") if _HOST.fullmatch(host) else ""


def milliseconds(seconds: float) -> float:
    """Of so many seconds, to the microsecond; round() would be a good part of what a line costs."""
    return int(seconds * 1_000_000 + 0.5) / 1000


_MILLISECONDS = tuple(f".{count:03d}+00:00" for count in range(1000))


class Stamp:
    """Times as RFC 3339 in UTC; what stays the same for a second is made once a second."""

    __slots__ = ("_second", "_text")

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def at(self, when: float) -> str:
        """POSIX seconds to the millisecond."""
        second = int(when)
        if second != self._second:
            self._second = second
            self._text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return self._text + _MILLISECONDS[int((when - second) * 1000)]


def lost_of(worker: int, clock: Callable[[], float]) -> Callable[[int], bytes]:
    """What makes the line that says how many are missing."""
    stamp = Stamp()
    return lambda lines: encode(LostLine(timestamp=stamp.at(clock()), worker=worker, lines=lines))
