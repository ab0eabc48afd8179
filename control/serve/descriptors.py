"""File descriptors for all processes of this machine: the parent raises its limit and they inherit it.

The usual soft limit of 1,024 is there for programs that use select(2) on many sockets, which none of ours does.
"""

import resource

ENOUGH = 65536


def raise_limit() -> None:
    """Raise the soft limit as far as it goes or is of use."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    possible = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < possible:
        resource.setrlimit(resource.RLIMIT_NOFILE, (possible, hard))
