"""From what is served and an edit of it to what is served next: pure, so that all workers come to the same result.

A resource that can't be served is reported with its reason; what to put in its place is the caller's decision, and
what was prepared with it is not committed. Who has claimed a host keeps it: among newcomers the lower key counts.
Preparing costs what the edit touches, and a copy of the tables of providers where it touches one.
"""

import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from dataplane.config import Certificate, ConfigRefused, Edit, Options, ProxyMode, ProxyProvider
from dataplane.io.tls import server_context
from dataplane.protocols.proxy.application import Application
from dataplane.protocols.proxy.backend import Backend, prepare_backend
from dataplane.protocols.proxy.routes import Routes
from dataplane.revocations import revocations_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """What a resource became, and what it was made of."""

    resource: ProxyProvider | Certificate
    naming: "Naming | None"
    value: Application | ssl.SSLContext
    shown: Certificate | None = None
    """What an application is shown in mode proxy."""


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
    left: tuple[Backend, ...] = ()
    """What a commit lets go of: nobody has taken it over."""

    def find_context(self, name: str) -> ssl.SSLContext | None:
        """The context for a server name, or for `*.` and a domain.

        A provider whose certificate is missing or refused is served with the default one.
        """
        # No two have the same host. Who is at the scheme's own port comes first.
        for application in sorted(self.routes.named(name), key=lambda each: each.origin.host):
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Workshop:
    """What compiling takes besides a resource; `made` holds what is compiled by now, certificates first."""

    options: Options | None
    version: str
    random: Random
    made: dict[str, Compiled]

    def compile(self, source: _Source, known: Compiled | None) -> Compiled:
        """The resource, compiled; as it is known, or with what of that is still good. Raises ConfigRefused."""
        match source:
            case Certificate():
                if known is not None and known.resource == source:
                    return known
                return Compiled(resource=source, naming=None, value=_context(source))
            case ProxyProvider():
                return self._compile_provider(source, known)

    def _compile_provider(self, provider: ProxyProvider, known: Compiled | None) -> Compiled:
        options, naming, shown = self.options, _naming(self.options), self._find_shown(provider)
        if known is not None and (known.resource, known.naming, known.shown) == (provider, naming, shown):
            return known
        if options is None:
            raise ConfigRefused(f"provider {provider.name!r} came without the outpost's options")
        backend = None
        if provider.mode is ProxyMode.PROXY:
            backend = prepare_backend(provider, options.outpost_id, shown, _find_backend(known))
        value = Application(provider, options, self.version, self.random, backend)
        return Compiled(resource=provider, naming=naming, value=value, shown=shown)

    def _find_shown(self, provider: ProxyProvider) -> Certificate | None:
        """The certificate that the provider's application is shown. Raises ConfigRefused where it isn't there."""
        key = _shown_key(provider)
        if not key:
            return None
        found = self.made.get(key)
        if found is None or not isinstance(found.resource, Certificate):
            raise ConfigRefused(f"provider {provider.name!r} shows its application {key}, which isn't here")
        return found.resource


def prepare(
    edit: Edit, version: str, random: Random, before: Prepared | None = None
) -> tuple[Prepared, Mapping[str, str]]:
    """What `before` becomes by the edit, and what can't be served, as key to reason."""
    before = before or Prepared()
    key, options = edit.options_after(before.options_key, before.options)
    due = _due(edit, options, before)
    gone = due.keys() | (edit.touched & before.compiled.keys())
    refused: dict[str, str] = {}
    left: tuple[Backend, ...] = ()
    routes, compiled = before.routes, before.compiled
    if gone:
        made = dict(before.compiled)
        routes = routes.without(_applications(made.pop(each) for each in gone if each in made))
        compiled = made
        workshop = _Workshop(options=options, version=version, random=random, made=made)
        for each, source in sorted(due.items(), key=_certificates_first):
            try:
                new = workshop.compile(source, before.compiled.get(each))
                if isinstance(new.value, Application):
                    routes.add(new.value)
                made[each] = new
            except ConfigRefused as error:
                refused[each] = str(error)
        kept = {_find_backend(made.get(each)) for each in gone}
        left = tuple(each for each in map(_find_backend, map(before.compiled.get, gone)) if each and each not in kept)
    revocations = revocations_of(edit)
    prepared = Prepared(
        options=options, options_key=key, routes=routes, compiled=compiled, revocations=revocations, left=left
    )
    return prepared, refused


def _find_backend(compiled: Compiled | None) -> Backend | None:
    return compiled.value.backend if compiled is not None and isinstance(compiled.value, Application) else None


def _due(edit: Edit, options: Options | None, before: Prepared) -> dict[str, _Source]:
    """What has to be compiled: what is new or different, and all providers that stand on such."""
    due = {key: each for key, each in edit.changed.items() if isinstance(each, ProxyProvider | Certificate)}
    touched = edit.touched
    is_named_anew = _naming(options) != _naming(before.options)
    shows_anew = any(_is_certificate(due.get(key), before.compiled.get(key)) for key in touched)
    if is_named_anew or shows_anew:
        for key, each in before.compiled.items():
            provider = each.resource
            if key in touched or not isinstance(provider, ProxyProvider):
                continue
            if is_named_anew or _shown_key(provider) in touched:
                due[key] = provider
    return due


def _is_certificate(new: _Source | None, old: Compiled | None) -> bool:
    return isinstance(new, Certificate) or (old is not None and isinstance(old.resource, Certificate))


def _certificates_first(item: tuple[str, _Source]) -> tuple[bool, str]:
    return isinstance(item[1], ProxyProvider), item[0]


def _shown_key(provider: ProxyProvider) -> str:
    return provider.upstream.certificate if provider.upstream is not None else ""


def _applications(compiled: Iterable[Compiled]) -> Iterator[Application]:
    return (each.value for each in compiled if isinstance(each.value, Application))


def _naming(options: Options | None) -> Naming | None:
    if options is None:
        return None
    return Naming(browser_url=options.browser_url, outpost_name=options.outpost_name)


def _context(certificate: Certificate) -> ssl.SSLContext:
    try:
        return server_context(certificate.chain, certificate.private_key)
    except ValueError as error:
        raise ConfigRefused(f"certificate {certificate.name!r}: {error}") from error
