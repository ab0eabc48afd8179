"""The one normal form of a container: what `render` makes, what the engine is asked to create, and what was found.

A spec has nothing but what control decides, so that whatever an image or an engine adds is nobody's difference. The
token stands in it as its fingerprint. Shapes of requests and answers: Docker Engine API 1.44, ContainerCreate and
ContainerInspect.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from control.fleet.launch import OUTPOST_LABEL
from control.fleet.tokens import fingerprint
from control.integrations.model import Condition, Found, Key, Spec, Wanted

FINGERPRINT_LABEL = "io.garrison.fingerprint"
COMPONENT_LABEL = "io.garrison.component"
# What the engine was asked for where it keeps something else: the id of the container that had the name then.
NETWORK_LABEL = "io.garrison.network"
# What a container is that says nothing of it, such as one that authentik made.
OUTPOST_COMPONENT = "outpost"
TOKEN_VARIABLE = "AUTHENTIK_TOKEN"
TOKEN_PATH = f"env.{TOKEN_VARIABLE}"
_CONTAINER = "container:"
_NO_NEW_PRIVILEGES = "no-new-privileges"
_ANY_ADDRESS = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared with, nothing listens there
# What engines of different versions call a container's network where none was asked for.
_DEFAULT_NETWORKS = frozenset({"", "default", "bridge"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """What control decides about a container. `ports` are written as `9000:9000/tcp`: the host's, then its own."""

    image: str
    command: tuple[str, ...]
    env: Mapping[str, str]
    labels: Mapping[str, str]
    ports: tuple[str, ...] = ()
    network: str = "bridge"
    restart: str = "unless-stopped"
    read_only: bool = True
    tmpfs: Mapping[str, str] = field(default_factory=lambda: {"/tmp": "size=64m"})  # noqa: S108 - in the container
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ("ALL",)
    security: tuple[str, ...] = (_NO_NEW_PRIVILEGES,)
    privileged: bool = False

    @property
    def spec(self) -> Spec:
        """The same as JSON values; lists in one order, the token as its fingerprint."""
        return {
            "image": self.image,
            "command": list(self.command),
            "env": {name: _shown(name, value) for name, value in self.env.items()},
            "labels": dict(self.labels),
            "ports": sorted(self.ports),
            "network": "bridge" if self.network in _DEFAULT_NETWORKS else self.network,
            "restart": self.restart,
            "read_only": self.read_only,
            "tmpfs": dict(self.tmpfs),
            "cap_add": sorted(self.cap_add),
            "cap_drop": sorted(self.cap_drop),
            "security": sorted(self.security),
            "privileged": self.privileged,
        }


def creation(wanted: Wanted) -> dict[str, Any]:
    """The body of the request that creates the container, token and label of the fingerprint included."""
    spec = wanted.spec
    env = {name: wanted.private.get(f"env.{name}", value) for name, value in spec["env"].items()}
    bindings = _bindings(spec["ports"])
    return {
        "Image": spec["image"],
        "Cmd": list(spec["command"]),
        "Env": [f"{name}={value}" for name, value in env.items()],
        "Labels": {**spec["labels"], FINGERPRINT_LABEL: wanted.fingerprint, **_asked(spec["network"])},
        "ExposedPorts": {port: {} for port in bindings},
        "HostConfig": {
            "NetworkMode": spec["network"],
            "PortBindings": bindings,
            "RestartPolicy": {"Name": spec["restart"]},
            "ReadonlyRootfs": spec["read_only"],
            "Tmpfs": dict(spec["tmpfs"]),
            "CapAdd": list(spec["cap_add"]),
            "CapDrop": list(spec["cap_drop"]),
            "SecurityOpt": list(spec["security"]),
            "Privileged": spec["privileged"],
        },
    }


def found_container(inspected: Mapping[str, Any], image: str, key: Key) -> Found:
    """A container as ContainerInspect tells of it; `image` is what its image counts as, a reference or an id."""
    config, host = _part(inspected, "Config"), _part(inspected, "HostConfig")
    labels = dict(_part(config, "Labels"))
    made_as, asked = labels.pop(FINGERPRINT_LABEL, ""), labels.pop(NETWORK_LABEL, "")
    mode = str(host.get("NetworkMode") or "")
    container = Container(
        image=image,
        command=tuple(config.get("Cmd") or ()),
        env=_variables(config.get("Env") or ()),
        labels=labels,
        ports=tuple(_published(_part(host, "PortBindings"))),
        network=_network(mode, asked, _part(_part(inspected, "NetworkSettings"), "Networks")),
        restart=_part(host, "RestartPolicy").get("Name") or "no",
        read_only=bool(host.get("ReadonlyRootfs")),
        tmpfs=_part(host, "Tmpfs"),
        cap_add=tuple(map(_capability, host.get("CapAdd") or ())),
        cap_drop=tuple(map(_capability, host.get("CapDrop") or ())),
        security=tuple(map(_security, host.get("SecurityOpt") or ())),
        privileged=bool(host.get("Privileged")),
    )
    return Found(
        key=key,
        id=str(inspected["Id"]),
        name=str(inspected["Name"]).removeprefix("/"),
        spec=container.spec,
        fingerprint=made_as,
        condition=condition_of(_part(inspected, "State")),
    )


def find_key(labels: Mapping[str, str] | None) -> Key | None:
    """Whose a container of these labels is and which part, or None where it is nobody's that has an id."""
    owner = (labels or {}).get(OUTPOST_LABEL, "")
    try:
        known = UUID(owner)
    except ValueError:
        return None
    # Otherwise the engine's own filter by label would not find it either.
    if str(known) != owner:
        return None
    return Key(owner=known, component=(labels or {}).get(COMPONENT_LABEL, OUTPOST_COMPONENT))


def condition_of(state: Mapping[str, Any]) -> Condition:
    """How a container fares by what its engine says: `State` of ContainerInspect."""
    match state.get("Status"), _part(state, "Health").get("Status"):
        case "running", "starting":
            return Condition.STARTING
        case "running", "unhealthy":
            return Condition.UNHEALTHY
        case "running", _:
            return Condition.RUNNING
        case (("restarting" | "paused"), _):
            return Condition.UNHEALTHY
        case _:
            return Condition.STOPPED


def _shown(name: str, value: str) -> str:
    return fingerprint(value) if name == TOKEN_VARIABLE else value


def _part(whole: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A part that engines leave out, or say null for, where it is empty."""
    return whole.get(name) or {}


def _variables(lines: Iterable[str]) -> dict[str, str]:
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def _bindings(ports: Sequence[str]) -> dict[str, list[dict[str, str]]]:
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in ports:
        outside, _, inside = port.rpartition(":")
        address, _, number = outside.rpartition(":")
        bindings.setdefault(inside, []).append({"HostIp": address, "HostPort": number})
    return bindings


def _published(bindings: Mapping[str, Any]) -> Iterable[str]:
    for inside, places in bindings.items():
        for place in places or ():
            address = "" if place.get("HostIp", "") in _ANY_ADDRESS else f"{place['HostIp']}:"
            yield f"{address}{place.get('HostPort', '')}:{inside}"


def _asked(network: str) -> dict[str, str]:
    return {NETWORK_LABEL: network} if network.startswith(_CONTAINER) else {}


def _network(mode: str, asked: str, joined: Mapping[str, Any]) -> str:
    """The network it was made for, or none where somebody has taken it off that one.

    A network may have been named by its id or the beginning of that.
    """
    if mode.startswith(_CONTAINER):
        return asked or mode
    normal = "bridge" if mode in _DEFAULT_NETWORKS else mode
    ids = [str((each or {}).get("NetworkID", "")) for each in joined.values()]
    return normal if normal in joined or any(each.startswith(normal) for each in ids) else "none"


def _capability(name: str) -> str:
    return name.upper().removeprefix("CAP_")


def _security(option: str) -> str:
    return _NO_NEW_PRIVILEGES if option in {f"{_NO_NEW_PRIVILEGES}:true", f"{_NO_NEW_PRIVILEGES}=true"} else option
