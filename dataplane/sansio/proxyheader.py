"""The PROXY protocol, versions 1 and 2 (haproxy.org, doc/proxy-protocol.txt): who is behind a proxy. Pure.

A header is at the very beginning of a connection or nowhere. Whom to believe is the caller's decision.
"""

import ipaddress
import struct
from dataclasses import dataclass

from dataplane.sansio.clients import parse_address
from dataplane.sansio.errors import PeerError

MAX_BYTES = 4096
"""Of a header of version 2 with what it says beside addresses; version 1 takes at most 107."""
_LONGEST_LINE = 107
_LINE = b"PROXY "
_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_FIXED = 16
_LOCAL, _PROXY = 0x20, 0x21
_IPV4, _IPV6 = 0x1, 0x2
_FAMILIES = {b"TCP4": 4, b"TCP6": 6}
_MALFORMED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Whose connection it is, None for the proxy's own or one of which it knows nothing; and the header's bytes."""

    source: str | None
    size: int


@dataclass(frozen=True, slots=True)
class Missing:
    """The connection begins with something else."""


def read_origin(data: bytes) -> Origin | Missing | None:
    """What the first bytes of a connection say; None where more of them are needed. Raises PeerError."""
    if data[:1] == _LINE[:1]:
        return _read_line(data) if _begins(data, _LINE) else Missing()
    if data[:1] == _SIGNATURE[:1]:
        return _read_binary(data) if _begins(data, _SIGNATURE) else Missing()
    return Missing() if data else None


def _begins(data: bytes, start: bytes) -> bool:
    return start.startswith(data[: len(start)])


def _read_line(data: bytes) -> Origin | None:
    """Version 1, section 2.1."""
    line, end, _ = data[:_LONGEST_LINE].partition(b"\r\n")
    if not end:
        if len(data) >= _LONGEST_LINE:
            raise PeerError(_MALFORMED, f"a PROXY line of more than {_LONGEST_LINE} bytes")
        return None
    size = len(line) + len(end)
    words = line.split(b" ")
    # What stands behind UNKNOWN is to be ignored.
    if len(words) > 1 and words[1] == b"UNKNOWN":
        return Origin(source=None, size=size)
    if len(words) != 6 or words[1] not in _FAMILIES:  # noqa: PLR2004  # PROXY, family, two addresses, two ports
        raise PeerError(_MALFORMED, "a PROXY line of another form than: PROXY TCP4 SOURCE DESTINATION PORT PORT")
    return Origin(source=_source(words[2], _FAMILIES[words[1]]), size=size)


def _source(word: bytes, version: int) -> str:
    try:
        address = ipaddress.ip_address(word.decode("ascii"))
    except ValueError as error:
        raise PeerError(_MALFORMED, f"a PROXY line whose source is no address: {word[:40]!r}") from error
    if address.version != version:
        raise PeerError(_MALFORMED, f"a PROXY line of TCP{version} with an address of the other family")
    return str(parse_address(str(address)))


def _read_binary(data: bytes) -> Origin | None:
    """Version 2, section 2.2."""
    if len(data) < _FIXED:
        return None
    command, family, length = struct.unpack_from("!BBH", data, len(_SIGNATURE))
    size = _FIXED + length
    if command not in {_LOCAL, _PROXY} or size > MAX_BYTES:
        raise PeerError(_MALFORMED, f"a PROXY header of command {command:#04x} and {size} bytes")
    if len(data) < size:
        return None
    if command == _LOCAL:
        return Origin(source=None, size=size)
    return Origin(source=_find_binary_source(family >> 4, data[_FIXED:size]), size=size)


def _find_binary_source(family: int, body: bytes) -> str | None:
    """Of families that have no addresses of the internet nothing is known."""
    wanted = {_IPV4: 4, _IPV6: 16}.get(family)
    if wanted is None:
        return None
    # Two addresses and two ports.
    if len(body) < 2 * wanted + 4:
        raise PeerError(_MALFORMED, f"a PROXY header whose addresses take {len(body)} bytes")
    return str(parse_address(str(ipaddress.ip_address(body[:wanted]))))
