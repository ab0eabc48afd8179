"""The OpenID provider within one transaction: Authlib's authorization code grant with PKCE, over our repositories.

Made anew for each unit of work, since what it reads and writes is that unit's. Authlib keeps the order of checks that
RFC 6749, RFC 7636 and OpenID Connect ask for; where it would be laxer than we are, the override says so.
"""

import re
import secrets
from datetime import timedelta
from typing import Any

from authlib.oauth2.rfc6749 import AuthorizationServer, InvalidRequestError, OAuth2Error
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import OpenIDCode

from control.auth import sessions
from control.auth.oidc.adapters import Client, Code, Request
from control.auth.oidc.issuer import Issuer
from control.auth.oidc.keys import ensure_signing_key
from control.auth.oidc.tokens import TokenSubject, id_token_claims, sign
from control.auth.sessions import Session
from control.domain.application import Application
from control.domain.decision import Decision, Deny
from control.domain.grant import RefusalReason
from control.domain.identity import Person
from control.domain.policy import decide
from control.domain.security import AuthorizationCode
from control.store import Unit

CODE_LIFETIME = timedelta(minutes=1)
CODE_BYTES = 32
# RFC 7636 section 4.2: BASE64URL of a SHA-256.
_S256_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_LONGEST = {"nonce": 500, "scope": 500, "state": 2000}


class Refused(OAuth2Error):  # type: ignore[misc] # authlib has no type information
    """A redemption that is turned down for a reason of ours."""

    error = "invalid_grant"

    def __init__(self, reason: RefusalReason) -> None:
        super().__init__()
        self.reason = reason


class Server(AuthorizationServer):  # type: ignore[misc] # authlib has no type information
    """Authlib's server on one unit of work."""

    def __init__(self, unit: Unit, issuer: Issuer) -> None:
        super().__init__()
        self.unit = unit
        self.issuer = issuer
        self.register_grant(_Grant, [_Limits(), _Challenge(required=True), _IdToken(require_nonce=True)])
        self.register_token_generator("default", _no_access_token)

    def query_client(self, client_id: str) -> Client | None:
        """The provider of that client id, if it guards an application."""
        provider = self.unit.proxy_providers.find_by_client_id(client_id)
        application = self.unit.applications.find_for_provider(provider.id) if provider else None
        return Client(provider=provider, application=application) if provider and application else None

    def decide(self, person: Person, application: Application) -> Decision:
        """Whether the person may use the application right now."""
        return decide(person, application, self.unit.bindings.of_application(application.id))

    def create_oauth2_request(self, request: Request) -> Request:
        """The request, which is in Authlib's shape already."""
        return request

    def handle_response(self, status: int, body: object, headers: list[tuple[str, str]]) -> Any:  # noqa: ANN401 - Authlib's
        """The response, for whoever carries it."""
        return status, body, dict(headers)

    def save_token(self, token: dict[str, Any], request: Request) -> None:
        """Nothing: an ID token proves itself."""

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Nobody listens."""


class _Grant(AuthorizationCodeGrant):  # type: ignore[misc] # authlib has no type information
    """Codes of 256 bits, stored by their SHA-256, good once and for a minute."""

    TOKEN_ENDPOINT_AUTH_METHODS = ("none",)

    def generate_authorization_code(self) -> str:
        return secrets.token_urlsafe(CODE_BYTES)

    def save_authorization_code(self, code: str, request: Request) -> None:
        unit: Unit = self.server.unit
        unit.codes.drop_expired()
        unit.codes.add(
            AuthorizationCode(
                fingerprint=sessions.fingerprint(code),
                provider=request.client.provider.id,
                user=request.user.sign_in.user,
                sign_in=request.user.sign_in.id,
                redirect_uri=request.payload.redirect_uri,
                nonce=request.payload.data["nonce"],
                challenge=request.payload.data["code_challenge"],
                scope=request.scope,
                expires=unit.now + CODE_LIFETIME,
            )
        )

    def query_authorization_code(self, code: str, client: Client) -> Code | None:
        """The code, used up by being shown, whoever shows it."""
        unit: Unit = self.server.unit
        taken = unit.codes.take(sessions.fingerprint(code))
        if taken is None or taken.provider != client.provider.id or taken.expires <= unit.now:
            return None
        return Code(taken)

    def authenticate_user(self, authorization_code: Code) -> Session:
        """The session the code was born of, if it lives and its person may still use the application."""
        session = sessions.find_session_by_id(self.server.unit, authorization_code.stored.sign_in)
        if session is None:
            raise Refused(RefusalReason.SESSION_ENDED)
        if isinstance(self.server.decide(session.person, self.request.client.application), Deny):
            raise Refused(RefusalReason.ACCESS_DENIED)
        return session

    def delete_authorization_code(self, authorization_code: Code) -> None:
        """Done when it was shown."""


class _Limits:
    """Bounds on what we store and send back, and the parameters we don't serve."""

    def __call__(self, grant: AuthorizationCodeGrant) -> None:
        grant.register_hook("after_validate_authorization_request_payload", self.check)

    def check(self, grant: AuthorizationCodeGrant, redirect_uri: str) -> None:  # noqa: ARG002 - Authlib's signature
        data = grant.request.payload.data
        for name, longest in _LONGEST.items():
            if len(data.get(name, "")) > longest:
                raise InvalidRequestError(f"'{name}' is longer than {longest} characters")
        if data.get("response_mode", "query") != "query":
            raise InvalidRequestError("Only 'response_mode=query' is served")
        # OpenID Connect Core 1.0 sections 6.1 and 6.2
        if "request" in data:
            raise _unserved("request")
        if "request_uri" in data:
            raise _unserved("request_uri")


class _Challenge(CodeChallenge):  # type: ignore[misc] # authlib has no type information
    """PKCE, always, and never `plain` (which Authlib would take, also by default)."""

    SUPPORTED_CODE_CHALLENGE_METHOD = ("S256",)

    def validate_code_challenge(self, grant: AuthorizationCodeGrant, redirect_uri: str) -> None:
        data = grant.request.payload.data
        # RFC 7636 section 4.4.1
        if _S256_CHALLENGE.fullmatch(data.get("code_challenge", "")) is None:
            raise InvalidRequestError("'code_challenge' with the base64url of a SHA-256 is required")
        if data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("'code_challenge_method=S256' is required")
        super().validate_code_challenge(grant, redirect_uri)


class _IdToken(OpenIDCode):  # type: ignore[misc] # authlib has no type information
    """The ID token, which is all a redemption yields."""

    def exists_nonce(self, nonce: str, request: Request) -> bool:  # noqa: ARG002 - Authlib's signature
        """False: one-use codes and PKCE bind a response to its attempt, the outpost checks the nonce."""
        return False

    def process_token(self, grant: AuthorizationCodeGrant, response: tuple[int, dict[str, Any], object]) -> None:
        """Put the token into the response; `openid` was among the scopes when the code was asked for."""
        server: Server = grant.server
        client: Client = grant.request.client
        session: Session = grant.request.user
        subject = TokenSubject(
            person=session.person,
            session=session.sign_in.id,
            authenticated=session.sign_in.authenticated,
            methods=session.sign_in.methods,
            provider=client.provider,
            application=client.application,
            nonce=grant.request.authorization_code.stored.nonce,
            issued=server.unit.now,
            dated=server.unit.moments.of_session(),
            expires=server.unit.now + client.provider.access_token_validity,
        )
        response[1]["id_token"] = sign(id_token_claims(server.issuer, subject), ensure_signing_key(server.unit))
        response[1]["subject"] = subject


def _unserved(parameter: str) -> OAuth2Error:
    return OAuth2Error(f"'{parameter}' is not supported", error=f"{parameter}_not_supported")


def _no_access_token(**_asked: object) -> dict[str, Any]:
    return {"token_type": "Bearer"}
