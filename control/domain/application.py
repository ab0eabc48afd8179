"""Applications, the providers that guard them, and who may use them."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from uuid import UUID


class ProviderType(StrEnum):
    """The protocols a provider can speak; the types whose server exists."""

    PROXY = "proxy"
    LDAP = "ldap"


class ProxyMode(StrEnum):
    """How a proxy provider stands before its application, by authentik's names."""

    PROXY = "proxy"
    FORWARD_SINGLE = "forward_single"
    FORWARD_DOMAIN = "forward_domain"


class BindMode(StrEnum):
    """Whether each bind asks control, or its answer is kept for a while, by authentik's names."""

    DIRECT = "direct"
    CACHED = "cached"


class SearchMode(StrEnum):
    """How authentik's outposts searched. Ours hold the directory always, whichever is named."""

    DIRECT = "direct"
    CACHED = "cached"


class PolicyMode(StrEnum):
    """Whether one binding that passes is enough or all have to."""

    ANY = "any"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyProvider:
    """A proxy provider, by authentik's field names.

    `skip_path_regex` holds one RE2 pattern a line; `certificate` names the certificate for TLS by SNI. With
    `basic_auth_enabled` the application is sent HTTP Basic credentials, from those attributes of user or groups.

    All from `internal_host_header` on, and `internal_host_ssl_validation`, is for mode proxy alone: how the application
    is reached. `internal_host` holds its addresses, one a line, the preferred one first; the header is the Host it is
    sent, if not the one asked for. For TLS: the name to expect if not the address' own, the authorities to trust if not
    the system's, the certificate to show. Times are for connecting, for the head of an answer, and without a byte
    moving; connections are those of each worker to each address.
    """

    id: UUID
    name: str
    client_id: str
    mode: ProxyMode
    external_host: str
    internal_host: str = ""
    internal_host_ssl_validation: bool = True
    cookie_domain: str = ""
    skip_path_regex: str = ""
    access_token_validity: timedelta = timedelta(hours=24)
    intercept_header_auth: bool = True
    basic_auth_enabled: bool = False
    basic_auth_user_attribute: str = ""
    basic_auth_password_attribute: str = ""
    certificate: UUID | None = None
    internal_host_header: str = ""
    internal_host_server_name: str = ""
    internal_host_authorities: UUID | None = None
    internal_host_certificate: UUID | None = None
    internal_host_connect_timeout: timedelta = timedelta(seconds=5)
    internal_host_response_timeout: timedelta = timedelta(minutes=10)
    internal_host_idle_timeout: timedelta = timedelta(hours=1)
    internal_host_connections: int = 1024
    security_headers: bool = False

    @property
    def type(self) -> ProviderType:
        """The protocol it speaks."""
        return ProviderType.PROXY

    @property
    def certificates(self) -> frozenset[UUID]:
        """Those that it names."""
        return self.shown_certificates | _named(self.internal_host_authorities)

    @property
    def shown_certificates(self) -> frozenset[UUID]:
        """Those that an outpost shows somebody, for which it needs their keys."""
        return _named(self.certificate, self.internal_host_certificate)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeMapping:
    """An LDAP attribute, and the attribute of users or groups that it shows; `a.b` is b of the object a."""

    attribute: str
    source: str


# What is shown unless a provider says otherwise: what a Unix account needs and names, nothing private.
USER_ATTRIBUTES = tuple(
    AttributeMapping(attribute=name, source=name)
    for name in ("givenName", "sn", "gecos", "homeDirectory", "loginShell", "sshPublicKey")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LdapProvider:
    """An LDAP provider, by authentik's field names.

    `base_dn` is a distinguished name (RFC 4514). Members of `search_group`, nested ones included, may search the whole
    directory; everybody else sees themselves and their own groups. Numbers of users and groups count from the two
    starts. `certificate` is for TLS, chosen by `tls_server_name` (SNI) or else by the names in it. Of the attributes of
    users and groups only what the mappings name is shown. `size_limit` bounds one search without paging, 0 for none.
    """

    id: UUID
    name: str
    base_dn: str = "DC=ldap,DC=goauthentik,DC=io"
    bind_mode: BindMode = BindMode.CACHED
    search_mode: SearchMode = SearchMode.CACHED
    mfa_support: bool = True
    search_group: UUID | None = None
    uid_start_number: int = 2000
    gid_start_number: int = 4000
    certificate: UUID | None = None
    tls_server_name: str = ""
    user_attributes: tuple[AttributeMapping, ...] = USER_ATTRIBUTES
    group_attributes: tuple[AttributeMapping, ...] = ()
    size_limit: int = 0
    time_limit: timedelta = timedelta(seconds=30)

    @property
    def type(self) -> ProviderType:
        """The protocol it speaks."""
        return ProviderType.LDAP

    @property
    def certificates(self) -> frozenset[UUID]:
        """Those that it names."""
        return self.shown_certificates

    @property
    def shown_certificates(self) -> frozenset[UUID]:
        """Those that an outpost shows somebody, for which it needs their keys."""
        return _named(self.certificate)


def _named(*certificates: UUID | None) -> frozenset[UUID]:
    return frozenset(each for each in certificates if each is not None)


Provider = ProxyProvider | LdapProvider
# How long a bind counts: whoever stays connected longer has to bind again. Also how long control remembers what ended.
LDAP_SESSION = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """What people see on their start page and what policies are bound to. `category` groups the start page.

    With `second_factor` nobody gets in who has not used one.
    """

    id: UUID
    slug: str
    name: str
    provider: UUID | None = None
    policy_mode: PolicyMode = PolicyMode.ANY
    second_factor: bool = False
    category: str = ""
    description: str = ""
    publisher: str = ""
    launch_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """One rule of an application: its `user` or its `group` passes (exactly one is set); `negate` turns it round."""

    id: UUID
    application: UUID
    user: UUID | None = None
    group: UUID | None = None
    order: int = 0
    enabled: bool = True
    negate: bool = False
