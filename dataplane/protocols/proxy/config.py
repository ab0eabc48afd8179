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
    compiled: Mapping[str, "Compiled"] = field(default_factory=dict)
    """By key, for the next time: compiling is what takes long, and seldom anything but revocations changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """What a resource became, and what it was made of."""

    resource: ProxyProvider | Certificate
    options: Options | None
    value: Application | ssl.SSLContext


Random = Callable[[int], bytes]


def prepare(
    resources: Mapping[str, Resource], version: str, random: Random, before: Prepared | None = None
) -> tuple[Prepared, Mapping[str, str]]:
    """Compile what can be served; the rest as key to reason. What was compiled in `before` and is the same is kept."""
    refused: dict[str, str] = {}
    options = next((resource for resource in resources.values() if isinstance(resource, Options)), None)
    known = before.compiled if before is not None else {}
    compiled: dict[str, Compiled] = {}
    routes = Routes()
    for key, resource in sorted(resources.items()):
        if isinstance(resource, Options | Ended | Changed):
            continue
        try:
            each = _reused(known.get(key), resource, options) or _compile(resource, options, version, random)
            if isinstance(each.value, Application):
                routes.add(each.value)
            compiled[key] = each
        except ConfigRefused as error:
            refused[key] = str(error)
    contexts = {key: each.value for key, each in compiled.items() if isinstance(each.value, ssl.SSLContext)}
    prepared = Prepared(
        options=options,
        routes=routes,
        revocations=Revocations(
            (resource for resource in resources.values() if isinstance(resource, Ended)),
            (resource for resource in resources.values() if isinstance(resource, Changed)),
        ),
        contexts=_names(routes, contexts),
        compiled=compiled,
    )
    return prepared, refused


def _reused(known: Compiled | None, resource: ProxyProvider | Certificate, options: Options | None) -> Compiled | None:
    if known is None or known.resource != resource:
        return None
    return known if isinstance(resource, Certificate) or known.options == options else None


def _compile(resource: ProxyProvider | Certificate, options: Options | None, version: str, random: Random) -> Compiled:
    match resource:
        case ProxyProvider():
            value: Application | ssl.SSLContext = _application(resource, options, version, random)
        case Certificate():
            value = _context(resource)
    return Compiled(resource=resource, options=options, value=value)


def _application(provider: ProxyProvider, options: Options | None, version: str, random: Random) -> Application:
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
