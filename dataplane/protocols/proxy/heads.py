"""Header lines for applications, kept: a client that comes again, as most do, is introduced by the same bytes.

A connection's session gives equal headers as the same object (`known`), so that is what they are kept by; method and
target are in none of them.
"""

from typing import NamedTuple

from dataplane.protocols.proxy.identity import Introduction
from dataplane.protocols.proxy.messages import Body, Headers, Request
from dataplane.protocols.proxy.onward import Way, onward_lines
from dataplane.protocols.proxy.trust import Seen

MAX_KEPT = 2048
MAX_SIZE = 8192
"""Bytes of lines worth keeping, and of the headers that they are kept by: 32 MiB at most, all together."""


class _Kept(NamedTuple):
    headers: Headers
    version: bytes
    seen: Seen
    peer: str
    introduction: Introduction
    way: Way
    lines: bytes


class Heads:
    """Those of one worker. `trace_names`: headers of a client's that have no place beside our own."""

    __slots__ = ("_kept", "_trace_names")

    def __init__(self, trace_names: frozenset[bytes] = frozenset()) -> None:
        self._trace_names = trace_names
        self._kept: dict[int, _Kept] = {}
        """By the identity of headers that are held here, so that no others can have it."""

    def find(self, request: Request, seen: Seen, peer: str, introduction: Introduction, way: Way) -> bytes:
        """`onward_lines` of these."""
        kept = self._kept.get(id(request.headers))
        if (
            kept is not None
            and kept.headers is request.headers
            and kept.version == request.version
            and kept.introduction is introduction
            and kept.way is way
            and kept.peer == peer
            and kept.seen == seen
        ):
            return kept.lines
        told = introduction
        if self._trace_names:
            told = Introduction(introduction.lines, introduction.left_out | self._trace_names)
        lines = onward_lines(request, seen, peer, told, way)
        # Passwords lie nowhere but in what was decided of them; and no headers with a body come as the same object.
        may_lie = request.body is Body.NONE and b"authorization" not in request.fields
        if may_lie and len(lines) <= MAX_SIZE and _are_short(request):
            self._keep(_Kept(request.headers, request.version, seen, peer, introduction, way, lines))
        return lines

    def _keep(self, kept: _Kept) -> None:
        if len(self._kept) >= MAX_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[id(kept.headers)] = kept


def _are_short(request: Request) -> bool:
    """Whether the headers are as short as their lines; some of them may be none of those. Few repeat any."""
    fields = request.fields
    return not request.repeated and sum(map(len, fields)) + sum(map(len, fields.values())) <= MAX_SIZE
