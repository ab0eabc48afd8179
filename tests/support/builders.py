"""Domain values with defaults, so a test names only what it is about."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from control.domain.application import Application, LdapProvider, ProxyMode, ProxyProvider
from control.domain.factors import AppPassword, Authenticator
from control.domain.identity import Group, User
from control.domain.integration import Deployment, Integration, IntegrationType
from control.domain.outpost import Outpost

WHEN = datetime(2026, 11, 22, 12, tzinfo=UTC)


def user(username: str = "alice", **fields: Any) -> User:
    """An account that has signed in."""
    return User(
        **{
            "id": uuid4(),
            "username": username,
            "name": username.title(),
            "created": WHEN,
            "updated": WHEN,
            "last_sign_in": WHEN,
            **fields,
        }
    )


def group(name: str = "staff", **fields: Any) -> Group:
    """A group."""
    return Group(**{"id": uuid4(), "name": name, "created": WHEN, "updated": WHEN, **fields})


def provider(name: str = "wiki", **fields: Any) -> ProxyProvider:
    """A proxy provider."""
    defaults = {
        "id": uuid4(),
        "name": name,
        "client_id": f"client-{name}",
        "mode": ProxyMode.FORWARD_SINGLE,
        "external_host": f"https://{name}.example.com",
    }
    return ProxyProvider(**{**defaults, **fields})


def ldap_provider(name: str = "dir", **fields: Any) -> LdapProvider:
    """An LDAP provider."""
    return LdapProvider(**{"id": uuid4(), "name": name, "base_dn": f"dc={name},dc=example,dc=com", **fields})


def authenticator(user: UUID, **fields: Any) -> Authenticator:
    """An authenticator app that was confirmed."""
    defaults = {"id": uuid4(), "user": user, "name": "Phone", "secret": b"s" * 20, "created": WHEN, "confirmed": WHEN}
    return Authenticator(**{**defaults, **fields})


def app_password(user: UUID, **fields: Any) -> AppPassword:
    """An app password that is good nowhere."""
    key = uuid4()
    return AppPassword(
        **{"id": key, "user": user, "name": str(key), "fingerprint": key.hex * 2, "created": WHEN, **fields}
    )


def application(slug: str = "wiki", **fields: Any) -> Application:
    """An application."""
    return Application(**{"id": uuid4(), "slug": slug, "name": slug.title(), **fields})


def integration(name: str = "local", **fields: Any) -> Integration:
    """An integration as it would be stored."""
    made = {"id": uuid4(), "type": IntegrationType.DOCKER, "url": f"unix:///run/{name}.sock", "created": WHEN}
    return Integration(name=name, **{**made, **fields})


def deployment(outpost: Outpost, integration: Integration, **fields: Any) -> Deployment:
    """What lies of an outpost on an integration."""
    made = {"outpost": outpost.id, "integration": integration.id, "name": outpost.name}
    return Deployment(**{"id": uuid4(), "created": WHEN, **made, **fields})
