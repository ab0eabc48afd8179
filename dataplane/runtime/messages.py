"""What the supervisor and a worker say to each other: frozen messages, and the table of their kinds.

A question carries a serial that its answer repeats. Resources travel as the bytes that control sent.
"""

from dataclasses import dataclass, field

from dataplane.gate import Event
from dataplane.link.held import HeldResource
from dataplane.link.target import Credentials
from dataplane.runtime.plan import TcpAddress
from dataplane.runtime.server import Snapshot
from dataplane.verifier import Lesson


@dataclass(frozen=True, slots=True, kw_only=True)
class InheritedListener:
    """A listening socket by its descriptor."""

    descriptor: int
    tls: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """First to every worker: what it is, what it serves on, and how often (seconds) it says what happened.

    `verifier_key` is the key of the hashes by which all workers keep what control said of credentials. `certificate` is
    the chain and key (PEM) that all show to names without one of their own; without it each makes one.
    """

    slot: int
    type: str
    version: str
    listeners: tuple[InheritedListener, ...]
    control_socket: str
    trusted_cidrs: tuple[str, ...] | None
    service_hosts: tuple[str, ...]
    browser_url: str
    log_level: str
    passage: tuple[TcpAddress, ...] = ()
    tell_every: float = 60.0
    verifier_key: bytes = field(default=b"", repr=False)
    certificate: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connect:
    """How to call control from now on; `ahead` is its clock minus the monotonic one, where that is known."""

    credentials: Credentials
    ahead: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepare:
    """Make ready what is committed, with this change."""

    serial: int
    changed: tuple[HeldResource, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """Serve by what was prepared last."""

    serial: int


@dataclass(frozen=True, slots=True)
class Serve:
    """Accept connections from now on; until then they wait in the sockets' queues."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrape:
    """Say what you have counted."""

    serial: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """Say that you live."""

    serial: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """Serve who waits, finish what is in flight within so many seconds, and end."""

    serial: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeDirectory:
    """Take a part of the directory: entries as control sent them, and keys that are gone.

    A whole copy `begins` with its first part and is `complete` with its last; what is no part of one is a change.
    """

    serial: int
    entries: tuple[bytes, ...] = field(repr=False)
    removed: tuple[str, ...]
    begins: bool
    complete: bool


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker can take a configuration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The change is ready, but for the refused keys, each with its reason."""

    serial: int
    refused: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PrepareFailed:
    """The worker could not prepare at all: a bug, told so that no other worker commits."""

    serial: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """The prepared configuration is served."""

    serial: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scraped:
    """What was counted."""

    serial: int
    snapshot: Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Pong:
    """It lives."""

    serial: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryTaken:
    """The part is taken, or was not, for a `reason`."""

    serial: int
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draining:
    """It has begun: the listening sockets are the worker's to close."""

    serial: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded:
    """A person has signed out here; control is to be told."""

    provider: str
    session: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """For the audit trail; control is to be told."""

    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What control said of credentials at one worker; it goes to all others as it is."""

    lesson: Lesson


@dataclass(frozen=True, slots=True)
class DirectoryWanted:
    """A worker needs the whole directory."""


News = SessionEnded | Happened
Said = News | Learned | DirectoryWanted
Answer = Prepared | PrepareFailed | Committed | Scraped | Pong | DirectoryTaken | Draining
Question = Prepare | Commit | Scrape | Ping | TakeDirectory | Drain
Message = Setup | Connect | Question | Serve | Ready | Answer | Said

# The position is the kind on the wire; both ends are of one version, so it needs no stability.
KINDS: tuple[type[Message], ...] = (
    Setup,
    Connect,
    Prepare,
    Commit,
    Serve,
    Scrape,
    Ping,
    Drain,
    Ready,
    Prepared,
    PrepareFailed,
    Committed,
    Scraped,
    Pong,
    Draining,
    SessionEnded,
    Happened,
    Learned,
    TakeDirectory,
    DirectoryTaken,
    DirectoryWanted,
)
