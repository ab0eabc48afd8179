"""The admin pages about background work: what ran, runs and waits, one run with what it says, and what may be asked."""

from control.web.tasks.views import blueprint

__all__ = ["blueprint"]
