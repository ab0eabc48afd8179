"""The packages the app is made of: each brings `register(app)`, which adds its blueprints."""

from collections.abc import Callable

from flask import Flask

from control.web import account, admin, enrol, health, oidc, portal, signin

PACKAGES: tuple[Callable[[Flask], None], ...] = (
    health.register,
    signin.register,
    oidc.register,
    enrol.register,
    portal.register,
    account.register,
    admin.register,
)
