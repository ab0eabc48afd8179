"""Requests whose headers have come before, read without parsing them again: only the request line is read anew.

Browsers send the same headers with request after request, and applications poll. So what a block of headers came to is
kept by its very bytes. It is a pure function of these: the parser stood between two messages, and nothing came before
or behind. A line that isn't as plain as can be is for the parser. Passwords lie nowhere.
"""

import re
from typing import NamedTuple

from dataplane.protocols.proxy.messages import Body, Request

MAX_KNOWN = 2048
MAX_SIZE = 4096
"""Bytes of a request worth keeping: 8 MiB at most, all together, and some three times as much for what they came to."""
MAX_MET = 8192

_LINE = re.compile(rb"(GET|HEAD) (/[A-Za-z0-9._~!$&'()*+,;=:@/?%-]{0,4095}) HTTP/1\.1")
"""RFC 3986 section 3.3 and 3.4, in origin form (RFC 9112 section 3.2.1): every reader takes it for the same."""


class _Known(NamedTuple):
    line: bytes
    request: Request
    """What that line and the block are: for who polls, and for proxies, which ask the same question for all."""


_KNOWN: dict[bytes, _Known] = {}
"""By the block, the end of the request line included."""
_MET: set[int] = set()
"""Hashes of blocks that came once. What never comes again takes no room, and nobody else's: strangers may send as many
as they like."""


def find_known(data: bytes) -> Request | None:
    """The request that these bytes are, if it is known that they are one."""
    end = data.find(b"\r\n")
    known = _KNOWN.get(data[end:])
    if known is None:
        return None
    if len(known.line) == end and data.startswith(known.line):
        return known.request
    line = _LINE.fullmatch(data, 0, end)
    return None if line is None else Request._make((*line.groups(), *known.request[2:]))


def learn(data: bytes, request: Request) -> None:
    """Parsed, `data` was the whole `request` and nothing else, on a connection that goes on."""
    end = data.find(b"\r\n")
    block = data[end:]
    if len(data) > MAX_SIZE or b"authorization" in request.fields:
        return
    mark = hash(block)
    if mark not in _MET:
        if len(_MET) >= MAX_MET:
            _MET.clear()
        _MET.add(mark)
        return
    plain = request.body is Body.NONE and request.keep_alive and not request.upgrade
    if not plain or not _LINE.fullmatch(data, 0, end):
        return
    if len(_KNOWN) >= MAX_KNOWN:
        del _KNOWN[next(iter(_KNOWN))]
    _KNOWN[block] = _Known(data[:end], request)


def forget() -> None:
    """All of it."""
    _KNOWN.clear()
    _MET.clear()
