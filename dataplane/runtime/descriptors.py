"""File descriptors: as many as this process may have, and how many connections that makes room for.

The usual soft limit of 1,024 is there for programs that use select(2), which none of ours does.
"""

import logging
import resource

ENOUGH = 65536
# For what is no connection of a client: listeners, the pipe, certificates, libraries.
_OWN = 512
_EACH = {"proxy": 2}
"""For a connection: the client's, and the application's that it is passed on to."""
log = logging.getLogger("dataplane.supervisor")


def make_room(type_: str) -> None:
    """Raise the limit for the workers of an outpost, which inherit it and bound their connections by it."""
    descriptors = raise_limit()
    if descriptors < ENOUGH:
        fields = {"descriptors": descriptors, "connections_per_worker": connections_within(descriptors, type_)}
        log.info("the limit of open files bounds the connections (RLIMIT_NOFILE)", extra=fields)


def raise_limit() -> int:
    """Raise the soft limit as far as it goes or is of use; what it is now. Child processes inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    possible = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
    if soft == resource.RLIM_INFINITY or soft >= possible:
        return ENOUGH if soft == resource.RLIM_INFINITY else soft
    resource.setrlimit(resource.RLIMIT_NOFILE, (possible, hard))
    return possible


def connections_within(descriptors: int, type_: str) -> int:
    """How many connections to an outpost of a type these leave room for."""
    return max(descriptors // 2, descriptors - _OWN) // _EACH.get(type_, 1)


def connection_bound(type_: str) -> int:
    """How many connections this process has room for, which serves an outpost of a type."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return connections_within(ENOUGH if soft == resource.RLIM_INFINITY else soft, type_)
