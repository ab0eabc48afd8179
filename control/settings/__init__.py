"""The settings of control: read once, from the command line first and the environment second, into one frozen object.

A bad value is one line that names where it came from, what was found and what was expected. Below this layer nobody
reads the environment; what runs there gets ready-made objects.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from control.fleet.option_checks import is_http_url
from control.store.postgresql import BadUrl, conninfo

DEFAULT_DATA = "/var/lib/garrison"
DEFAULT_HTTP_PORT = 9000
SHORTEST_SECRET_KEY = 32
AUDIT_DAYS, MOST_AUDIT_DAYS = 365, 99_999
# sockaddr_un.sun_path holds 108 bytes, the last of them NUL; the longest name we put below run/ is this.
LONGEST_SOCKET_PATH = 107
LONGEST_SOCKET_NAME = "proxy.metrics.sock"
MOST_PORT = 65535
ENGINE_SOCKET = Path("/var/run/docker.sock")
_ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<host>[A-Za-z0-9._-]*)):(?P<port>[0-9]{1,5})")
_IMAGE_BASE = re.compile(r"(?:[A-Za-z0-9._:/@-]|%\((?:type|version)\)s)*")
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"", "0", "false", "no", "off"}


class BadSetting(Exception):
    """A setting that can't be used: which, what was found, what was expected."""

    def __init__(self, name: str, found: str, expected: str) -> None:
        super().__init__(f"{name}: found {found!r}; expected {expected}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Where to listen; an empty host is every address, IPv6 and IPv4."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All of control's settings. `secret_key` is None where it lies in the data folder, `audit_kept` where for ever.

    At `engine_sockets` a container engine of this machine is looked for.
    """

    data: Path
    url: str
    database_url: str = field(repr=False)
    secret_key: str | None = field(default=None, repr=False)
    bootstrap_password: str | None = field(default=None, repr=False)
    http: Listen
    https: Listen
    link: Listen
    metrics: Listen
    link_advertise: tuple[str, ...]
    embedded: bool
    log_level: str
    image_base: str
    audit_kept: timedelta | None
    engine_sockets: tuple[Path, ...] = ()
    ssh_config: Path | None = None

    @property
    def run(self) -> Path:
        """The folder of sockets and of what is true only while something runs."""
        return self.data / "run"

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is a file of this machine."""
        return self.database_url.startswith("sqlite")

    @property
    def link_addresses(self) -> tuple[str, ...]:
        """What enrolment tells outposts, to be tried in this order.

        The advertised addresses, or on the host they know the link's own port and that of the front door, which passes
        on what is for the link: so a site may open one port only.
        """
        return self.link_advertise or (f":{self.link.port}", f":{self.https.port}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the command line says; None where it is silent."""

    data: str | None = None
    url: str | None = None
    http: str | None = None
    https: str | None = None
    link: str | None = None
    metrics: str | None = None
    embedded: bool = True


def read_settings(given: Given, environment: Mapping[str, str]) -> Settings:
    """The settings. Raises BadSetting."""
    data = _data(given.data or environment.get("GARRISON_DATA") or DEFAULT_DATA)
    http = _listen("--http", given.http, "AUTHENTIK_LISTEN__HTTP", environment, DEFAULT_HTTP_PORT)
    disabled = _flag("AUTHENTIK_OUTPOSTS__DISABLE_EMBEDDED_OUTPOST", environment)
    return Settings(
        data=data,
        url=_url(given, environment, data, http),
        database_url=_database_url(environment, data),
        secret_key=_secret_key(environment),
        bootstrap_password=environment.get("GARRISON_BOOTSTRAP_PASSWORD") or None,
        http=http,
        https=_listen("--https", given.https, "AUTHENTIK_LISTEN__HTTPS", environment, 9443),
        link=_listen("--link", given.link, "GARRISON_LISTEN__LINK", environment, 9444),
        metrics=_listen("--metrics", given.metrics, "AUTHENTIK_LISTEN__METRICS", environment, 9300),
        link_advertise=_advertised(environment),
        embedded=given.embedded and not disabled,
        log_level=_log_level(environment),
        image_base=_image_base(environment),
        audit_kept=_audit_kept(environment),
        engine_sockets=_engine_sockets(environment),
        ssh_config=_ssh_config(environment),
    )


def now() -> datetime:
    """The time, aware, in UTC."""
    return datetime.now(UTC)


def remember_url(settings: Settings) -> None:
    """Keep the URL in the data folder, for commands that run beside the server without being told."""
    (settings.run / "url").write_text(settings.url + "\n")


def _data(text: str) -> Path:
    path = Path(text).absolute()
    longest = len(os.fsencode(path / "run" / LONGEST_SOCKET_NAME))
    if longest > LONGEST_SOCKET_PATH:
        most = LONGEST_SOCKET_PATH - len(f"/run/{LONGEST_SOCKET_NAME}")
        raise BadSetting("--data", str(path), f"a path of at most {most} bytes, as sockets lie below it")
    return path


def _url(given: Given, environment: Mapping[str, str], data: Path, http: Listen) -> str:
    if given.url is not None:
        return _checked_url("--url", given.url)
    if environment.get("GARRISON_URL"):
        return _checked_url("GARRISON_URL", environment["GARRISON_URL"])
    known = data / "run" / "url"
    if given.http is None and known.is_file():
        return _checked_url(str(known), known.read_text().strip())
    return "http://localhost" + (f":{http.port}" if http.port != 80 else "")  # noqa: PLR2004 - the port of http


def _checked_url(name: str, text: str) -> str:
    if not is_http_url(text) or text.rstrip("/").count("/") != 2:  # noqa: PLR2004 - those of ://
        raise BadSetting(name, text, "an http(s) URL without path, like https://garrison.example.com")
    return text.rstrip("/").lower()


def _database_url(environment: Mapping[str, str], data: Path) -> str:
    name = "GARRISON_DATABASE_URL"
    text = _perhaps_in_file(name, environment) or f"sqlite:///{data / 'garrison.db'}"
    scheme, separator, rest = text.partition("://")
    if scheme not in {"sqlite", "postgres", "postgresql", "postgresql+psycopg"} or not separator:
        expected = "sqlite:////absolute/path or postgresql://user@host/database"
        raise BadSetting(name, f"{scheme}://…", expected)
    if scheme == "sqlite":
        return text
    try:
        conninfo(f"postgresql://{rest}")
    except BadUrl as error:
        raise BadSetting(name, f"{scheme}://…", str(error)) from None
    return f"postgresql://{rest}"


def _secret_key(environment: Mapping[str, str]) -> str | None:
    name = "GARRISON_SECRET_KEY"
    text = _perhaps_in_file(name, environment)
    if text and len(text) < SHORTEST_SECRET_KEY:
        expected = f"at least {SHORTEST_SECRET_KEY} characters, such as openssl rand -hex 32 gives"
        raise BadSetting(name, f"{len(text)} characters", expected)
    return text or None


def _perhaps_in_file(name: str, environment: Mapping[str, str]) -> str:
    """What a variable holds, or the file that it names as `file://PATH`."""
    text = environment.get(name, "").strip()
    if not text.startswith("file://"):
        return text
    try:
        return Path(text.removeprefix("file://")).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise BadSetting(name, text, f"a file that can be read ({reason})") from error


def _flag(name: str, environment: Mapping[str, str]) -> bool:
    text = environment.get(name, "").strip().lower()
    if text not in _TRUE | _FALSE:
        raise BadSetting(name, text, "true or false")
    return text in _TRUE


def _log_level(environment: Mapping[str, str]) -> str:
    """The level; `trace` is told from `debug` in outposts only."""
    name = "AUTHENTIK_LOG_LEVEL"
    text = environment.get(name, "info").strip().lower()
    if text not in {"trace", "debug", "info", "warning", "error"}:
        raise BadSetting(name, text, "trace, debug, info, warning or error")
    return "debug" if text == "trace" else text


def _image_base(environment: Mapping[str, str]) -> str:
    """The template of outposts' images, or "" for the one that is built from here."""
    name = "AUTHENTIK_OUTPOSTS__CONTAINER_IMAGE_BASE"
    text = environment.get(name, "").strip()
    base = text.replace("%(build_hash)s", environment.get("GIT_BUILD_HASH", ""))
    if not _IMAGE_BASE.fullmatch(base):
        raise BadSetting(name, text, "an image like registry.example.com/outpost-%(type)s:%(version)s")
    return base


def _audit_kept(environment: Mapping[str, str]) -> timedelta | None:
    """For how long the audit trail is kept; None for ever."""
    name = "GARRISON_AUDIT_DAYS"
    text = environment.get(name, "").strip() or str(AUDIT_DAYS)
    if not text.isascii() or not text.isdecimal() or len(text) > len(str(MOST_AUDIT_DAYS)):
        raise BadSetting(name, text[:100], f"a number of days, 0 to {MOST_AUDIT_DAYS}; 0 is for ever")
    return timedelta(days=int(text)) if int(text) else None


def _engine_sockets(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """Where an engine of this machine may listen, or nowhere where nobody is to look."""
    name = "AUTHENTIK_OUTPOSTS__DISCOVER"
    if not _flag(name, {name: environment.get(name, "").strip() or "true"}):
        return ()
    scheme, _, path = environment.get("DOCKER_HOST", "").strip().partition("://")
    return (Path(path),) if scheme == "unix" and path else (ENGINE_SOCKET,)


def _ssh_config(environment: Mapping[str, str]) -> Path | None:
    """The configuration of SSH of the user we run as."""
    home = environment.get("HOME", "")
    return Path(home) / ".ssh" / "config" if home else None


def _listen(option: str, given: str | None, variable: str, environment: Mapping[str, str], port: int) -> Listen:
    if given is not None:
        return _address(option, given)
    return _address(variable, environment[variable]) if environment.get(variable) else Listen(host="", port=port)


def _address(name: str, text: str) -> Listen:
    found = _ADDRESS.fullmatch(text.strip())
    if found is None or not 0 < int(found["port"]) <= MOST_PORT:
        raise BadSetting(name, text, "HOST:PORT, like 0.0.0.0:9000, [::1]:9000 or :9000")
    return Listen(host=found["v6"] or found["host"] or "", port=int(found["port"]))


def _advertised(environment: Mapping[str, str]) -> tuple[str, ...]:
    name = "GARRISON_LINK_ADVERTISE"
    parts = [part.strip() for part in environment.get(name, "").split(",") if part.strip()]
    return tuple(str(_address(name, part)) for part in parts)
