"""The audit trail: who did what, on what, from where, with which outcome and why."""

from control.web.audit.views import blueprint

__all__ = ["blueprint"]
