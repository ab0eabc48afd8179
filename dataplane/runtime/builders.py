"""The table from an outpost's type to what builds its protocol server. Imported by workers only, after patching."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dataplane.gate import Gate
from dataplane.io.dial import TcpAddress
from dataplane.io.passage import PassageSettings
from dataplane.link.channel import SERVER_NAME
from dataplane.protocols.proxy.server import Limits, ProxyServer, ProxySettings
from dataplane.runtime.descriptors import connection_bound
from dataplane.runtime.messages import Setup
from dataplane.runtime.server import ProtocolServer
from dataplane.sansio.clients import DEFAULT_TRUSTED
from dataplane.verifier import Sharing


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a protocol server takes from outside."""

    gate: Gate
    clock: Callable[[], float]
    random: Callable[[int], bytes]
    sharing: Sharing
    want_directory: Callable[[], None]


Builder = Callable[[Setup, Surroundings], ProtocolServer[Any]]


def _proxy(setup: Setup, surroundings: Surroundings) -> ProtocolServer[Any]:
    settings = ProxySettings(
        trusted_cidrs=DEFAULT_TRUSTED if setup.trusted_cidrs is None else setup.trusted_cidrs,
        control_socket=setup.control_socket or None,
        passage=_passage(setup),
        version=setup.version,
        limits=Limits(connections=min(Limits().connections, connection_bound())),
        service_hosts=frozenset(setup.service_hosts),
    )
    server = ProxyServer(settings, surroundings.gate, surroundings.clock, surroundings.random)
    server.join(surroundings.sharing)
    return server


def _passage(setup: Setup) -> PassageSettings | None:
    addresses = tuple(TcpAddress(host=each.host, port=each.port) for each in setup.passage)
    return PassageSettings(server_name=SERVER_NAME, addresses=addresses) if addresses else None


_BUILDERS: dict[str, Builder] = {"proxy": _proxy}


def get_builder(outpost_type: str) -> Builder:
    """The builder of a type; the settings let through only those that are served."""
    return _BUILDERS[outpost_type]
