"""The admin pages about outposts."""

from control.web.outposts.views import blueprint

__all__ = ["blueprint"]
