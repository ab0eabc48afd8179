"""Applications, the providers that guard them, and who may use them."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from uuid import UUID


class ProviderType(StrEnum):
    """The protocols a provider can speak; the types whose server exists."""

    PROXY = "proxy"


class ProxyMode(StrEnum):
    """How a proxy provider stands before its application, by authentik's names."""

    PROXY = "proxy"
    FORWARD_SINGLE = "forward_single"
    FORWARD_DOMAIN = "forward_domain"


class PolicyMode(StrEnum):
    """Whether one binding that passes is enough or all have to."""

    ANY = "any"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyProvider:
    """A proxy provider, by authentik's field names.

    `skip_path_regex` holds one RE2 pattern a line; `certificate` names the certificate for TLS by SNI. With
    `basic_auth_enabled` the application is sent HTTP Basic credentials, from those attributes of user or groups.
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

    @property
    def type(self) -> ProviderType:
        """The protocol it speaks."""
        return ProviderType.PROXY


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
