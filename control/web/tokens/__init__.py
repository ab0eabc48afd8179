"""The admin pages about tokens."""

from control.web.tokens.views import blueprint

__all__ = ["blueprint"]
