"""The admin pages about groups."""

from control.web.groups.views import blueprint

__all__ = ["blueprint"]
