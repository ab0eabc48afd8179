"""Where an upstream is, as people write it: `http://app:8080/base`, `https://10.0.0.7`, `unix:///run/app.sock`.

Strict, since what isn't understood as it was meant sends people's requests to somebody else. Pure: names are looked up
when a connection is made.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Literal

from dataplane.io.dial import Address, TcpAddress, UnixAddress

Scheme = Literal["http", "https", "unix"]
_PORTS = {"http": 80, "https": 443}
_URL = re.compile(r"(?P<scheme>[A-Za-z]+)://(?P<authority>[^/]*)(?P<path>/.*)?", re.DOTALL)
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_NUMERIC = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_PATH = re.compile(r"(/([A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)*")
_DOTS = re.compile(r"(\.|%2e){1,2}", re.IGNORECASE)
_LONGEST_NAME = 253
_LAST_PORT = 65535
_SUN_PATH = 107
"""Bytes of a unix socket's path (unix(7))."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamUrl:
    """An address of an upstream."""

    text: str
    """As it was written."""
    scheme: Scheme
    address: Address
    path: str
    """What stands before each request's path: without a slash at its end, empty for the root."""
    host: str
    """What Host says unless something else is wanted: the port is in it unless it is the scheme's own."""


def parse_upstream(text: str) -> UpstreamUrl:
    """Raises ValueError saying what is wrong and what was expected."""
    match = _URL.fullmatch(text)
    scheme = match["scheme"].lower() if match else ""
    if match is None or (scheme != "unix" and scheme not in _PORTS):
        raise ValueError(f"{text!r}: expected http://host:port, https://host:port or unix:///path")
    try:
        if scheme == "unix":
            return _unix(text, match["authority"], match["path"] or "")
        host, port = _split(match["authority"])
        address = TcpAddress(host=_checked_host(host), port=_PORTS[scheme] if port is None else _checked_port(port))
        path = _checked_path(match["path"] or "")
    except ValueError as error:
        raise ValueError(f"{text!r}: {error}") from None
    shown = _shown(address, scheme)
    return UpstreamUrl(
        text=text, scheme="https" if scheme == "https" else "http", address=address, path=path, host=shown
    )


def _unix(text: str, authority: str, path: str) -> UpstreamUrl:
    if authority:
        raise ValueError("expected three slashes before the path: unix:///path")
    if path.rstrip("/") == "" or "\0" in path or len(path.encode()) > _SUN_PATH:
        raise ValueError(f"expected the path of a socket, of at most {_SUN_PATH} bytes")
    return UpstreamUrl(text=text, scheme="unix", address=UnixAddress(path=path), path="", host="localhost")


def _split(authority: str) -> tuple[str, str | None]:
    """Host and port, which may be absent."""
    if "@" in authority:
        raise ValueError("credentials don't belong in an address")
    if authority.startswith("["):
        host, closed, rest = authority.partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise ValueError("expected an IPv6 address in brackets")
        return host + closed, rest[1:] if rest else None
    host, colon, port = authority.partition(":")
    return host, port if colon else None


def _checked_host(host: str) -> str:
    if host.startswith("["):
        return _checked_v6(host[1:-1])
    labels = host.removesuffix(".").split(".")
    if _NUMERIC.fullmatch(labels[-1]):  # resolvers take 127.1, 0x7f.1 and 2130706433 for addresses
        return _checked_v4(host)
    if not host.isascii():
        raise ValueError("write the host's name in its ASCII form (xn--…)")
    if len(host) > _LONGEST_NAME or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("expected the name or address of a host after //")
    return host.lower()


def _checked_v4(host: str) -> str:
    try:
        return str(ipaddress.IPv4Address(host))
    except ValueError:
        raise ValueError(f"{host} is no IPv4 address: expected four numbers from 0 to 255") from None


def _checked_v6(host: str) -> str:
    address, percent, zone = host.partition("%25")  # RFC 6874
    try:
        plain = str(ipaddress.IPv6Address(address.replace("%", "!")))  # it takes a zone that is not encoded
    except ValueError:
        raise ValueError(f"{host} is no IPv6 address") from None
    if percent and not re.fullmatch(r"[A-Za-z0-9._~-]{1,15}", zone):
        raise ValueError(f"{zone!r} is no name of an interface")
    return f"{plain}%{zone}" if percent else plain


def _checked_port(port: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) <= _LAST_PORT:
        raise ValueError(f"{port!r} is no port: expected a number from 1 to 65535")
    return int(port)


def _checked_path(path: str) -> str:
    if "?" in path or "#" in path:
        raise ValueError("expected neither a query nor a fragment")
    if not _PATH.fullmatch(path):
        raise ValueError("expected a path in URL encoding (%20 for a space)")
    if any(_DOTS.fullmatch(segment) for segment in path.split("/")):
        raise ValueError("expected a path without . and .. as segments")
    return path.rstrip("/")


def _shown(address: TcpAddress, scheme: str) -> str:
    host, _, _ = address.host.partition("%")  # a zone means something on one machine only (RFC 6874 section 1)
    host = host.removesuffix(".")  # the root's dot is for resolvers
    if ":" in host:
        host = f"[{host}]"
    return host if address.port == _PORTS[scheme] else f"{host}:{address.port}"
