"""Where control is and who we are towards it: frozen values that the settings make once and the link reads."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The control plane of this outpost.

    `url` is AUTHENTIK_HOST without a trailing slash (empty when only `socket` is known); `socket` is the path of
    control's own unix socket or empty; `link`, when set, overrides the addresses that control advertises. Where
    `insecure` is None it is up to the outpost's options, once there are any.
    """

    url: str
    token: str = field(repr=False)
    insecure: bool | None = None
    socket: str = ""
    link: tuple[str, ...] = ()

    @property
    def hostname(self) -> str:
        """The host that an advertised `:port` stands on; bracketed when it is an IPv6 address."""
        name = urlsplit(self.url).hostname or "127.0.0.1"
        return f"[{name}]" if ":" in name else name


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One process among the replicas of an outpost. `uid` lives as long as the state folder."""

    uid: str
    type: str
    hostname: str
    version: str
    build: str
    started: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What enrolment yields: a client certificate with its key, the installation's CA, and the link's addresses.

    `token` is the fingerprint of the one it was got with: the certificate is good as long as that is.
    """

    certificate: str
    private_key: str = field(repr=False)
    authority: str
    addresses: tuple[str, ...]
    outpost: str
    name: str
    issued: float
    expires: float
    token: str = ""

    @property
    def renewal(self) -> float:
        """When two thirds of what was left at issue have passed."""
        return self.issued + (self.expires - self.issued) * 2 / 3
