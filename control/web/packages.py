"""The packages the app is made of: each brings `register(app)`, which adds its blueprints."""

from collections.abc import Callable

from flask import Flask

from control.web import enrol, health, oidc, signin

PACKAGES: tuple[Callable[[Flask], None], ...] = (health.register, enrol.register, signin.register, oidc.register)
