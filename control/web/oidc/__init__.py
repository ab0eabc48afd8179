"""OpenID Connect as browsers and verifiers see it; codes are redeemed over the link."""

from control.web.oidc.views import register

__all__ = ["register"]
