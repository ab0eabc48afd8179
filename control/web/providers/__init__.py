"""The admin pages about providers."""

from control.web.providers.views import blueprint

__all__ = ["blueprint"]
