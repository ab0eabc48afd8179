"""Signing in and out."""

from control.web.signin.views import register

__all__ = ["register"]
