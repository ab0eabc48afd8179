"""Engines over SSH: a session per connection, in each of which the remote side runs `docker system dial-stdio`.

A host key is pinned by whoever called on first use; another one is refused from then on, and so is one that known_hosts
contradicts. Hosts on the way (ProxyJump) only carry what is sealed end to end: they are held to known_hosts alone.
"""

import contextlib
import logging
import shlex
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import paramiko

from control.integrations.docker.dialing import Sockets, Wire
from control.integrations.docker.limits import Limits
from control.integrations.docker.ssh_config import SshHost, host_of
from control.integrations.docker.ssh_keys import host_key_text, host_key_types, key_in, key_of
from control.integrations.model import TargetAway

COMMAND = "docker system dial-stdio"
# Engines are asked again and again: what ends a connection is told by what is raised, not in the log besides.
_LOG = "control.integrations.docker.ssh.transport"
logging.getLogger(_LOG).propagate = False
logging.getLogger(_LOG).addHandler(logging.NullHandler())
_KEEPALIVE = 15
_WORDS = 2000


class SshDialer:
    """An engine at `user@host:port`; with a key from PEM text, else with what the file `config` says of the host."""

    # Only what HTTP calls it; docker-py wants a port.
    host = "localhost:2375"

    def __init__(self, place: str, key: str, config: Path | None, limits: Limits) -> None:
        self._place, self._limits = place, limits
        self._config = None if key else config
        self._key = key_of(key) if key else None
        self._sockets = Sockets()
        self._open: list[Callable[[], None]] = []
        self._transport: paramiko.Transport | None = None
        self._channel: paramiko.Channel | None = None

    def connect(self, pinned: str) -> str:
        """Sign in, and return the host's key. Raises TargetAway, and OSError where the host isn't reached."""
        host = host_of(self._place, self._config)
        self._transport = self._sign_in(host, pinned, self._way_to(host, 0))
        return host_key_text(self._transport.get_remote_server_key())

    def dial(self, within: float) -> Wire:
        """As in Dialer: one more session."""
        if self._transport is None:
            raise TargetAway("ssh_refused", "not signed in")
        with self._telling(COMMAND):
            channel = self._transport.open_session(timeout=within)
            channel.settimeout(within)
            channel.exec_command(COMMAND)
        self._channel = channel
        return channel

    def cut(self) -> None:
        """As in Dialer."""
        self._sockets.cut()

    def words(self) -> str:
        """As in Dialer: what the remote command said, if it has ended."""
        channel = self._channel
        if channel is None or not channel.status_event.wait(1.0):
            return ""
        said = channel.recv_stderr(_WORDS).decode(errors="replace") if channel.recv_stderr_ready() else ""
        return said.strip() or f"{COMMAND}: ended with {channel.exit_status}"

    def close(self) -> None:
        """As in Dialer."""
        while self._open:
            self._open.pop()()

    def _way_to(self, host: SshHost, depth: int) -> Wire:
        within = self._limits.connect
        if host.jumps:
            return self._jump(host, depth)
        if host.command:
            return self._sockets.add(self._command(host.command))
        return self._sockets.add(socket.create_connection((host.name, host.port), within))

    def _jump(self, host: SshHost, depth: int) -> Wire:
        # As OpenSSH: each host is reached from the one before it; the first one in its own way.
        if depth >= 8:  # noqa: PLR2004 - nobody has as many
            raise TargetAway("ssh_refused", f"ProxyJump: {host.name} is reached through itself")
        before: paramiko.Transport | None = None
        hops = [host_of(each, self._config) for each in host.jumps]
        for hop in hops:
            way = self._through(before, hop) if before else self._way_to(hop, depth + 1)
            before = self._sign_in(hop, "", way)
        if before is None:
            raise TargetAway("ssh_refused", "ProxyJump: expected a host")
        return self._through(before, host)

    def _through(self, before: paramiko.Transport, host: SshHost) -> Wire:
        place, within = (host.name, host.port), self._limits.connect
        with self._telling(f"ProxyJump to {host.name}"):
            return before.open_channel("direct-tcpip", place, ("127.0.0.1", 0), timeout=within)

    def _command(self, command: str) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                end = theirs.fileno()
                process = subprocess.Popen(shlex.split(command), stdin=end, stdout=end, stderr=subprocess.DEVNULL)  # noqa: S603 - the operator's file says so
            except (OSError, ValueError) as error:
                ours.close()
                raise TargetAway("ssh_refused", f"ProxyCommand {command}: {error}") from error
        self._open.append(lambda: _end(process))
        return ours

    def _sign_in(self, host: SshHost, pinned: str, way: Wire) -> paramiko.Transport:
        with self._telling(f"{host.user}@{host.name}"):
            transport = paramiko.Transport(way)
            self._open.append(lambda: _hang_up(transport, way))
            transport.set_log_channel(_LOG)
            transport.banner_timeout = transport.auth_timeout = self._limits.connect
            known = _known(host, pinned)
            _prefer(transport, known)
            transport.start_client(timeout=self._limits.connect)
            _check(transport.get_remote_server_key(), host, known)
            self._authenticate(transport, host)
        transport.set_keepalive(_KEEPALIVE)
        return transport

    @contextlib.contextmanager
    def _telling(self, what: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        except (paramiko.SSHException, EOFError) as error:
            # Time-outs of paramiko have no class of their own.
            is_late = time.monotonic() - began >= self._limits.connect
            code, words = ("engine_away", "no answer in time") if is_late else ("ssh_refused", str(error))
            raise TargetAway(code, f"{what}: {words or 'ended the connection'}") from error

    def _authenticate(self, transport: paramiko.Transport, host: SshHost) -> None:
        keys = (
            [self._key] if self._key else [key_in(path, host.certificates) for path in host.identities if path.exists()]
        )
        if not keys:
            raise TargetAway("ssh_refused", f"{host.user}@{host.name}: no key to sign in with")
        for key in keys[:-1]:
            with contextlib.suppress(paramiko.AuthenticationException):
                transport.auth_publickey(host.user, key)
                return
        transport.auth_publickey(host.user, keys[-1])


def _known(host: SshHost, pinned: str) -> tuple[str, ...]:
    """The keys that the host may show, as text; none where any may do."""
    if pinned:
        return (pinned,)
    found: list[str] = []
    for path in host.known_hosts:
        if path.is_file():
            entries: Mapping[str, paramiko.PKey] = paramiko.HostKeys(str(path)).lookup(host.known_name) or {}
            found += [host_key_text(key) for key in entries.values()]
    return tuple(found)


def _prefer(transport: paramiko.Transport, known: tuple[str, ...]) -> None:
    options = transport.get_security_options()
    usual = tuple(options.key_types)
    wanted = [each for key in known for each in host_key_types(key.partition(" ")[0]) if each in usual]
    # The others stay: a host that has changed its key is to be told from one that doesn't speak SSH.
    options.key_types = tuple(dict.fromkeys([*wanted, *usual]))


def _check(key: paramiko.PKey, host: SshHost, known: tuple[str, ...]) -> None:
    shown = host_key_text(key)
    if known and shown not in known:
        raise TargetAway("host_key_changed", shown)
    if not known and host.strict:
        raise TargetAway("ssh_refused", f"StrictHostKeyChecking: {host.known_name} is in no file of known hosts")


def _hang_up(transport: paramiko.Transport, way: Wire) -> None:
    transport.close()
    way.close()
    transport.join(5.0)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(2.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(2.0)
