"""Where the OpenID provider stands: the addresses that tokens and discovery name."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """Garrison's public address, without a trailing slash. Each application has an issuer of its own below it."""

    url: str

    def of(self, slug: str) -> str:
        """The issuer of one application's tokens, the `iss` claim."""
        return f"{self.url}/application/o/{slug}/"

    def jwks(self, slug: str) -> str:
        """Where the keys are that verify them."""
        return f"{self.of(slug)}jwks/"

    def end_session(self, slug: str) -> str:
        """Where a browser goes to sign out."""
        return f"{self.of(slug)}end-session/"

    @property
    def authorize(self) -> str:
        """The authorization endpoint."""
        return f"{self.url}/application/o/authorize/"


def configuration(issuer: Issuer, slug: str) -> dict[str, object]:
    """The discovery document of one application (OpenID Connect Discovery 1.0 section 3).

    It has no `token_endpoint`, which that section asks for, because there is none over HTTP: outposts redeem codes
    over the link, where their certificate says who they are. A document that named one would lie.
    """
    return {
        "issuer": issuer.of(slug),
        "authorization_endpoint": issuer.authorize,
        "jwks_uri": issuer.jwks(slug),
        "end_session_endpoint": issuer.end_session(slug),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": ["openid", "profile", "email", "entitlements", "ak_proxy"],
        "claims_supported": [
            "iss",
            "aud",
            "sub",
            "sid",
            "exp",
            "iat",
            "auth_time",
            "amr",
            "nonce",
            "preferred_username",
            "name",
            "email",
            "email_verified",
            "groups",
            "entitlements",
            "ak_proxy",
        ],
        "prompt_values_supported": ["none", "login"],
        "claims_parameter_supported": False,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
    }
