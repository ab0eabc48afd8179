"""Whether addresses are free, asked before anything starts: a child that can't listen would fail again and again."""

import errno
import socket
from collections.abc import Mapping
from contextlib import closing


class Taken(Exception):
    """Another process listens there, or the address isn't this machine's."""

    def __init__(self, option: str, address: str, reason: str) -> None:
        super().__init__(f"{option}: can't listen on {address} ({reason}); stop what listens there or name another")


def expect_free(wanted: Mapping[str, tuple[str, int]]) -> None:
    """Raise Taken for the first (host, port) that can't be listened on; an empty host is every address."""
    for option, (host, port) in wanted.items():
        for family in _families(host):
            with closing(socket.socket(family)) as probe:
                _bind(probe, (host, port), option)


def _families(host: str) -> tuple[socket.AddressFamily, ...]:
    """Which kinds of address a listener there uses: every address means both, where the machine has both."""
    if host:
        return (socket.AF_INET6 if ":" in host else socket.AF_INET,)
    return (socket.AF_INET, socket.AF_INET6) if socket.has_dualstack_ipv6() else (socket.AF_INET,)


def _bind(probe: socket.socket, address: tuple[str, int], option: str) -> None:
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if probe.family == socket.AF_INET6:
        probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        probe.bind(address)
    except OSError as error:
        host, port = address
        if not host and probe.family == socket.AF_INET6 and error.errno != errno.EADDRINUSE:
            return  # IPv6 is switched off: every address means IPv4 alone
        raise Taken(option, f"{host}:{port}", error.strerror or "unusable") from error
