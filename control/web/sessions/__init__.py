"""The admin page about sessions, and what all pages that list sessions share."""

from control.web.sessions.views import blueprint

__all__ = ["blueprint"]
