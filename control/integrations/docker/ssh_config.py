"""What a person's own configuration of SSH (ssh_config(5)) says about a host, for connections without a chosen key.

Counted: Host, Match, Include, HostName, Port, User, IdentityFile, CertificateFile, ProxyCommand, ProxyJump,
HostKeyAlias, UserKnownHostsFile, GlobalKnownHostsFile and StrictHostKeyChecking. What the URL says goes first.
"""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paramiko

from control.integrations.model import TargetAway

DEFAULT_USER = "authentik"
_PORT = 22
# Of files that include others: as many as OpenSSH follows.
_DEPTH = 16
_IDENTITIES = ("id_ed25519", "id_ecdsa", "id_rsa")


@dataclass(frozen=True, slots=True, kw_only=True)
class SshHost:
    """Where a host is, who we are there, how it is known. `jumps` are gone through in order, as `user@host:port`."""

    name: str
    port: int = _PORT
    user: str = DEFAULT_USER
    identities: tuple[Path, ...] = ()
    certificates: tuple[Path, ...] = ()
    command: str = ""
    jumps: tuple[str, ...] = ()
    known_as: str = ""
    known_hosts: tuple[Path, ...] = ()
    strict: bool = False

    @property
    def known_name(self) -> str:
        """What it is called in known_hosts: with its port where that isn't SSH's."""
        name = self.known_as or self.name
        return name if self.port == _PORT or self.known_as else f"[{name}]:{self.port}"


def host_of(place: str, config: Path | None) -> SshHost:
    """What is known of `user@host:port` by a file, which may not be there. Raises TargetAway ("ssh_refused")."""
    name, user, port = _parts(place)
    if config is None:
        return SshHost(name=name, user=user or DEFAULT_USER, port=port or _PORT)
    try:
        found = _parsed(config, name, user, port).lookup(name)
        return _host(found, config.parent)
    except (OSError, ValueError, KeyError, paramiko.SSHException) as error:
        raise TargetAway("ssh_refused", f"{config}: {error}") from error


def _parts(place: str) -> tuple[str, str, int]:
    user, _, rest = place.rpartition("@")
    if rest.startswith("["):
        name, _, port = rest[1:].partition("]")
        return name, user, _number(port.removeprefix(":"), place)
    name, _, port = rest.partition(":") if rest.count(":") == 1 else (rest, "", "")
    return name, user, _number(port, place)


def _number(text: str, place: str) -> int:
    if text and not (text.isascii() and text.isdigit() and 0 < int(text) < 1 << 16):
        raise TargetAway("ssh_refused", f"expected a port after {place.rpartition(':')[0]}, found {text!r}")
    return int(text or 0)


def _parsed(config: Path, name: str, user: str, port: int) -> paramiko.SSHConfig:
    # The first value counts: so what the URL says stands first.
    told = [f"Host {name}", *([f"User {user}"] if user else []), *([f"Port {port}"] if port else []), "Host *"]
    return paramiko.SSHConfig.from_text("\n".join([*told, *_lines(config, _DEPTH)]))


def _lines(path: Path, depth: int) -> Iterator[str]:
    if not path.exists():
        return
    block = "Host *"
    for line in path.read_text().splitlines():
        word, _, rest = line.strip().replace("=", " ", 1).partition(" ")
        match word.lower():
            case "include" if depth:
                for each in _included(rest, path.parent):
                    yield from _lines(each, depth - 1)
                # Whatever block the other file has ended in.
                yield block
            case "host" | "match":
                block = line
                yield line
            case _:
                yield line


def _included(patterns: str, folder: Path) -> Iterator[Path]:
    for pattern in shlex.split(patterns):
        path = Path(pattern).expanduser()
        base = Path(path.anchor) if path.is_absolute() else folder
        yield from sorted(base.glob(str(path.relative_to(path.anchor))))


def _host(found: Mapping[str, Any], folder: Path) -> SshHost:
    named = tuple(Path(each).expanduser() for each in found.get("identityfile", ()))
    usual = tuple(path for path in (folder / name for name in _IDENTITIES) if path.exists())
    jump = str(found.get("proxyjump") or "none")
    return SshHost(
        name=str(found["hostname"]),
        port=int(found.get("port", _PORT)),
        user=str(found.get("user", DEFAULT_USER)),
        identities=named or usual,
        certificates=_paths(found.get("certificatefile"), ()),
        command=str(found.get("proxycommand") or ""),
        jumps=() if jump.lower() == "none" else tuple(each.strip() for each in jump.split(",")),
        known_as=str(found.get("hostkeyalias", "")),
        known_hosts=(
            *_paths(found.get("userknownhostsfile"), (folder / "known_hosts", folder / "known_hosts2")),
            *_paths(found.get("globalknownhostsfile"), (Path("/etc/ssh/ssh_known_hosts"),)),
        ),
        strict=str(found.get("stricthostkeychecking", "")).lower() == "yes",
    )


def _paths(value: str | None, default: tuple[Path, ...]) -> tuple[Path, ...]:
    return default if value is None else tuple(Path(each).expanduser() for each in shlex.split(value))
