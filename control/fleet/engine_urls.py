"""Where an engine listens: `unix:///path`, `tcp://host:port` or `ssh://[user@]host[:port]`, and nothing more than that.

Whoever may speak to an engine is root on its machine, so what is not meant here is refused and not guessed.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import SplitResult, urlsplit

from control.domain.origins import NotAnOrigin, normal_host, socket_path

DEFAULT_SSH_USER = "authentik"
DEFAULT_SSH_PORT = 22
_PRINTABLE = re.compile(r"[\x21-\x7e]+")
# No dash first: it could pass for an option of a program that is given it.
_USER = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.@+-]{0,63}")


class NotAnEngineUrl(ValueError):
    """The text leads to no engine; the message is a problem code."""


class EngineScheme(StrEnum):
    """How an engine is spoken to."""

    UNIX = "unix"
    TCP = "tcp"
    SSH = "ssh"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineUrl:
    """A URL in its parts: `path` for unix, `host` and `port` for the others; `user` and `port` are optional for ssh."""

    scheme: EngineScheme
    path: str = ""
    user: str = ""
    host: str = ""
    port: int | None = None

    def __str__(self) -> str:
        if self.scheme is EngineScheme.UNIX:
            return f"unix://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = f"{self.user}@" if self.user else ""
        return f"{self.scheme}://{user}{host}" + (f":{self.port}" if self.port is not None else "")

    @property
    def identity(self) -> tuple[str, ...]:
        """Equal for URLs that are written differently and lead to the same place."""
        match self.scheme:
            case EngineScheme.UNIX:
                # Both on every Linux of this century: the one is a link to the other.
                return self.scheme, self.path.removeprefix("/var") if self.path.startswith("/var/run/") else self.path
            case EngineScheme.TCP:
                return self.scheme, self.host, str(self.port)
            case EngineScheme.SSH:
                return self.scheme, self.user or DEFAULT_SSH_USER, self.host, str(self.port or DEFAULT_SSH_PORT)


def parse_engine_url(text: str) -> EngineUrl:
    """The URL in its parts. Raises NotAnEngineUrl."""
    if not _PRINTABLE.fullmatch(text) or "?" in text or "#" in text or "\\" in text:
        raise NotAnEngineUrl("not_an_engine_url")
    try:
        parts = urlsplit(text)
        scheme = EngineScheme(parts.scheme)
    except ValueError:
        raise NotAnEngineUrl("not_an_engine_url") from None
    match scheme:
        case EngineScheme.UNIX:
            return _unix(text)
        case EngineScheme.TCP:
            return _tcp(parts)
        case EngineScheme.SSH:
            return _ssh(parts)


def _unix(text: str) -> EngineUrl:
    try:
        return EngineUrl(scheme=EngineScheme.UNIX, path=socket_path(text))
    except NotAnOrigin as error:
        raise NotAnEngineUrl(str(error)) from None


def _tcp(parts: SplitResult) -> EngineUrl:
    if "@" in parts.netloc:
        raise NotAnEngineUrl("user_refused")
    port = _port(parts)
    if port is None:
        raise NotAnEngineUrl("port_missing")
    return EngineUrl(scheme=EngineScheme.TCP, host=_host(parts), port=port)


def _ssh(parts: SplitResult) -> EngineUrl:
    user, is_given, _ = parts.netloc.rpartition("@")
    if is_given and not _USER.fullmatch(user):
        # A password before the @ among them: keys prove who we are, and URLs are shown.
        raise NotAnEngineUrl("user_refused")
    return EngineUrl(scheme=EngineScheme.SSH, user=user, host=_host(parts), port=_port(parts))


def _host(parts: SplitResult) -> str:
    if parts.path not in {"", "/"}:
        raise NotAnEngineUrl("not_an_engine_url")
    try:
        return normal_host(parts.hostname or "")
    except NotAnOrigin as error:
        raise NotAnEngineUrl(str(error)) from None


def _port(parts: SplitResult) -> int | None:
    try:
        port = parts.port
    except ValueError:
        raise NotAnEngineUrl("not_a_port") from None
    if port == 0 or parts.netloc.endswith(":"):
        raise NotAnEngineUrl("not_a_port")
    return port
