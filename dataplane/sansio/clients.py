"""Whom an address stands for, where what one client may take is bounded."""

import ipaddress
from functools import lru_cache

_OWN_BITS = 64


@lru_cache(maxsize=4096)
def client_of(address: str) -> str:
    """An IPv4 address, or an IPv6 /64: whoever has one address of those has all of them (RFC 6177 section 2).

    What is no address (a unix socket's peer) stands for itself.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    return str(ipaddress.ip_network((parsed, _OWN_BITS), strict=False))
