"""How to an engine: over the local socket, TCP (with TLS where a certificate is named), or SSH.

All who talk to one begin here. Ends in time, and tells what is wrong by one of the codes of TargetAway.
"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import paramiko

from control.fleet.engine_urls import EngineScheme, EngineUrl, NotAnEngineUrl, parse_engine_url
from control.integrations.docker.dialing import Dialer, TcpDialer, UnixDialer, cutting
from control.integrations.docker.engine import Engine
from control.integrations.docker.limits import LIMITS, Limits
from control.integrations.docker.refusals import away
from control.integrations.docker.ssh import SshDialer
from control.integrations.docker.tls import client_context
from control.integrations.model import TargetAway

CODES = (
    "engine_away",
    "tls_refused",
    "ssh_refused",
    "host_key_changed",
    "not_an_engine",
    "not_allowed",
    "bad_key",
)
# Where engines listen without TLS, by convention.
_PORT = 2375


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Where an engine is and what it is shown. All certificates and keys as PEM.

    `ca` verifies the engine; `certificate` with `key` is shown to it (over SSH, `key` signs in). `host_key` is the one
    pinned on first use (`type base64`), `ssh_config` the file that counts over SSH without a key.
    """

    url: str
    ca: str = ""
    certificate: str = ""
    key: str = field(default="", repr=False)
    host_key: str = ""
    ssh_config: Path | None = None


@contextmanager
def connect(connection: Connection, limits: Limits = LIMITS) -> Iterator[Engine]:
    """A connected engine. Raises TargetAway: one of CODES; with "host_key_changed", the detail is the key it showed."""
    dialer = _dialer(connection, limits)
    try:
        engine = Engine(dialer, limits, _host_key(dialer, connection.host_key, limits))
    except BaseException:
        dialer.close()
        raise
    try:
        yield engine
    finally:
        engine.close()


def _dialer(connection: Connection, limits: Limits) -> Dialer:
    try:
        url = parse_engine_url(connection.url)
    except NotAnEngineUrl as error:
        raise TargetAway("engine_away", f"{connection.url!r}: {error}") from error
    match url.scheme:
        case EngineScheme.UNIX:
            return UnixDialer(url.path)
        case EngineScheme.TCP:
            return TcpDialer(url.host, url.port or _PORT, _context(connection))
        case EngineScheme.SSH:
            return SshDialer(_place(url), connection.key, connection.ssh_config, limits)


def _context(connection: Connection) -> ssl.SSLContext | None:
    if not (connection.ca or connection.certificate):
        return None
    return client_context(connection.ca, connection.certificate, connection.key)


def _place(url: EngineUrl) -> str:
    return str(url).removeprefix("ssh://")


def _host_key(dialer: Dialer, pinned: str, limits: Limits) -> str:
    if not isinstance(dialer, SshDialer):
        return ""
    # A host may be reached through others, each of which takes its time.
    within = 2 * limits.connect
    try:
        with cutting(dialer, within):
            return dialer.connect(pinned)
    except (OSError, EOFError, paramiko.SSHException) as error:
        raise away("SSH", error, within) from error
