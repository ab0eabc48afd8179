"""What an engine allows us, found out without any effect there.

Asked are calls that get through and are refused for another reason, such as a name that nothing can have.
"""

from control.domain.integration import PERMISSIONS
from control.fleet.launch import OUTPOST_LABEL
from control.integrations.docker.engine import NOBODY, Engine
from control.integrations.docker.refusals import NotAllowed, Refused
from control.integrations.model import Checked

_Probe = tuple[str, str, dict[str, str], str | None]
_ONE = f"/containers/{NOBODY}"
# All that the other permissions consist of. None of these names is one; nothing can be created without an image.
_PROBES: dict[str, tuple[_Probe, ...]] = {
    "images pull": (
        ("POST", "/images/create", {"fromImage": "NOBODY", "tag": "none"}, None),
        ("GET", "/images/NOBODY/json", {}, None),
    ),
    "containers create": (
        ("POST", "/containers/create", {"name": NOBODY}, "{}"),
        ("POST", f"{_ONE}/start", {}, None),
    ),
    "containers kill": (("POST", f"{_ONE}/kill", {"signal": "KILL"}, None),),
    "containers remove": (("DELETE", _ONE, {}, None),),
}


def preflight(engine: Engine) -> Checked:
    """Ask the engine. Raises TargetAway."""
    refused = {name for name, probes in _PROBES.items() if not all(engine.is_allowed(*probe) for probe in probes)}
    if not _can_read(engine):
        refused.add("containers read")
    return Checked(version=engine.version(), missing=tuple(name for name in PERMISSIONS if name in refused))


def _can_read(engine: Engine) -> bool:
    """By all that looking at outposts asks: an engine that can't answer that is of no use, whatever else it answers."""
    try:
        engine.containers(OUTPOST_LABEL)
        engine.inspect(NOBODY)
    except NotAllowed:
        return False
    except Refused:
        # There is none.
        return True
    return True
