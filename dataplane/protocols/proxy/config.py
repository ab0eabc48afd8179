"""From the full set of resources to what a worker serves by: pure, so that all workers come to the same result.

A resource that can't be served is reported with its reason and left out; what to put in its place is the caller's
decision.
"""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from dataplane.config import Certificate, Changed, ConfigRefused, Ended, Options, ProxyProvider, Resource
from dataplane.io.tls import server_context
from dataplane.protocols.proxy.application import Application
from dataplane.protocols.proxy.revocations import Revocations
from dataplane.protocols.proxy.routes import Routes


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """All that a commit swaps in."""

    options: Options | None = None
    routes: Routes = field(default_factory=Routes)
    revocations: Revocations = field(default_factory=Revocations)
    contexts: Mapping[str, ssl.SSLContext] = field(default_factory=dict)


def prepare(
    resources: Mapping[str, Resource], version: str, random: Callable[[int], bytes]
) -> tuple[Prepared, Mapping[str, str]]:
    """Compile what can be served; the rest as key to reason."""
    refused: dict[str, str] = {}
    options = next((resource for resource in resources.values() if isinstance(resource, Options)), None)
    contexts: dict[str, ssl.SSLContext] = {}
    routes = Routes()
    for key, resource in sorted(resources.items()):
        try:
            match resource:
                case ProxyProvider():
                    routes.add(_application(resource, options, version, random))
                case Certificate():
                    contexts[key] = _context(resource)
                case Options() | Ended() | Changed():
                    continue
        except ConfigRefused as error:
            refused[key] = str(error)
    prepared = Prepared(
        options=options,
        routes=routes,
        revocations=Revocations(
            (resource for resource in resources.values() if isinstance(resource, Ended)),
            (resource for resource in resources.values() if isinstance(resource, Changed)),
        ),
        contexts=_names(routes, contexts),
    )
    return prepared, refused


def _application(
    provider: ProxyProvider, options: Options | None, version: str, random: Callable[[int], bytes]
) -> Application:
    if options is None:
        raise ConfigRefused(f"provider {provider.name!r} came without the outpost's options")
    return Application(provider, options, version, random)


def _context(certificate: Certificate) -> ssl.SSLContext:
    try:
        return server_context(certificate.chain, certificate.private_key)
    except ValueError as error:
        raise ConfigRefused(f"certificate {certificate.name!r}: {error}") from error


def _names(routes: Routes, contexts: Mapping[str, ssl.SSLContext]) -> dict[str, ssl.SSLContext]:
    """Server name to context. A provider whose certificate is missing or refused is served with the default one."""
    by_name: dict[str, ssl.SSLContext] = {}
    for application in routes.applications:
        context = contexts.get(application.provider.certificate)
        if context is None:
            continue
        by_name[application.origin.name] = context
        if application.domain:
            by_name.setdefault(application.domain, context)
            by_name.setdefault(f"*.{application.domain}", context)
    return by_name
