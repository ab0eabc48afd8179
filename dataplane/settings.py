"""What an outpost is told by its command line and environment, read once and checked whole.

`read` is pure but for `file://` values. A value that can't be used is SettingsRefused with one line that names the
variable or flag, the value (never a secret one) and what was expected.
"""

import argparse
import ipaddress
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeVar
from urllib.parse import urlsplit

from dataplane.link.events import MAX_BYTES
from dataplane.link.target import Target
from dataplane.runtime.logs import LEVELS
from dataplane.runtime.plan import Address, Listener, Plan, TcpAddress, UnixAddress

SERVED = ("proxy", "ldap")
LATER = ("radius", "rac")
DEFAULT_STATE = "/var/lib/garrison"
_PORTS = {"http": 9000, "https": 9443, "ldap": 3389, "ldaps": 6636, "metrics": 9300}
# A plain one and one of TLS for each type.
_LISTENERS = {"proxy": ("http", "https"), "ldap": ("ldap", "ldaps")}
# A directory would be held by each of them.
_SINGLE = frozenset({"ldap"})
_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off", ""})
_ALIASES = {"warn": "warning"}
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_MAX_WORKERS = 256
_MAX_PORT = 65535
_MAX_INTERVAL = 3600
_MAX_MEBIBYTES = 4096

ValueT = TypeVar("ValueT")


class SettingsRefused(Exception):
    """A setting can't be used; the message is for whoever set it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Healthcheck:
    """Ask the outpost on this host whether it lives."""

    addresses: tuple[Address, ...]


def read(arguments: Sequence[str], environment: Mapping[str, str], version: str) -> Plan | Healthcheck:
    """What to do. Raises SettingsRefused."""
    flags = _parser(version).parse_args(arguments)
    values = _Environment(environment)
    if flags.command == "healthcheck":
        return Healthcheck(addresses=_metrics(flags, values))
    if flags.command in LATER:
        served = ", ".join(SERVED)
        raise SettingsRefused(f"type {flags.command}: not served by this version (served: {served})")
    return _plan(flags, values, version)


class _Parser(argparse.ArgumentParser):
    """argparse with one line instead of a usage text and an exit."""

    def error(self, message: str) -> NoReturn:
        raise SettingsRefused(message)


def _parser(version: str) -> argparse.ArgumentParser:
    parser = _Parser(prog="garrison-outpost", description="Serve a protocol next to the applications it guards.")
    parser.add_argument("--version", action="version", version=f"garrison-outpost {version}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="TYPE")
    for name in SERVED:
        _add_server(commands.add_parser(name, help=f"serve the {name} protocol", allow_abbrev=False), name)
    for name in LATER:
        # Whatever flags such a type may have, the answer is that it isn't served.
        commands.add_parser(name, help="not served by this version", prefix_chars="\0").add_argument("rest", nargs="*")
    healthcheck = commands.add_parser("healthcheck", help="ask the outpost on this host", allow_abbrev=False)
    healthcheck.add_argument("--metrics", metavar="ADDRESS")
    return parser


def _add_server(parser: argparse.ArgumentParser, name: str) -> None:
    plain, tls = _LISTENERS[name]
    workers = "1" if name in _SINGLE else "the number of cores"
    parser.add_argument("--state", metavar="DIR", default=DEFAULT_STATE, help="state folder (%(default)s)")
    parser.add_argument("--workers", metavar="N", help=f"worker processes ({workers})")
    parser.add_argument(f"--{plain}", metavar="HOST:PORT", help=f"plain listener (port {_PORTS[plain]})")
    parser.add_argument(f"--{tls}", metavar="HOST:PORT", help=f"TLS listener (port {_PORTS[tls]})")
    parser.add_argument("--metrics", metavar="HOST:PORT|unix:/PATH", help="metrics and health (port 9300)")


class _Environment:
    """Variables with `file://` and `env://` resolved; an empty one counts as unset."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def find(self, name: str) -> str | None:
        """The value, or None. Raises SettingsRefused."""
        value = self._environment.get(name, "")
        if value.startswith("file://"):
            value = self._from_file(name, value.removeprefix("file://"))
        elif value.startswith("env://"):
            value = self._from_variable(name, value.removeprefix("env://"))
        return value.strip() or None

    def parse(self, name: str, parser: Callable[[str], ValueT], default: ValueT) -> ValueT:
        """The parsed value, or the default. Raises SettingsRefused."""
        value = self.find(name)
        return default if value is None else _parsed(name, value, parser)

    def _from_file(self, name: str, reference: str) -> str:
        path, has_default, default = reference.partition("?")
        try:
            return Path(path).read_text("utf-8")
        except (OSError, UnicodeError) as error:
            if has_default:
                return default
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise SettingsRefused(f"{name}: file://{path} can't be read: {why}") from error

    def _from_variable(self, name: str, reference: str) -> str:
        other, has_default, default = reference.partition("?")
        value = self._environment.get(other)
        if value is None and not has_default:
            raise SettingsRefused(f"{name}: env://{other} names a variable that is not set")
        return default if value is None else value


def _parsed(name: str, value: str, parser: Callable[[str], ValueT]) -> ValueT:
    """The parsed value; a ValueError's text is the expectation."""
    try:
        return parser(value)
    except ValueError as error:
        raise SettingsRefused(f"{name}: {value!r}: expected {error}") from error


def _plan(flags: argparse.Namespace, values: _Environment, version: str) -> Plan:
    plain, tls = _LISTENERS[flags.command]
    listeners = (*_listeners(plain, flags, values, tls=False), *_listeners(tls, flags, values, tls=True))
    control_socket = values.parse("GARRISON_CONTROL_SOCKET", _absolute, "")
    return Plan(
        type=flags.command,
        version=version,
        build=values.find("GIT_BUILD_HASH") or "",
        state=Path(flags.state),
        workers=_workers(flags.workers, flags.command),
        listeners=listeners,
        metrics=_metrics(flags, values),
        target=_target(values),
        control_socket=control_socket,
        trusted_cidrs=values.parse("AUTHENTIK_LISTEN__TRUSTED_PROXY_CIDRS", _cidrs, None),
        service_hosts=values.parse("GARRISON_SERVICE_HOSTS", _hosts, ()),
        browser_url=values.parse("AUTHENTIK_HOST_BROWSER", _url, ""),
        log_level=values.parse("AUTHENTIK_LOG_LEVEL", _level, "info"),
        # Control's own front door alone may lead to the link: elsewhere its address is nothing to call from outside.
        passage=_link(values) if control_socket else (),
        tell_every=values.parse("GARRISON_EVENT_INTERVAL", _interval, 60.0),
        event_bytes=values.parse("GARRISON_EVENT_BUFFER", _mebibytes, MAX_BYTES),
    )


def _workers(text: str | None, outpost_type: str) -> int:
    if text is not None:
        return _parsed("--workers", text, _worker_count)
    return 1 if outpost_type in _SINGLE else len(os.sched_getaffinity(0))


def _worker_count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= _MAX_WORKERS:
        raise ValueError(f"a number from 1 to {_MAX_WORKERS}")
    return int(text)


def _target(values: _Environment) -> Target | None:
    token = values.find("AUTHENTIK_TOKEN")
    control = values.parse("GARRISON_CONTROL_SOCKET", _absolute, "")
    url = values.parse("AUTHENTIK_HOST", _url, "")
    insecure = values.parse("AUTHENTIK_INSECURE", _boolean, default=None)
    link = tuple(str(each) for each in _link(values))
    if token is None:
        if control:
            return None
        raise SettingsRefused("AUTHENTIK_TOKEN: not set: expected the outpost's token, from its page in the admin UI")
    if not url and not control:
        raise SettingsRefused("AUTHENTIK_HOST: not set: expected the URL of control, as in https://auth.example.com")
    return Target(url=url, token=token, insecure=insecure, socket=control, link=link)


def _link(values: _Environment) -> tuple[TcpAddress, ...]:
    return values.parse("GARRISON_LINK", _endpoints, ())


def _listeners(kind: str, flags: argparse.Namespace, values: _Environment, *, tls: bool) -> tuple[Listener, ...]:
    origin, addresses = _addresses(kind, flags, values, _tcp_addresses)
    return tuple(Listener(address=each, tls=tls, origin=origin) for each in addresses)


def _metrics(flags: argparse.Namespace, values: _Environment) -> tuple[Address, ...]:
    return _addresses("metrics", flags, values, _any_addresses)[1]


AddressT = TypeVar("AddressT", bound=Address)


def _addresses(
    kind: str,
    flags: argparse.Namespace,
    values: _Environment,
    parser: Callable[[str], tuple[AddressT | TcpAddress, ...]],
) -> tuple[str, tuple[AddressT | TcpAddress, ...]]:
    """Where a setting came from, and its addresses: the flag, nothing if another flag is given, the variable."""
    flag = getattr(flags, kind, None)
    if flag is not None:
        return f"--{kind}", _parsed(f"--{kind}", flag, parser)
    if any(getattr(flags, other, None) is not None for other in _PORTS):
        return f"--{kind}", ()
    variable = f"AUTHENTIK_LISTEN__{kind.upper()}"
    return variable, values.parse(variable, parser, (TcpAddress(host="", port=_PORTS[kind]),))


def _tcp_addresses(text: str) -> tuple[TcpAddress, ...]:
    return tuple(_tcp_address(each.strip()) for each in text.split(","))


def _any_addresses(text: str) -> tuple[Address, ...]:
    return tuple(_any_address(each.strip()) for each in text.split(","))


def _any_address(text: str) -> Address:
    if text.startswith("unix:"):
        return UnixAddress(_absolute(text.removeprefix("unix:").removeprefix("//")))
    return _tcp_address(text)


def _tcp_address(text: str) -> TcpAddress:
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > _MAX_PORT:
        raise ValueError("HOST:PORT, as in 127.0.0.1:9000, [::1]:9000 or :9000")
    if ":" in host and not bracketed:
        raise ValueError("an IPv6 address in brackets, as in [::1]:9000")
    return TcpAddress(host=host.strip("[]"), port=int(port))


def _url(text: str) -> str:
    """A base URL without its trailing slash."""
    expected = "a URL like https://auth.example.com, without credentials, query or fragment"
    url = urlsplit(text)
    if url.scheme not in {"http", "https"} or not url.hostname or url.query or url.fragment or "@" in url.netloc:
        raise ValueError(expected)
    # Raises ValueError by itself for a port that is none.
    if url.port == 0 or not text.isprintable() or not text.isascii() or " " in text:
        raise ValueError(expected)
    return text.rstrip("/")


def _interval(text: str) -> float:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= _MAX_INTERVAL:
        raise ValueError(f"seconds, from 1 to {_MAX_INTERVAL}")
    return float(text)


def _mebibytes(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= _MAX_MEBIBYTES:
        raise ValueError(f"mebibytes, from 1 to {_MAX_MEBIBYTES}")
    return int(text) * 1024 * 1024


def _boolean(text: str) -> bool:
    word = text.lower()
    if word not in _TRUE | _FALSE:
        raise ValueError("true or false")
    return word in _TRUE


def _level(text: str) -> str:
    word = _ALIASES.get(text.lower(), text.lower())
    if word not in LEVELS:
        raise ValueError(f"one of {', '.join(LEVELS)}")
    return word


def _cidrs(text: str) -> tuple[str, ...]:
    expected = "networks separated by commas, as in 10.0.0.0/8,fd00::/8"
    try:
        return tuple(str(ipaddress.ip_network(each.strip(), strict=False)) for each in text.split(","))
    except ValueError as error:
        raise ValueError(expected) from error


def _hosts(text: str) -> tuple[str, ...]:
    names = tuple(each.strip().lower() for each in text.split(","))
    if not all(_HOST.fullmatch(name) for name in names):
        raise ValueError("host names without ports, separated by commas")
    return names


def _endpoints(text: str) -> tuple[TcpAddress, ...]:
    addresses = _tcp_addresses(text)
    if any(not each.host for each in addresses):
        raise ValueError("HOST:PORT, separated by commas")
    return addresses


def _absolute(text: str) -> str:
    if not text.startswith("/"):
        raise ValueError("an absolute path")
    return text
