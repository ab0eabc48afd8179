"""A container in place of another, and back to that one where it does not become healthy.

Three ways, by what the engine allows and whether both can run at once (ports that are mapped can't be had twice):
beside (nothing is missed), aside (the old one waits under another name), anew (it is made again from what was seen of
it). Cut off anywhere, what lies there then is mended by the next plan: names and labels tell all there is to know.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace as with_changes
from typing import Any

from control.domain.task import LineLevel
from control.integrations.docker.containers import Containers
from control.integrations.docker.refusals import Missing
from control.integrations.model import ActionFailed, Cancelled, Found, Replace, Said, Wanted

# Parts of ContainerInspect's Config that are of the container itself, and not of how it was made.
_OWN = frozenset({"MacAddress"})
# Networks in which a container has another's host name: nobody can tell then which one has connected.
_HOSTS_OF_OTHERS = ("host", "container:")


def replace(containers: Containers, action: Replace, *, can_rename: bool) -> None:
    """Carry it out. Raises ActionFailed, with `restored` where the old one serves again; Cancelled after going back."""
    wanted, found = action.wanted, action.found
    # Before anything is hurt: whether the name can be had at all.
    containers.check_name(wanted.name, wanted.key)
    if containers.is_ready(found.id) and not wanted.spec["network"].startswith(_HOSTS_OF_OTHERS):
        containers = with_changes(containers, must_connect=True)
    if can_rename and action.beside:
        _beside(containers, wanted, found)
    elif can_rename:
        _aside(containers, wanted, found)
    else:
        _anew(containers, wanted, found)


def _beside(containers: Containers, wanted: Wanted, found: Found) -> None:
    if found.name == _next_name(wanted):
        # What was cut off here before, and serves.
        _step_aside(containers, wanted, found)
    new = containers.create(wanted, _next_name(wanted))

    def back(muted: Containers) -> None:
        muted.drop(new)
        muted.rename(found.id, _name_of_old(wanted, found), wanted.key)

    with _or_back(containers, wanted, found, back):
        containers.start(new)
        containers.settle(new, wanted.name)
    _step_aside(containers, wanted, found)
    containers.rename(new, wanted.name, wanted.key)
    _told(containers, "swapped", wanted)
    containers.drop(found.id)


def _aside(containers: Containers, wanted: Wanted, found: Found) -> None:
    _step_aside(containers, wanted, found)
    with _or_back(containers, wanted, found, lambda muted: _return(muted, wanted, found)):
        # Made before the old one ends: much of what can fail fails here.
        new = containers.create(wanted, wanted.name)
        _told(containers, "stopping", wanted)
        containers.end(found.id)
        containers.start(new)
        containers.settle(new, wanted.name)
    containers.drop(found.id)


def _anew(containers: Containers, wanted: Wanted, found: Found) -> None:
    try:
        seen = containers.engine.inspect(found.id)
    except Missing:
        seen = {}
    _told(containers, "stopping", wanted)
    containers.drop(found.id)
    with _or_back(containers, wanted, found, lambda muted: _make_again(muted, wanted, found, seen)):
        new = containers.create(wanted, wanted.name)
        containers.start(new)
        containers.settle(new, wanted.name)


def _name_of_old(wanted: Wanted, found: Found) -> str:
    """What the old one is called when it serves again: not as what is only so called on the way."""
    return wanted.name if found.name in {aside_name(wanted), _next_name(wanted)} else found.name


def _piece(wanted: Wanted) -> str:
    """Of the outpost's id, so that no other one is called so."""
    return wanted.key.owner.hex[:8]


def _next_name(wanted: Wanted) -> str:
    return f"{wanted.name}-next-{_piece(wanted)}"


def aside_name(wanted: Wanted) -> str:
    """What one is called that is to go, as soon as its successor is there."""
    return f"{wanted.name}-old-{_piece(wanted)}"


def _step_aside(containers: Containers, wanted: Wanted, found: Found) -> None:
    containers.rename(found.id, aside_name(wanted), wanted.key)


def _return(containers: Containers, wanted: Wanted, found: Found) -> None:
    """The old one back under its name, in place of whatever has it."""
    containers.clear(wanted.name, wanted.key)
    containers.rename(found.id, _name_of_old(wanted, found), wanted.key)
    containers.start(found.id)


def _make_again(containers: Containers, wanted: Wanted, found: Found, seen: Mapping[str, Any]) -> None:
    containers.clear(wanted.name, wanted.key)
    if not seen:
        raise ActionFailed("not_made", found.name)
    containers.start(containers.make(body_of(seen), _name_of_old(wanted, found)))


@contextmanager
def _or_back(
    containers: Containers, wanted: Wanted, found: Found, back: Callable[[Containers], None]
) -> Iterator[None]:
    """Go back where the block fails, or is no longer wanted. What fails on the way back is told beside it."""
    # On the way back nobody is asked whether to go on.
    muted = with_changes(containers, report=lambda _: None)
    try:
        yield
    except Cancelled:
        back(muted)
        raise
    except ActionFailed as error:
        try:
            back(muted)
        except ActionFailed as further:
            raise ActionFailed(error.code, f"{error.detail}; {further.code}: {further.detail}") from error
        raise ActionFailed(error.code, error.detail, restored=muted.runs(_name_of_old(wanted, found))) from error


def _told(containers: Containers, code: str, wanted: Wanted) -> None:
    level = LineLevel.WARNING if code == "stopping" else LineLevel.INFO
    containers.report(Said(code=code, values={"name": wanted.name}, level=level))


def body_of(seen: Mapping[str, Any]) -> dict[str, Any]:
    """What ContainerInspect told of a container, as a request for one like it, with the very image it ran."""
    config = {name: value for name, value in (seen.get("Config") or {}).items() if name not in _OWN}
    if config.get("Hostname") == str(seen["Id"])[:12]:
        del config["Hostname"]
    host = dict(seen.get("HostConfig") or {})
    networks = (seen.get("NetworkSettings") or {}).get("Networks") or {}
    return {
        **config,
        "Image": seen["Image"],
        "HostConfig": host,
        "NetworkingConfig": {"EndpointsConfig": {name: _endpoint(seen, each) for name, each in networks.items()}},
    }


def _endpoint(seen: Mapping[str, Any], endpoint: Mapping[str, Any] | None) -> dict[str, Any]:
    known = endpoint or {}
    aliases = [each for each in known.get("Aliases") or () if each != str(seen["Id"])[:12]]
    return {"IPAMConfig": known.get("IPAMConfig"), "Links": known.get("Links"), "Aliases": aliases or None}
