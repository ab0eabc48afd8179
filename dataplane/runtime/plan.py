"""What one outpost process is to do: frozen values that the settings make and the supervisor carries out."""

from dataclasses import dataclass
from pathlib import Path

from dataplane.link.events import MAX_BYTES
from dataplane.link.target import Instance, Target


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpAddress:
    """A TCP address; an empty host is every address of both families."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host or '*'}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A unix socket."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


Address = TcpAddress | UnixAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """An address that workers serve. `origin` is the flag or variable that named it, for error messages."""

    address: TcpAddress
    tls: bool
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything an outpost process is told from outside.

    `target` is None for a front door without applications; `control_socket` is where unknown hosts are passed on to
    (empty: nowhere); `passage` is where a front door passes TLS for control's link on to (empty: nowhere);
    `trusted_cidrs` None means the protocol's default; `service_hosts` are names that proxies call the outpost itself
    by. `tell_every` (seconds) is how often workers say what happened, `event_bytes` what of it may wait on disk.
    """

    type: str
    version: str
    build: str
    state: Path
    workers: int
    listeners: tuple[Listener, ...]
    metrics: tuple[Address, ...]
    target: Target | None
    control_socket: str
    trusted_cidrs: tuple[str, ...] | None
    service_hosts: tuple[str, ...]
    browser_url: str
    log_level: str
    passage: tuple[TcpAddress, ...] = ()
    tell_every: float = 60.0
    event_bytes: int = MAX_BYTES

    def introduce(self, uid: str, hostname: str, now: float) -> Instance:
        """The instance of this id, as it tells of itself; begun now."""
        return Instance(
            uid=uid,
            type=self.type,
            hostname=hostname,
            version=self.version,
            build=self.build,
            started=now,
        )
