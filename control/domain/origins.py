"""Origins and hosts as providers have them: parsed once, compared in one normal form."""

import ipaddress
import re
from dataclasses import dataclass
from posixpath import normpath
from urllib.parse import SplitResult, urlsplit

_LABEL = re.compile(r"[a-z0-9_]([-a-z0-9_]{0,61}[a-z0-9_])?")
_LONGEST_NAME = 253  # RFC 1035 section 2.3.4, as text
_DEFAULT_PORTS = {"http": 80, "https": 443}
_PRINTABLE = re.compile(r"[^\s\x00-\x20\x7f\\]+")
# Brackets stand around an address and nowhere else (RFC 3986 section 3.2.2).
_NETLOC = re.compile(r"(\[[^\[\]]*\]|[^\[\]]*)(:[^\[\]]*)?")
_SOCKET = re.compile(r"unix://(/[\x21-\x7e]*[\x21-\x2e\x30-\x7e])", re.IGNORECASE)
# unix(7): sun_path has 108 bytes, the last of which is NUL.
_LONGEST_SOCKET_PATH = 107


class NotAnOrigin(ValueError):
    """The text is no http(s) origin; the message is a problem code."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port of an http(s) URL: lower case, without the port that the scheme implies."""

    scheme: str
    host: str
    port: int | None

    @property
    def effective_port(self) -> int:
        """The port, or the one that the scheme implies."""
        return self.port or _DEFAULT_PORTS[self.scheme]

    @property
    def authority_host(self) -> str:
        """The host as URLs have it: an IPv6 address in brackets (RFC 3986 section 3.2.2)."""
        return f"[{self.host}]" if ":" in self.host else self.host

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority_host}" + (f":{self.port}" if self.port is not None else "")


def parse_origin(text: str) -> Origin:
    """The origin `text` stands for, and nothing more than an origin. Raises NotAnOrigin."""
    parts = _split(text)
    if parts.path not in {"", "/"} or parts.query or parts.fragment or text.endswith(("?", "#")):
        raise NotAnOrigin("more_than_an_origin")
    return _origin(parts)


def origin_of(url: str) -> Origin:
    """The origin of an http(s) URL, whatever follows it. Raises NotAnOrigin."""
    return _origin(_split(url))


def socket_path(url: str) -> str:
    """The path of the socket that a URL like unix:///run/app.sock names. Raises NotAnOrigin.

    Nothing is decoded: who writes %2F means those three letters, or doesn't know what they mean.
    """
    found = _SOCKET.fullmatch(url)
    if found is None or set(found[1]) & set("%?#\\"):
        raise NotAnOrigin("not_a_socket_path")
    # POSIX leaves open what a second slash at the beginning means.
    normal = normpath("/" + found[1].lstrip("/"))
    if len(normal) > _LONGEST_SOCKET_PATH or normal == "/":
        raise NotAnOrigin("not_a_socket_path")
    return normal


def normal_host(text: str) -> str:
    """A host name or address in normal form, international names in their ASCII form. Raises NotAnOrigin."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        pass
    try:
        host = text.removesuffix(".").encode("idna").decode().lower()
    except UnicodeError:
        raise NotAnOrigin("not_a_host") from None
    if not host or len(host) > _LONGEST_NAME or not all(_LABEL.fullmatch(label) for label in host.split(".")):
        raise NotAnOrigin("not_a_host")
    return host


def is_address(host: str) -> bool:
    """Whether the host is an IP address and no name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_below(host: str, domain: str) -> bool:
    """Whether `host` is `domain` or lies below it, counted in whole labels."""
    return host == domain or host.endswith(f".{domain}")


def _split(text: str) -> SplitResult:
    if not _PRINTABLE.fullmatch(text):
        raise NotAnOrigin("not_a_url")
    try:
        parts = urlsplit(text)
    except ValueError:
        raise NotAnOrigin("not_a_url") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise NotAnOrigin("not_http")
    if "@" in parts.netloc:
        raise NotAnOrigin("userinfo_refused")
    if not _NETLOC.fullmatch(parts.netloc):
        raise NotAnOrigin("not_a_url")
    return parts


def _origin(parts: SplitResult) -> Origin:
    try:
        port = parts.port
    except ValueError:
        raise NotAnOrigin("not_a_port") from None
    if port == 0 or parts.netloc.endswith(":"):
        raise NotAnOrigin("not_a_port")
    host = normal_host(parts.hostname or "")
    if parts.netloc.startswith("[") and ":" not in host:
        raise NotAnOrigin("not_a_host")
    return Origin(parts.scheme, host, None if port == _DEFAULT_PORTS[parts.scheme] else port)
