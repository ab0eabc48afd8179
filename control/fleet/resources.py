"""The resources outposts hold, as frozen values: what control wants an outpost to know, before any wire format.

Each has a `key` that names it within an outpost. They are hashable, so that one is translated once for all who
get it and again only when it differs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from control.domain.application import AttributeMapping, BindMode, ProxyMode
from control.domain.grant import BasicCredentials, IssuedIdentity
from control.domain.outpost import Logged


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Settings of the outpost as a whole, completed. `browser_url` has no trailing slash."""

    outpost_id: UUID
    outpost_name: str
    log_level: str
    refresh_interval: timedelta
    browser_url: str
    insecure: bool = False
    bind_cache: timedelta = timedelta()
    offline_grace: timedelta = timedelta()
    access_log: Logged = Logged.ALL
    decision_log: Logged = Logged.PROBLEMS

    @property
    def key(self) -> str:
        """There is one."""
        return "options"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionKey:
    """One AES-256-GCM key of a provider's cookies."""

    id: UUID
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """How the application of a provider in mode proxy is reached.

    `authorities` is PEM or empty, `certificate` the key of a Certificate or empty.
    """

    addresses: tuple[str, ...]
    host_header: str
    server_name: str
    authorities: str
    certificate: str
    connect_timeout: timedelta
    response_timeout: timedelta
    idle_timeout: timedelta
    connections: int
    security_headers: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyProvider:
    """A proxy provider with its application; `certificate` is the key of a Certificate or empty.

    `upstream` there is in mode proxy, and in no other.
    """

    id: UUID
    name: str
    application_slug: str
    application_name: str
    client_id: str
    mode: ProxyMode
    external_host: str
    internal_host: str
    internal_host_ssl_validation: bool
    cookie_domain: str
    skip_path_regex: tuple[str, ...]
    access_token_validity: timedelta
    session_keys: tuple[SessionKey, ...]
    certificate: str
    intercept_header_auth: bool
    basic_auth_enabled: bool = False
    upstream: Upstream | None = None

    @property
    def key(self) -> str:
        """By its id."""
        return f"provider/{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LdapProvider:
    """An LDAP provider with its application; `certificate` is the key of a Certificate or empty."""

    id: UUID
    name: str
    application_slug: str
    application_name: str
    base_dn: str
    bind_mode: BindMode
    mfa_support: bool
    search_group: UUID | None
    uid_start_number: int
    gid_start_number: int
    certificate: str
    tls_server_name: str
    user_attributes: tuple[AttributeMapping, ...]
    group_attributes: tuple[AttributeMapping, ...]
    size_limit: int
    time_limit: timedelta

    @property
    def key(self) -> str:
        """By its id."""
        return f"provider/{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate chain (PEM, leaf first) with its private key (PEM)."""

    id: UUID
    name: str
    chain: str
    private_key: str = field(repr=False)

    @property
    def key(self) -> str:
        """By its id."""
        return f"certificate/{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Sessions that are over: those that match every part set and were made before `before`."""

    session: UUID | None = None
    subject: UUID | None = None
    provider: UUID | None = None
    before: datetime
    until: datetime

    @property
    def key(self) -> str:
        """By what it is about."""
        parts = {"session": self.session, "subject": self.subject, "provider": self.provider}
        return "/".join(["ended", *(f"{name}/{value}" for name, value in parts.items() if value is not None)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """What is true now of a person whose cookies may say otherwise, and where the person may no longer go.

    `basic` is by provider what its application is sent as HTTP Basic from now on.
    """

    subject: UUID
    identity: IssuedIdentity
    at: datetime
    until: datetime
    denied_providers: tuple[UUID, ...]
    basic: Mapping[UUID, BasicCredentials] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """By the person."""
        return f"changed/{self.subject}"

    def __hash__(self) -> int:
        """Of the fields that are hashable; equality compares all."""
        return hash((self.subject, self.at, self.denied_providers))


ProviderResource = ProxyProvider | LdapProvider
Resource = Options | ProviderResource | Certificate | Ended | Changed
