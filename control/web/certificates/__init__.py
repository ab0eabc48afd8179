"""The admin pages about certificates."""

from control.web.certificates.views import blueprint

__all__ = ["blueprint"]
