"""What people change about their own account."""

from control.web.account.views import register

__all__ = ["register"]
