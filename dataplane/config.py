"""The configuration an outpost serves by: frozen values, as control decided them.

`dataplane.link.translate` makes these from protobuf resources; the runtime hands them to workers and the
protocols read them. Nothing here knows where they came from, and nothing here does I/O.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from dataplane.gate import BasicCredentials, Identity

# The level of `log_level: trace`, below logging.DEBUG: what is said with whom.
TRACE = 5


class ProxyMode(StrEnum):
    """How a proxy provider stands before its application, by authentik's names."""

    PROXY = "proxy"
    FORWARD_SINGLE = "forward_single"
    FORWARD_DOMAIN = "forward_domain"


class Logged(StrEnum):
    """How much of what happens is written down."""

    ALL = "all"
    PROBLEMS = "problems"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Settings of the outpost as a whole. `browser_url` has no trailing slash; times are in seconds.

    `bind_cache` is how long an answer of control's about credentials is kept, `offline_grace` how long it counts while
    control can't be asked.
    """

    outpost_id: str
    outpost_name: str
    log_level: str
    refresh_interval: float
    browser_url: str
    insecure: bool = False
    bind_cache: float = 0.0
    offline_grace: float = 0.0
    access_log: Logged = Logged.ALL
    decision_log: Logged = Logged.PROBLEMS


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionKey:
    """One AES-256-GCM key of a provider's cookies: `id` stands in the cookie, `secret` is 32 bytes."""

    id: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """How the application of a provider in mode proxy is reached; times in seconds.

    `addresses` are URLs in order of preference: http, https, or `unix:///path`, the first two with a path if need be.
    `host_header` and `server_name` (SNI, and what the certificate has to bear) are empty for the obvious one.
    `authorities` is PEM, empty for those of the system; `certificate` the key of a Certificate to show, or empty.
    `connect_timeout` covers TLS, `response_timeout` runs from the end of a request to the head of its answer,
    `idle_timeout` while no byte of a body moves. `connections` is how many each worker may have to each address.
    """

    addresses: tuple[str, ...]
    host_header: str = ""
    server_name: str = ""
    authorities: str = ""
    certificate: str = ""
    connect_timeout: float = 5.0
    response_timeout: float = 600.0
    idle_timeout: float = 3600.0
    connections: int = 1024
    security_headers: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyProvider:
    """One application behind the proxy protocol.

    `external_host` is scheme, host and optional port without a trailing slash; `cookie_domain` has no leading dot
    and counts only in forward_domain; `skip_path_regex` holds RE2 patterns, matched unanchored;
    `access_token_validity` is in seconds; `session_keys` has the newest first; `certificate` is the key of a
    Certificate resource or empty; `upstream` there is in mode proxy, and in no other.
    """

    id: str
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
    access_token_validity: float
    session_keys: tuple[SessionKey, ...]
    certificate: str
    intercept_header_auth: bool
    basic_auth_enabled: bool = False
    upstream: Upstream | None = None


class BindMode(StrEnum):
    """Whether each bind asks control, or its answer is kept for a while."""

    DIRECT = "direct"
    CACHED = "cached"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeMapping:
    """An LDAP attribute, and the attribute of users or groups that it shows; `a.b` is b of the object a."""

    attribute: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LdapProvider:
    """One application that sees the directory over LDAP.

    `search_group` is the id of the group whose members, nested ones included, see all of it; empty for nobody.
    `certificate` is the key of a Certificate resource or empty. Of the attributes of users and groups only what the
    mappings name is shown. `size_limit` is a number of entries, 0 for no limit; `time_limit` is in seconds.
    """

    id: str
    name: str
    application_slug: str
    application_name: str
    base_dn: str
    bind_mode: BindMode
    mfa_support: bool
    search_group: str
    uid_start_number: int
    gid_start_number: int
    certificate: str
    tls_server_name: str
    user_attributes: tuple[AttributeMapping, ...]
    group_attributes: tuple[AttributeMapping, ...]
    size_limit: int = 0
    time_limit: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate chain (PEM, leaf first) with its private key (PEM)."""

    id: str
    name: str
    chain: str
    private_key: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Sessions that are over: those that match every field set, authenticated before `before`.

    Empty strings match anything. `before` and `until` are POSIX seconds; after `until` the entry may be dropped.
    """

    session: str
    subject: str
    provider: str
    before: float
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """What is now true of a person whose cookies may say otherwise (sessions authenticated before `at`).

    `basic` is by provider what its application is sent as HTTP Basic; a provider that isn't named: nothing.
    """

    identity: Identity
    at: float
    until: float
    denied_providers: frozenset[str]
    basic: Mapping[str, BasicCredentials] = field(default_factory=dict)


Resource = Options | ProxyProvider | LdapProvider | Certificate | Ended | Changed


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """What is to differ from what is served: resources that are new or different, and keys that are gone."""

    changed: Mapping[str, Resource] = field(default_factory=dict)
    removed: frozenset[str] = frozenset()

    @property
    def touched(self) -> frozenset[str]:
        """Every key it speaks of."""
        return self.removed.union(self.changed)

    def options_after(self, key: str, options: Options | None) -> tuple[str, Options | None]:
        """The options once it is made, and their key, where they were `options` under `key`; None for none."""
        for changed, resource in self.changed.items():
            if isinstance(resource, Options):
                return changed, resource
        return ("", None) if key in self.touched else (key, options)


class ConfigRefused(Exception):
    """A resource that can't be served; `str(error)` says what, where and what was expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryUser:
    """A user of the directory. `groups` holds ids of those directly joined, `attributes` is a JSON object.

    `number` is unique among users for ever; times are POSIX seconds, `password_changed` None where there is none.
    """

    id: str
    username: str
    name: str
    email: str
    active: bool
    groups: tuple[str, ...]
    attributes: str
    number: int
    created: float
    updated: float
    password_changed: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryGroup:
    """A group of the directory. `parents` holds ids of those directly above, `attributes` is a JSON object.

    `number` is unique among groups for ever; times are POSIX seconds. Members of a `superuser` group, or of one below
    it, administer Garrison.
    """

    id: str
    name: str
    superuser: bool
    parents: tuple[str, ...]
    attributes: str
    number: int
    created: float
    updated: float


DirectoryEntry = DirectoryUser | DirectoryGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryEdit:
    """What is to differ in the directory: entries that are new or different by key, and keys that are gone.

    Keys are "user/<id>" and "group/<id>". A whole copy comes in parts: `begins` with the first, `complete` with the
    last; until then what was held before is served. A change is one part that is `complete` and doesn't begin.
    """

    changed: Mapping[str, DirectoryEntry] = field(default_factory=dict)
    removed: frozenset[str] = frozenset()
    begins: bool = False
    complete: bool = True
