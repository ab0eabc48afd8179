"""Whom an address stands for, where what one client may take is bounded, and who may speak for others."""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache

DEFAULT_TRUSTED = ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fe80::/10", "::1/128")
"""Whom the outpost believes what they say of others, unless its setting says otherwise; as authentik."""
SETTING = "AUTHENTIK_LISTEN__TRUSTED_PROXY_CIDRS"
_OWN_BITS = 64


def parse_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An address in whatever spelling, without its zone; IPv4-mapped IPv6 is IPv4 (RFC 4291 section 2.5.5.2).

    Sockets that listen for both families write IPv4 clients like that, and so do the proxies that have them. Raises
    ValueError for what is none.
    """
    parsed = ipaddress.ip_address(text)
    if isinstance(parsed, ipaddress.IPv4Address):
        return parsed
    return parsed.ipv4_mapped or ipaddress.IPv6Address(int(parsed))


@lru_cache(maxsize=4096)
def client_of(address: str) -> str:
    """An IPv4 address, or an IPv6 /64: whoever has one address of those has all of them (RFC 6177 section 2).

    What is no address (a unix socket's peer) stands for itself.
    """
    try:
        parsed = parse_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    return str(ipaddress.ip_network((parsed, _OWN_BITS), strict=False))


class Trusted:
    """The networks of the setting. Raises ValueError for what is none."""

    def __init__(self, cidrs: Sequence[str]) -> None:
        self._networks = tuple(_network(cidr) for cidr in cidrs)
        self.holds = lru_cache(maxsize=4096)(self._holds)

    def _holds(self, peer: str) -> bool:
        """Whether `peer` may speak for others; who reached our unix socket may."""
        if peer == "unix":
            return True
        try:
            address = parse_address(peer)
        except ValueError:
            return False
        return any(address in network for network in self._networks)


def _network(cidr: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(cidr, strict=False)
    except ValueError as error:
        raise ValueError(f"{SETTING}: {cidr!r} is not a network such as 10.0.0.0/8") from error
