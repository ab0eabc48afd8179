"""The admin page about who has to wait after failed sign-ins."""

from control.web.lockouts.views import blueprint

__all__ = ["blueprint"]
