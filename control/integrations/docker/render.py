"""An outpost as containers: what `control.fleet.launch` knows of starting one, in the form that Docker gets.

What types differ in is a table: which ports clients come to, which labels a reverse proxy reads, and which containers
go along. Port 9300 is never published: its metrics are for whoever is on the container's network.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from control.domain.outpost import OutpostType
from control.fleet.launch import Launch
from control.integrations.differences import NAME
from control.integrations.docker.spec import COMPONENT_LABEL, OUTPOST_COMPONENT, TOKEN_PATH, Container
from control.integrations.model import Key, Wanted

# Labels that begin so are ours alone: others would be taken for ours when they are found.
_OURS = "io.garrison."
_PATHS = "/outpost.goauthentik.io"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What containers of one type have: `ports` as `389:3389/tcp` (the host's, then the container's).

    `labels` says more by the name of the container and the hosts it serves; `companions` go along with it.
    """

    ports: tuple[str, ...] = ()
    labels: Callable[[str, Sequence[str]], Mapping[str, str]] = lambda _name, _hosts: {}
    companions: tuple[Callable[[Launch], Wanted], ...] = ()


def traefik_labels(name: str, hosts: Sequence[str]) -> Mapping[str, str]:
    """What Traefik's Docker provider reads: paths of the outpost at each of the hosts lead to it.

    Without hosts there is nothing to route, and a rule for none would be no rule.
    """
    if not hosts:
        return {"traefik.enable": "false"}
    at_hosts = " || ".join(f"Host(`{host}`)" for host in hosts)
    router, service = f"traefik.http.routers.{name}-router", f"traefik.http.services.{name}-service.loadbalancer"
    return {
        "traefik.enable": "true",
        f"{router}.rule": f"({at_hosts}) && PathPrefix(`{_PATHS}`)",
        f"{router}.tls": "true",
        f"{router}.service": f"{name}-service",
        f"{service}.healthcheck.path": f"{_PATHS}/ping",
        f"{service}.healthcheck.port": "9300",
        f"{service}.server.port": "9000",
    }


SHAPES: Mapping[OutpostType, Shape] = {
    OutpostType.PROXY: Shape(ports=("9000:9000/tcp", "9443:9443/tcp"), labels=traefik_labels),
    OutpostType.LDAP: Shape(ports=("389:3389/tcp", "636:6636/tcp")),
}


def render(launch: Launch, hosts: Sequence[str], accepted_tokens: frozenset[str]) -> tuple[Wanted, ...]:
    """The containers of an outpost.

    `hosts` are the external hosts (URLs) of its proxy providers, `accepted_tokens` the fingerprints of the tokens that
    it may have been started with.
    """
    return render_as(SHAPES[launch.outpost.type], launch, hosts, accepted_tokens)


def render_as(
    shape: Shape, launch: Launch, hosts: Sequence[str], accepted_tokens: frozenset[str]
) -> tuple[Wanted, ...]:
    """The containers of an outpost, its own one first."""
    names = sorted({urlsplit(host).hostname or "" for host in hosts} - {""})
    own = Wanted(
        key=Key(owner=launch.outpost.id, component=OUTPOST_COMPONENT),
        name=launch.name,
        spec=_container(shape, launch, names).spec,
        in_place=frozenset({NAME}),
        accepts={TOKEN_PATH: accepted_tokens},
        hidden=frozenset({TOKEN_PATH}),
        private={TOKEN_PATH: launch.token},
        exclusive=_holds_ports(shape, launch),
    )
    return (own, *(companion(launch) for companion in shape.companions))


def _container(shape: Shape, launch: Launch, names: Sequence[str]) -> Container:
    of_admin = {key: value for key, value in launch.labels.items() if not key.startswith(_OURS)}
    return Container(
        image=launch.image,
        command=(launch.outpost.type.value,),
        env=launch.environment,
        labels={**of_admin, **shape.labels(launch.name, names), COMPONENT_LABEL: OUTPOST_COMPONENT},
        ports=shape.ports if launch.publishes else (),
        network=launch.network_mode or launch.network,
    )


def _holds_ports(shape: Shape, launch: Launch) -> bool:
    """Whether a second one could not listen: ports of a host, and of another container, are there once."""
    shares_network = launch.network_mode == "host" or launch.network_mode.startswith("container:")
    return shares_network or (launch.publishes and bool(shape.ports))
