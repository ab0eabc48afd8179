"""Whom an address stands for, where what one client may take is bounded."""

import ipaddress
from functools import lru_cache

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
