"""The first page of the admin interface: how everything is, at a glance."""

from control.web.overview.views import blueprint

__all__ = ["blueprint"]
