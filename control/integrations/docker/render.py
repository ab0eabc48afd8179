"""An outpost as containers: what `control.fleet.launch` knows of starting one, in the form that Docker gets.

What types differ in is a table: which ports clients come to, which labels a reverse proxy reads, and which containers
go along. Port 9300 is never published: its metrics are for whoever is on the container's network.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from control.domain.outpost import OutpostType
from control.fleet.launch import Launch, Sites
from control.integrations.differences import NAME
from control.integrations.docker.spec import COMPONENT_LABEL, OUTPOST_COMPONENT, TOKEN_PATH, Container
from control.integrations.model import Key, Wanted

# Labels that begin so are ours alone: others would be taken for ours when they are found.
_OURS = "io.garrison."
_PATHS = "/outpost.goauthentik.io"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What containers of one type have: `ports` as `389:3389/tcp` (the host's, then the container's).

    `labels` says more by the name of the container and the sites it serves; `companions` go along with it.
    """

    ports: tuple[str, ...] = ()
    labels: Callable[[str, Sites], Mapping[str, str]] = lambda _name, _sites: {}
    companions: tuple[Callable[[Launch], Wanted], ...] = ()


def traefik_labels(name: str, sites: Sites) -> Mapping[str, str]:
    """What Traefik's Docker provider reads: paths of the outpost at each of the hosts lead to it, or all of a host.

    Without hosts there is nothing to route, and a rule for none would be no rule.
    """
    rule = _rule(_hosts(sites.asked), _hosts(sites.proxied))
    if not rule:
        return {"traefik.enable": "false"}
    router, service = f"traefik.http.routers.{name}-router", f"traefik.http.services.{name}-service.loadbalancer"
    return {
        "traefik.enable": "true",
        f"{router}.rule": rule,
        f"{router}.tls": "true",
        f"{router}.service": f"{name}-service",
        f"{service}.healthcheck.path": f"{_PATHS}/ping",
        f"{service}.healthcheck.port": "9300",
        f"{service}.server.port": "9000",
    }


def _rule(asked: frozenset[str], proxied: frozenset[str]) -> str:
    """In words of Traefik's; empty where there is nothing to route."""
    only_asked = asked - proxied
    paths = f"({_at(only_asked)}) && PathPrefix(`{_PATHS}`)" if only_asked else ""
    if not paths or not proxied:
        return paths or _at(proxied)
    return f"({paths}) || {_at(proxied)}"


def _hosts(urls: Iterable[str]) -> frozenset[str]:
    return frozenset(urlsplit(url).hostname or "" for url in urls) - {""}


def _at(hosts: Iterable[str]) -> str:
    return " || ".join(f"Host(`{host}`)" for host in sorted(hosts))


SHAPES: Mapping[OutpostType, Shape] = {
    OutpostType.PROXY: Shape(ports=("9000:9000/tcp", "9443:9443/tcp"), labels=traefik_labels),
    OutpostType.LDAP: Shape(ports=("389:3389/tcp", "636:6636/tcp")),
}


def render(launch: Launch, sites: Sites, accepted_tokens: frozenset[str]) -> tuple[Wanted, ...]:
    """The containers of an outpost; `accepted_tokens` are the fingerprints of those it may have been started with."""
    return render_as(SHAPES[launch.outpost.type], launch, sites, accepted_tokens)


def render_as(shape: Shape, launch: Launch, sites: Sites, accepted_tokens: frozenset[str]) -> tuple[Wanted, ...]:
    """The containers of an outpost, its own one first."""
    own = Wanted(
        key=Key(owner=launch.outpost.id, component=OUTPOST_COMPONENT),
        name=launch.name,
        spec=_container(shape, launch, sites).spec,
        in_place=frozenset({NAME}),
        accepts={TOKEN_PATH: accepted_tokens},
        hidden=frozenset({TOKEN_PATH}),
        private={TOKEN_PATH: launch.token},
        exclusive=_holds_ports(shape, launch),
    )
    return (own, *(companion(launch) for companion in shape.companions))


def _container(shape: Shape, launch: Launch, sites: Sites) -> Container:
    of_admin = {key: value for key, value in launch.labels.items() if not key.startswith(_OURS)}
    return Container(
        image=launch.image,
        command=(launch.outpost.type.value,),
        env=launch.environment,
        labels={**of_admin, **shape.labels(launch.name, sites), COMPONENT_LABEL: OUTPOST_COMPONENT},
        ports=shape.ports if launch.publishes else (),
        network=launch.network_mode or launch.network,
    )


def _holds_ports(shape: Shape, launch: Launch) -> bool:
    """Whether a second one could not listen: ports of a host, and of another container, are there once."""
    shares_network = launch.network_mode == "host" or launch.network_mode.startswith("container:")
    return shares_network or (launch.publishes and bool(shape.ports))
