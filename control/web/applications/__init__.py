"""The admin pages about applications."""

from control.web.applications.views import blueprint

__all__ = ["blueprint"]
