"""Our values in the shapes Authlib asks for: request, client and authorization code. Nothing is decided here.

Authlib is handed no web framework's request: a redemption arrives over the link and not over HTTP.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from authlib.oauth2.rfc6749 import (
    AuthorizationCodeMixin,
    ClientMixin,
    OAuth2Payload,
    OAuth2Request,
)

from control.domain.application import Application, ProxyProvider
from control.domain.security import AuthorizationCode

# Authlib refuses addresses without TLS; ours is no address at all.
_NOWHERE = "https://garrison.internal/"
CALLBACK_QUERY = "X-authentik-auth-callback=true"
CALLBACK_PATH = "/outpost.goauthentik.io/callback"

Parameters = tuple[tuple[str, str], ...]


class _Payload(OAuth2Payload):  # type: ignore[misc] # authlib has no type information
    """Parameters of a request. RFC 6749 section 3.1: one without a value counts as not sent."""

    def __init__(self, parameters: Parameters) -> None:
        self._datalist: defaultdict[str, list[str]] = defaultdict(list)
        for name, value in parameters:
            if value:
                self._datalist[name].append(value)

    @property
    def data(self) -> dict[str, str]:
        """The first value of each parameter."""
        return {name: values[0] for name, values in self._datalist.items()}

    @property
    def datalist(self) -> defaultdict[str, list[str]]:
        """Every value of each parameter."""
        return self._datalist


class Request(OAuth2Request):  # type: ignore[misc] # authlib has no type information
    """A request to authorize (GET) or to redeem (POST), wherever it came from."""

    def __init__(self, method: str, parameters: Parameters) -> None:
        super().__init__(method, _NOWHERE)
        self.payload = _Payload(parameters)

    @property
    def form(self) -> dict[str, str]:
        """What Authlib reads as the body of a redemption."""
        return dict(self.payload.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Client(ClientMixin):  # type: ignore[misc] # authlib has no type information
    """A proxy provider and its application as an OAuth client: public (its outpost proves itself on the link)."""

    provider: ProxyProvider
    application: Application

    def get_client_id(self) -> str:
        """The client id."""
        return self.provider.client_id

    def get_default_redirect_uri(self) -> None:
        """None: OpenID Connect Core 1.0 section 3.1.2.1 requires one in the request."""

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """The scopes as asked for; unknown ones mean nothing, and without `openid` it is none of ours."""
        return scope if scope and "openid" in scope.split() else None

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Whether the address is, to the letter, one of the provider's own."""
        return redirect_uri in redirect_uris(self.provider)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:  # noqa: ARG002 - Authlib's signature
        """No secret."""
        return method == "none"

    def check_response_type(self, response_type: str) -> bool:
        """Codes alone."""
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        """Codes alone; no refresh tokens."""
        return grant_type == "authorization_code"


@dataclass(frozen=True, slots=True)
class Code(AuthorizationCodeMixin):  # type: ignore[misc] # authlib has no type information
    """An authorization code as Authlib asks about it."""

    stored: AuthorizationCode
    code_challenge_method: str = "S256"

    @property
    def code_challenge(self) -> str:
        """The PKCE challenge it was asked with."""
        return self.stored.challenge

    def get_redirect_uri(self) -> str:
        """The address it was sent to."""
        return self.stored.redirect_uri

    def get_scope(self) -> str:
        """The scopes it was asked with."""
        return self.stored.scope


def redirect_uris(provider: ProxyProvider) -> tuple[str, str]:
    """The two addresses a provider's browser may be sent back to, as authentik has them."""
    host = provider.external_host.rstrip("/")
    return f"{host}{CALLBACK_PATH}?{CALLBACK_QUERY}", f"{host}?{CALLBACK_QUERY}"


def repeated(parameters: Iterable[tuple[str, str]]) -> str | None:
    """The first parameter that comes twice, which RFC 6749 section 3.1 forbids."""
    seen: set[str] = set()
    for name, _ in parameters:
        if name in seen:
            return name
        seen.add(name)
    return None
