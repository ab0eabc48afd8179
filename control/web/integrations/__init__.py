"""The admin pages about integrations: the engines that outposts are deployed to."""

from control.web.integrations.views import blueprint

__all__ = ["blueprint"]
