"""Whose X-Forwarded-* count: peers within AUTHENTIK_LISTEN__TRUSTED_PROXY_CIDRS. Of everyone else they are ignored.

Forward-auth checks don't ask here: their dialect's headers only choose the question.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from dataplane.protocols.proxy.messages import Request
from dataplane.protocols.proxy.wire import parse_host
from dataplane.sansio import PeerError
from dataplane.sansio.clients import Trusted, parse_address

_WITH_PORT = re.compile(r"([0-9.]+|\[[0-9a-fA-F:.]+\]):[0-9]{1,5}")
_LONGEST_HOP = 80
"""Bytes of an address with space around it; what is longer is none, and not remembered."""


class Seen(NamedTuple):
    """Where a request came from and went to, as far as it can be believed."""

    host: str
    scheme: str
    client: str
    distrusted: str
    """The peer whose X-Forwarded-* were ignored; empty if there was nothing to ignore."""
    hops: tuple[str, ...] = ()
    """Trusted proxies between the client and the peer, in that order."""


class Trust:
    """The trusted networks; and the names of our own that may stand in Host, for the operator vouches for them."""

    def __init__(self, cidrs: Sequence[str], service_hosts: frozenset[str] = frozenset()) -> None:
        self.service_hosts = service_hosts
        self.is_trusted = Trusted(cidrs).holds

    def see(self, request: Request, peer: str, *, secure: bool) -> Seen:
        """What is to be believed of `request`. Raises PeerError(400) where a trusted peer speaks unclearly."""
        own_scheme = "https" if secure else "http"
        fields = request.fields
        if not (b"x-forwarded-for" in fields or b"x-forwarded-host" in fields or b"x-forwarded-proto" in fields):
            return Seen(request.host, own_scheme, peer, "")
        if not self.is_trusted(peer):
            return Seen(request.host, own_scheme, peer, peer)
        host = _single(request, b"x-forwarded-host")
        scheme = _single(request, b"x-forwarded-proto")
        client, *hops = reversed(self._way_back(request, peer))
        return Seen(
            parse_host(host) if host else request.host,
            {b"https": "https", b"http": "http"}.get(scheme.lower(), own_scheme),
            client,
            "",
            tuple(hops[:-1]),
        )

    def _way_back(self, request: Request, peer: str) -> list[str]:
        """From the peer to the nearest address of X-Forwarded-For that isn't a trusted proxy.

        What is no address ends the search.
        """
        way = [peer]
        for hop in reversed(forwarded_for(request).split(b",")):
            address = _find_address(hop) if len(hop) <= _LONGEST_HOP else None
            if address is None:
                return way
            way.append(address)
            if not self.is_trusted(address):
                return way
        return way


@lru_cache(maxsize=4096)
def _find_address(hop: bytes) -> str | None:
    """One entry of X-Forwarded-For; None where that is no address. Azure and IIS write the client's port behind it."""
    text = hop.decode("latin-1").strip()
    with_port = _WITH_PORT.fullmatch(text)
    try:
        return str(parse_address((with_port[1] if with_port else text).strip("[]")))
    except ValueError:
        return None


def forwarded_for(request: Request) -> bytes:
    """X-Forwarded-For with all its parts, of which proxies in a row may each add one."""
    return b",".join(value for name, value in request.headers if name == b"x-forwarded-for")


def _single(request: Request, name: bytes) -> bytes:
    if name in request.repeated:
        raise PeerError(400, f"more than one {name.decode().title()} header")
    # A chain of proxies makes a list; its first entry is what the browser asked for.
    return request.fields.get(name, b"").partition(b",")[0].strip()
