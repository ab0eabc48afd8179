"""The table from an outpost's type to what builds its protocol server. Imported by workers only, after patching.

A worker serves one protocol, so it imports that one alone.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from dataplane.gate import Gate
from dataplane.io.dial import TcpAddress
from dataplane.io.limits import Limits
from dataplane.io.lines import Lines
from dataplane.io.passage import PassageSettings
from dataplane.link.channel import SERVER_NAME
from dataplane.runtime import tracing
from dataplane.runtime.descriptors import connection_bound
from dataplane.runtime.messages import Setup
from dataplane.runtime.server import ProtocolServer
from dataplane.sansio.clients import DEFAULT_TRUSTED
from dataplane.verifier import Sharing

_STDOUT = 1
"""Where access and decision log go, for standard error has what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a protocol server takes from outside. `want_directory` asks for all users and groups."""

    gate: Gate
    clock: Callable[[], float]
    random: Callable[[int], bytes]
    sharing: Sharing
    want_directory: Callable[[], None]


Builder = Callable[[Setup, Surroundings], ProtocolServer[Any]]


def _proxy(setup: Setup, surroundings: Surroundings) -> ProtocolServer[Any]:
    from dataplane.protocols.proxy.server import LIMITS, ProxyServer, ProxySettings
    from dataplane.protocols.proxy.told.lines import lost_of
    from dataplane.protocols.proxy.told.told import Outlets

    lines = Lines(_STDOUT, lost_of(setup.slot, surroundings.clock))
    outlets = Outlets(worker=setup.slot, sink=lines, tracing=tracing.find(os.environ, setup.version, setup.slot))
    settings = ProxySettings(
        trusted_cidrs=_trusted(setup),
        control_socket=setup.control_socket or None,
        passage=_passage(setup),
        version=setup.version,
        limits=_within_descriptors(LIMITS, setup.type),
        service_hosts=frozenset(setup.service_hosts),
        outlets=outlets,
        certificate=setup.certificate,
    )
    server = ProxyServer(settings, surroundings.gate, surroundings.clock, surroundings.random)
    server.join(surroundings.sharing)
    return server


def _ldap(setup: Setup, surroundings: Surroundings) -> ProtocolServer[Any]:
    from dataplane.protocols.ldap.server import LIMITS, LdapServer, LdapSettings

    settings = LdapSettings(
        version=setup.version,
        trusted_cidrs=_trusted(setup),
        limits=_within_descriptors(LIMITS, setup.type),
        certificate=setup.certificate,
    )
    server = LdapServer(
        settings, surroundings.gate, surroundings.clock, surroundings.random, surroundings.want_directory
    )
    server.join(surroundings.sharing)
    return server


def _trusted(setup: Setup) -> tuple[str, ...]:
    return DEFAULT_TRUSTED if setup.trusted_cidrs is None else setup.trusted_cidrs


def _within_descriptors(limits: Limits, type_: str) -> Limits:
    return replace(limits, connections=min(limits.connections, connection_bound(type_)))


def _passage(setup: Setup) -> PassageSettings | None:
    addresses = tuple(TcpAddress(host=each.host, port=each.port) for each in setup.passage)
    return PassageSettings(server_name=SERVER_NAME, addresses=addresses) if addresses else None


_BUILDERS: dict[str, Builder] = {"proxy": _proxy, "ldap": _ldap}


def get_builder(outpost_type: str) -> Builder:
    """The builder of a type; the settings let through only those that are served."""
    return _BUILDERS[outpost_type]
