"""From what is served and an edit of it to what is served next: pure, so that all workers come to the same result.

A resource that can't be served is reported with its reason; what to put in its place is the caller's decision, and
what was prepared with it is not committed. Who has claimed a host keeps it: among newcomers the lower key counts.
Preparing costs what the edit touches, and a copy of the tables of providers where it touches one.
"""

import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from dataplane.config import Certificate, ConfigRefused, Edit, Options, ProxyProvider
from dataplane.io.tls import server_context
from dataplane.protocols.proxy.application import Application
from dataplane.protocols.proxy.routes import Routes
from dataplane.revocations import revocations_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """What a resource became, and what it was made of."""

    resource: ProxyProvider | Certificate
    naming: "Naming | None"
    value: Application | ssl.SSLContext


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """What of the options stands in every application; the others concern none."""

    browser_url: str
    outpost_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """All that a commit swaps in; the revocations it alters in place, for they may be many."""

    options: Options | None = None
    options_key: str = ""
    routes: Routes = field(default_factory=Routes)
    compiled: Mapping[str, Compiled] = field(default_factory=dict)
    """Providers and certificates by key: compiling is what takes long, and seldom more than one of them changes."""
    revocations: Edit = field(default_factory=Edit)

    def find_context(self, name: str) -> ssl.SSLContext | None:
        """The context for a server name, or for `*.` and a domain.

        A provider whose certificate is missing or refused is served with the default one.
        """
        for application in sorted(self.routes.named(name), key=lambda each: each.provider.id):
            context = self._find_context_of(application)
            if context is not None:
                return context
        application_of_domain = self.routes.find_domain(name.removeprefix("*."))
        return None if application_of_domain is None else self._find_context_of(application_of_domain)

    def _find_context_of(self, application: Application) -> ssl.SSLContext | None:
        compiled = self.compiled.get(application.provider.certificate)
        return compiled.value if compiled is not None and isinstance(compiled.value, ssl.SSLContext) else None


Random = Callable[[int], bytes]
_Source = ProxyProvider | Certificate


def prepare(
    edit: Edit, version: str, random: Random, before: Prepared | None = None
) -> tuple[Prepared, Mapping[str, str]]:
    """What `before` becomes by the edit, and what can't be served, as key to reason."""
    before = before or Prepared()
    key, options = edit.options_after(before.options_key, before.options)
    due = _due(edit, options, before)
    gone = due.keys() | (edit.touched & before.compiled.keys())
    refused: dict[str, str] = {}
    routes, compiled = before.routes, before.compiled
    if gone:
        made = dict(before.compiled)
        routes = routes.without(_applications(made.pop(each) for each in gone if each in made))
        compiled = made
        for each, source in sorted(due.items()):
            try:
                new = _reused(before.compiled.get(each), source, options) or _compile(source, options, version, random)
                if isinstance(new.value, Application):
                    routes.add(new.value)
                made[each] = new
            except ConfigRefused as error:
                refused[each] = str(error)
    prepared = Prepared(
        options=options, options_key=key, routes=routes, compiled=compiled, revocations=revocations_of(edit)
    )
    return prepared, refused


def _due(edit: Edit, options: Options | None, before: Prepared) -> dict[str, _Source]:
    """What has to be compiled: what is new or different, and where their options are, all providers."""
    due = {key: each for key, each in edit.changed.items() if isinstance(each, ProxyProvider | Certificate)}
    if _naming(options) != _naming(before.options):
        touched = edit.touched
        for key, each in before.compiled.items():
            if isinstance(each.resource, ProxyProvider) and key not in touched:
                due[key] = each.resource
    return due


def _applications(compiled: Iterable[Compiled]) -> Iterator[Application]:
    return (each.value for each in compiled if isinstance(each.value, Application))


def _naming(options: Options | None) -> Naming | None:
    if options is None:
        return None
    return Naming(browser_url=options.browser_url, outpost_name=options.outpost_name)


def _reused(known: Compiled | None, source: _Source, options: Options | None) -> Compiled | None:
    if known is None or known.resource != source:
        return None
    return known if isinstance(source, Certificate) or known.naming == _naming(options) else None


def _compile(source: _Source, options: Options | None, version: str, random: Random) -> Compiled:
    match source:
        case ProxyProvider():
            value: Application | ssl.SSLContext = _application(source, options, version, random)
        case Certificate():
            value = _context(source)
    return Compiled(resource=source, naming=_naming(options), value=value)


def _application(provider: ProxyProvider, options: Options | None, version: str, random: Random) -> Application:
    if options is None:
        raise ConfigRefused(f"provider {provider.name!r} came without the outpost's options")
    return Application(provider, options, version, random)


def _context(certificate: Certificate) -> ssl.SSLContext:
    try:
        return server_context(certificate.chain, certificate.private_key)
    except ValueError as error:
        raise ConfigRefused(f"certificate {certificate.name!r}: {error}") from error
