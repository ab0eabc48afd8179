"""What a unit of work did, as before and after; the audit trail and the consequences are drawn from it."""

from dataclasses import dataclass, fields
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """That a user is directly in a group."""

    user: UUID
    group: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class AllSessions:
    """Every session of a user, those too that outlived the sign-in they were born of."""

    user: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One object created (`before` is None), updated, or removed (`after` is None)."""

    kind: str
    target: str
    name: str
    before: Any
    after: Any

    @property
    def action(self) -> str:
        """The word of the audit trail."""
        if self.before is None:
            return "created"
        return "updated" if self.after is not None else "removed"

    @property
    def changed(self) -> tuple[str, ...]:
        """Names of the fields that differ; empty unless updated."""
        if self.before is None or self.after is None:
            return ()
        names = (field.name for field in fields(self.before))
        return tuple(name for name in names if getattr(self.before, name) != getattr(self.after, name))
