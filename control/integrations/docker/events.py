"""What happens to containers of outposts, as the engine tells of it: whose they are, nothing more.

Who follows looks at the engine then: events are a hint, not the truth.
"""

import json
import threading
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

from control.fleet.launch import OUTPOST_LABEL
from control.integrations.docker.engine import Engine
from control.integrations.docker.spec import find_key

# Actions after which a container may be otherwise than wanted, or healthy at last. Health is `health_status: healthy`.
_ACTIONS = ("create", "start", "die", "destroy", "rename", "update", "pause", "unpause", "health_status")


def follow(engine: Engine, stopping: threading.Event) -> Iterator[UUID]:
    """Owners of containers to which something has happened, until `stopping` is set and `engine.cut` called.

    Raises NotAllowed where the engine's events are refused to us, TargetAway where it goes away.
    """
    filters = {"type": ["container"], "label": [OUTPOST_LABEL], "event": list(_ACTIONS)}
    params = {"filters": json.dumps(filters)}
    while not stopping.is_set():
        for event in engine.events(params, engine.limits.follow):
            # After a time in which nothing has come, from there on: an engine that does not answer then is away.
            params["since"] = _time(event) or params.get("since", "")
            owner = _owner(event)
            if owner is not None:
                yield owner
            if stopping.is_set():
                return


def _owner(event: Mapping[str, Any]) -> UUID | None:
    attributes = (event.get("Actor") or {}).get("Attributes") or {}
    key = find_key(attributes)
    return key.owner if key is not None else None


def _time(event: Mapping[str, Any]) -> str:
    """The engine's own time of an event, as it wants it in `since`, just after it."""
    stamp = event.get("timeNano")
    if not isinstance(stamp, int):
        return str(event.get("time") or "")
    seconds, rest = divmod(stamp + 1, 10**9)
    return f"{seconds}.{rest:09}"
