"""The start page of everybody who signs in: the applications they may use."""

from control.web.portal.views import register

__all__ = ["register"]
