"""The admin pages about what holds the link together: authorities, addresses, processes."""

from control.web.trust.views import blueprint

__all__ = ["blueprint"]
