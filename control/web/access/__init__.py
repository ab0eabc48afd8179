"""The admin page that tells why somebody may or may not use an application."""

from control.web.access.views import blueprint

__all__ = ["blueprint"]
