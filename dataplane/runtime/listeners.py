"""Listening sockets, made and kept by the supervisor: dual-stack, one per worker slot with SO_REUSEPORT.

A port is probed without SO_REUSEPORT first: otherwise a second outpost would silently share it. The kernel spreads
connections over the slots' sockets; one whose worker is being replaced keeps its queue.
"""

import errno
import socket
import struct
from array import array
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from dataplane.runtime.plan import Address, Listener, TcpAddress, UnixAddress

_BACKLOG = 4096
_SO_ATTACH_FILTER = 26
# In classic BPF (linux/filter.h), as code, jump if true, jump if not, operand: the byte of TCP's flags; of them SYN and
# ACK; a SYN alone is dropped, everything else taken whole.
_DROP_SYN = ((0x30, 0, 0, 13), (0x54, 0, 0, 0x12), (0x15, 0, 1, 0x02), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF))
_NO_IPV6 = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})


class ListenFailed(Exception):
    """An address can't be listened on; the message names it, where it was set, and why."""


def open_slots(listeners: Iterable[Listener], slots: int) -> list[list[socket.socket]]:
    """For every slot one socket per listener, in order. Raises ListenFailed."""
    opened: list[list[socket.socket]] = [[] for _ in range(slots)]
    for listener in listeners:
        try:
            address = _probed(listener.address)
            for slot in opened:
                slot.append(_listening(address, shared=True))
        except OSError as error:
            close_all(opened)
            raise _explained(error, listener.address, listener.origin) from error
    return opened


def close_all(slots: Iterable[Iterable[socket.socket]]) -> None:
    """Stop listening."""
    for slot in slots:
        for listening in slot:
            listening.close()


def turn_away(slots: Iterable[Iterable[socket.socket]]) -> None:
    """Let no connection begin any more, while those that have begun can still be accepted.

    Closing a listener resets whoever waits in its queue, and whoever comes while it is emptied. Dropping the first
    packet of new connections is gentler: the client sends it again after a second, and is refused once all is closed.
    """
    program = array("B", b"".join(struct.pack("HBBI", *each) for each in _DROP_SYN))
    address, _ = program.buffer_info()
    for slot in slots:
        for listening in slot:
            # Where the kernel has no such filters, the drain is as good as without.
            with suppress(OSError):
                listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(_DROP_SYN), address))


def queued(slot: Iterable[socket.socket]) -> int:
    """How many connections wait to be accepted; none where nobody listens any more."""
    return sum(_queued(listening) for listening in slot if listening.fileno() >= 0)


def _queued(listening: socket.socket) -> int:
    """Of a listening socket, tcpi_unacked is the length of its queue (tcp(7), linux/tcp.h)."""
    information = listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 28)
    return int(struct.unpack_from("=I", information, 24)[0])


def open_single(address: Address, origin: str) -> socket.socket:
    """One socket of our own. Raises ListenFailed."""
    try:
        match address:
            case TcpAddress():
                return _listening(address, shared=False)
            case UnixAddress():
                return _unix(address.path)
    except OSError as error:
        raise _explained(error, address, origin) from error


def _probed(address: TcpAddress) -> TcpAddress:
    """The address, with its port chosen if it was 0, when nobody else listens there.

    To have bound it says so. Nobody is let in meanwhile, who would be reset in a moment.
    """
    with _bound(address, shared=False) as probe:
        return replace(address, port=probe.getsockname()[1])


def _listening(address: TcpAddress, *, shared: bool) -> socket.socket:
    listening = _bound(address, shared=shared)
    try:
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def _bound(address: TcpAddress, *, shared: bool) -> socket.socket:
    if address.host in {"", "::"}:
        try:
            return _bound_to(socket.AF_INET6, ("::", address.port), shared=shared)
        except OSError as error:
            if error.errno not in _NO_IPV6 or address.host:
                raise
            return _bound_to(socket.AF_INET, ("0.0.0.0", address.port), shared=shared)  # noqa: S104  every address is meant
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, target = found[0]
    return _bound_to(family, (str(target[0]), int(target[1])), shared=shared)


def _bound_to(family: socket.AddressFamily, target: tuple[str, int], *, shared: bool) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(target[0] != "::"))
        # Accepted sockets inherit it.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listening.bind(target)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


def _unix(path: str) -> socket.socket:
    _remove_stale(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.bind(path)
        Path(path).chmod(0o660)
        listening.listen(_BACKLOG)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


def _remove_stale(path: str) -> None:
    """Remove a socket that nobody listens on; one that answers makes `bind` fail, as it should."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            with suppress(FileNotFoundError):
                Path(path).unlink()
        except OSError:
            return


def _explained(error: OSError, address: Address, origin: str) -> ListenFailed:
    match error.errno:
        case errno.EADDRINUSE:
            why = "another process listens there"
        case errno.EACCES | errno.EPERM:
            why = "no permission (ports below 1024 need CAP_NET_BIND_SERVICE)"
        case errno.EADDRNOTAVAIL:
            why = "this host has no such address"
        case _:
            why = error.strerror or str(error)
    return ListenFailed(f"{origin}: can't listen on {address}: {why}")
