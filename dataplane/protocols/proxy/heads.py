"""Heads for applications, kept: a client that asks the same again, as most do, is introduced by the same bytes.

A connection's session gives equal requests as the same object (`session`), so that is what they are kept by.
"""

from typing import NamedTuple

from dataplane.protocols.proxy.identity import Introduction
from dataplane.protocols.proxy.messages import Body, Request
from dataplane.protocols.proxy.onward import Way, onward_head
from dataplane.protocols.proxy.trust import Seen

MAX_KEPT = 2048
MAX_SIZE = 8192
"""Bytes of a head worth keeping."""


class _Kept(NamedTuple):
    request: Request
    seen: Seen
    peer: str
    introduction: Introduction
    way: Way
    head: bytes


class Heads:
    """Those of one worker. `trace_names`: headers of a client's that have no place beside our own."""

    __slots__ = ("_kept", "_trace_names")

    def __init__(self, trace_names: frozenset[bytes] = frozenset()) -> None:
        self._trace_names = trace_names
        self._kept: dict[int, _Kept] = {}
        """By the identity of a request that is held here, so that no other can have it."""

    def find(self, request: Request, seen: Seen, peer: str, introduction: Introduction, way: Way) -> bytes:
        """`onward_head` of these."""
        kept = self._kept.get(id(request))
        if (
            kept is not None
            and kept.request is request
            and kept.introduction is introduction
            and kept.way is way
            and kept.peer == peer
            and kept.seen == seen
        ):
            return kept.head
        told = introduction
        if self._trace_names:
            told = Introduction(introduction.lines, introduction.left_out | self._trace_names)
        head = onward_head(request, seen, peer, told, way)
        # Passwords lie nowhere but in what was decided of them; and no request with a body comes as the same object.
        if request.body is Body.NONE and b"authorization" not in request.fields and len(head) <= MAX_SIZE:
            if len(self._kept) >= MAX_KEPT:
                self._kept.clear()  # the oldest alone would be a search each time
            self._kept[id(request)] = _Kept(request, seen, peer, introduction, way, head)
        return head
