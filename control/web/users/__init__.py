"""The admin pages about users."""

from control.web.users.views import blueprint

__all__ = ["blueprint"]
