"""Where the objects of events have pages of their own, as long as they exist."""

from collections.abc import Callable, Mapping
from uuid import UUID

from flask import url_for

from control.domain.security import AuditEvent
from control.store import Unit

_FINDERS: Mapping[str, Callable[[Unit, UUID], object]] = {
    "application": lambda unit, key: unit.applications.find(key),
    "certificate": lambda unit, key: unit.certificates.find(key),
    "group": lambda unit, key: unit.groups.find(key),
    "integration": lambda unit, key: unit.integrations.find(key),
    "outpost": lambda unit, key: unit.outposts.find(key),
    "provider": lambda unit, key: unit.providers.find(key),
    "task": lambda unit, key: unit.runs.find(key),
    "user": lambda unit, key: unit.users.find(key),
}


def find_object_url(unit: Unit, event: AuditEvent) -> str:
    """The page of what the event is about, or "" where it has none or is gone."""
    key, find = _find_id(event.target), _FINDERS.get(event.kind)
    if key is None or find is None or find(unit, key) is None:
        return ""
    return url_for(f"admin.{event.kind}s.detail", key=key)


def find_actor_url(unit: Unit, event: AuditEvent) -> str:
    """The page of who did it, or "" where that is nobody of the directory."""
    user = unit.users.find_named(event.actor)
    return url_for("admin.users.detail", key=user.id) if user is not None else ""


def _find_id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
