"""What a peer may take of a server of connections, and how often it tried to take more."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on what a peer may take; times in seconds."""

    connections: int = 8192
    """Open at once, of all listeners together."""
    connections_per_peer: int = 4096
    """Open at once from one address, or one IPv6 /64; a reverse proxy is one address."""
    handshake: float = 10.0
    """TLS, from accept to finished."""
    first: float | None = None
    """To the first byte of the first message; None for as long as a message may take."""
    message: float = 10.0
    """From the first byte of a message's head to its last."""
    read: float = 30.0
    """Between two reads of a body."""
    write: float = 30.0
    """Without any progress of a write."""
    unsent: int | None = None
    """Bytes that peers have not read, of all connections together; beyond that the one that has most is cut."""
    idle: float = 120.0
    """Between messages."""
    linger: float = 1.0
    """For the peer to read our last word before the socket closes."""
    tick: float = 0.5
    """How often deadlines are looked at."""
    settle: float = 0.2
    """In a drain, for handshakes of TCP that have begun: what comes of them is still accepted."""
    parting: float = 1.0
    """In a drain, since its last message, for one more: a client in full swing is told to close and not cut short."""


@dataclass(slots=True)
class Counts:
    """What happened so far; plain integers, read by whoever exports them."""

    accepted: int = 0
    limits: Counter[str] = field(default_factory=Counter)
