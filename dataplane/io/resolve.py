"""Names to addresses, looked up anew whenever somebody connects.

One look-up at a time for a name, in threads of their own: a resolver that hangs costs those alone who want that name. A
good answer is used for a few seconds, and for some minutes while the resolver fails: a resolver that is away is no
reason to lose applications that are there. "No such name" is an answer, not a failure, and counts at once.
"""

import socket
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

import gevent
from gevent import Greenlet
from gevent.monkey import get_original
from gevent.threadpool import ThreadPool

LookUp = Callable[[str], Iterable[str]]
"""The addresses of a name as text. Raises OSError: socket.gaierror with EAI_NONAME where there is no such name."""
_NO_SUCH_NAME = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}
_THREADS = 32
"""They only wait: a few names whose servers say nothing, for half a minute each, leave enough for all others."""
_getaddrinfo: Any = get_original("socket", "getaddrinfo")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolverLimits:
    """What the resolver may take, and for how long an answer counts; times in seconds."""

    fresh: float = 5.0
    """A good answer is used without asking again."""
    pause: float = 1.0
    """After a failure, before it is asked again."""
    stale: float = 300.0
    """The last good answer is used while the resolver fails."""
    impatience: float = 1.0
    """How long somebody waits for a new answer who could use the last good one."""
    shunned: float = 30.0
    """An address that could not be reached comes after the others."""
    names: int = 256
    """Remembered; the one that was wanted longest ago goes."""
    addresses: int = 16
    """Of one name; more are left out."""


@dataclass(slots=True)
class ResolverCounts:
    """What happened so far; plain integers, read by whoever exports them."""

    look_ups: int = 0
    failures: int = 0
    kept: int = 0
    """The last good answer was used in place of a new one."""


@dataclass(slots=True)
class _Name:
    """What is known of one."""

    addresses: tuple[str, ...] = ()
    since: float = float("-inf")
    """When the addresses were good."""
    again: float = float("-inf")
    """When to ask again."""
    error: OSError | None = None
    asking: "Greenlet[..., None] | None" = None
    shunned: dict[str, float] = field(default_factory=dict)


def system_look_up(name: str) -> tuple[str, ...]:
    """Ask the system, blocking: in its order of preference (RFC 6724)."""
    found = _getaddrinfo(name.encode("ascii"), None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(each[4][0] for each in found))


class Resolver:
    """The names of a process. `look_up` is run in threads."""

    def __init__(
        self,
        look_up: LookUp = system_look_up,
        limits: ResolverLimits | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look_up = look_up
        self._limits = limits or ResolverLimits()
        self._now = now
        self._names: OrderedDict[str, _Name] = OrderedDict()
        self._threads: ThreadPool | None = None
        self.counts = ResolverCounts()

    def get_addresses(self, name: str, timeout: float) -> tuple[str, ...]:
        """In the order in which they are to be tried, at least one. Raises OSError, TimeoutError among them."""
        known = self._remember(name)
        if self._now() >= known.again:
            self._renew(name, known, timeout)
        if self._is_usable(known):
            return _ordered(known, self._now())
        error = known.error
        if error is None or known.asking is not None:
            raise TimeoutError(f"no address of {name} in time")
        raise type(error)(*error.args) from error  # anew, since each raise adds to what an exception drags along

    def shun(self, name: str, address: str) -> None:
        """Note that an address of the name could not be reached, or not as soon as another."""
        known = self._names.get(name)
        if known is not None and address in known.addresses:
            known.shunned[address] = self._now() + self._limits.shunned

    def _remember(self, name: str) -> _Name:
        known = self._names.get(name)
        if known is None:
            known = self._names[name] = _Name()
            if len(self._names) > self._limits.names:
                self._names.popitem(last=False)
        else:
            self._names.move_to_end(name)
        return known

    def _renew(self, name: str, known: _Name, timeout: float) -> None:
        """Wait for a new answer: whoever has the last good one not for long, and only if nobody is asking already."""
        usable = self._is_usable(known)
        if known.asking is None:
            self.counts.look_ups += 1
            known.asking = gevent.spawn(self._learn, name, known)
        elif usable:
            return
        known.asking.join(min(timeout, self._limits.impatience) if usable else timeout)
        if usable and known.asking is not None:
            self.counts.kept += 1

    def _learn(self, name: str, known: _Name) -> None:
        if self._threads is None:
            self._threads = ThreadPool(_THREADS)
        try:
            found = self._threads.apply(_attempt, (self._look_up, name))
        finally:
            known.asking = None
        now = self._now()
        if isinstance(found, OSError):
            self.counts.failures += 1
            self._miss(known, found, now)
        else:
            known.addresses, known.since, known.error = found[: self._limits.addresses], now, None
            known.again = now + self._limits.fresh
            known.shunned = {address: until for address, until in known.shunned.items() if address in found}

    def _miss(self, known: _Name, error: OSError, now: float) -> None:
        known.error = error
        known.again = now + self._limits.pause
        if _is_final(error) or not self._is_usable(known):
            known.addresses = ()
        else:
            self.counts.kept += 1

    def _is_usable(self, known: _Name) -> bool:
        return bool(known.addresses) and self._now() - known.since <= self._limits.stale


def _attempt(look_up: LookUp, name: str) -> tuple[str, ...] | OSError:
    """In a thread. What is not raised there is not printed there either."""
    try:
        found = tuple(look_up(name))
    except OSError as error:
        return error
    except UnicodeError:
        return socket.gaierror(socket.EAI_NONAME, "this can't be a name")
    return found or socket.gaierror(socket.EAI_NONAME, "the name has no address")


def _is_final(error: OSError) -> bool:
    return isinstance(error, socket.gaierror) and error.errno in _NO_SUCH_NAME


def _ordered(known: _Name, now: float) -> tuple[str, ...]:
    """Families in turn, beginning with that of the first (RFC 8305 section 4); those that were shunned come last."""
    first = ":" in known.addresses[0]
    ones = [address for address in known.addresses if (":" in address) == first]
    others = [address for address in known.addresses if (":" in address) != first]
    turns = (address for pair in zip_longest(ones, others) for address in pair if address is not None)
    return tuple(sorted(turns, key=lambda address: known.shunned.get(address, now) > now))


RESOLVER = Resolver()
"""The one of this process."""
