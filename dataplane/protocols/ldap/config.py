"""From what is served and an edit of it to what is served next: pure, so that all workers come to the same result.

A resource that can't be served is reported with its reason; what to put in its place is the caller's decision, and what
was prepared with it is not committed. Who has a base DN keeps it: among newcomers the lower key counts.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography import x509

from dataplane.config import Certificate, ConfigRefused, Edit, LdapProvider, Options, ProxyProvider, Resource
from dataplane.io.tls import server_context
from dataplane.protocols.ldap import dn
from dataplane.protocols.ldap.schema_served import schema_of
from dataplane.protocols.ldap.trees import Trees
from dataplane.revocations import revocations_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A certificate ready for use; `names` are those it is good for, in lower case."""

    source: Certificate
    context: ssl.SSLContext
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """All that a commit swaps in. `gone` are the ids of providers whose connections end with it."""

    trees: Trees
    options: Options | None = None
    options_key: str = ""
    providers: Mapping[str, LdapProvider] = field(default_factory=dict)
    certificates: Mapping[str, Identity] = field(default_factory=dict)
    contexts: Mapping[str, ssl.SSLContext] = field(default_factory=dict)
    """By server name."""
    default: ssl.SSLContext | None = None
    """For who asks for none of these, or for none at all: that of the first provider, by name, that has one."""
    revocations: Edit = field(default_factory=Edit)
    gone: frozenset[str] = frozenset()

    def find_context(self, name: str) -> ssl.SSLContext | None:
        """The context for a server name, or for `*.` and a domain, which is asked for last."""
        return self.contexts.get(name) or (self.default if name.startswith("*.") else None)


def prepare(edit: Edit, before: Prepared) -> tuple[Prepared, Mapping[str, str]]:
    """What `before` becomes by the edit, and what can't be served, as key to reason."""
    refused: dict[str, str] = {}
    key, options = edit.options_after(before.options_key, before.options)
    providers = _providers(edit, before, refused)
    certificates = _certificates(edit, before, refused)
    trees = before.trees if providers == before.providers else before.trees.with_providers(providers.values())
    prepared = Prepared(
        trees=trees,
        options=options,
        options_key=key,
        providers=providers,
        certificates=certificates,
        contexts=_contexts(providers, certificates),
        default=_find_default(providers, certificates),
        revocations=revocations_of(edit),
        gone=frozenset(_gone(before.providers, providers)),
    )
    return prepared, refused


def _providers(edit: Edit, before: Prepared, refused: dict[str, str]) -> Mapping[str, LdapProvider]:
    touched = edit.touched
    kept = {key: provider for key, provider in before.providers.items() if key not in touched}
    holders = {dn.normalise(provider.base_dn): provider for provider in kept.values()}
    for key, resource in sorted(edit.changed.items()):
        try:
            provider = _served(resource)
            if provider is not None:
                _claim(provider, holders)
                kept[key] = provider
        except ConfigRefused as error:
            refused[key] = str(error)
    return kept


def _served(resource: Resource) -> LdapProvider | None:
    """None where it is no provider. Raises ConfigRefused."""
    match resource:
        case LdapProvider():
            schema_of(resource)
            return resource
        case ProxyProvider(name=name):
            raise ConfigRefused(f"provider {name!r} is of the proxy protocol, and this outpost serves LDAP")
        case _:
            return None


def _claim(provider: LdapProvider, holders: dict[str, LdapProvider]) -> None:
    try:
        base = dn.normalise(provider.base_dn)
    except ValueError as error:
        raise ConfigRefused(f"provider {provider.name!r}: base DN {provider.base_dn!r}: {error}") from error
    if not base:
        raise ConfigRefused(f"provider {provider.name!r}: the base DN is empty")
    if base in holders:
        raise ConfigRefused(
            f"provider {provider.name!r}: base DN {provider.base_dn!r} is that of {holders[base].name!r}"
        )
    for other, holder in holders.items():
        if _is_among_entries(base, other) or _is_among_entries(other, base):
            raise ConfigRefused(
                f"provider {provider.name!r}: base DN {provider.base_dn!r} and that of {holder.name!r}, "
                f"{holder.base_dn!r}: one lies among the entries of the other"
            )
    holders[base] = provider


def _is_among_entries(base: str, of: str) -> bool:
    """Names there would be taken for those of the lower one, and nobody of the upper one could bind any more."""
    return any(dn.is_within(base, f"ou={unit},{of}") for unit in ("users", "groups", "virtual-groups"))


def _gone(before: Mapping[str, LdapProvider], after: Mapping[str, LdapProvider]) -> list[str]:
    """Those whose names are others now, or that are not there any more."""
    return [
        provider.id
        for key, provider in before.items()
        if key not in after or after[key].base_dn != provider.base_dn or after[key].id != provider.id
    ]


def _certificates(edit: Edit, before: Prepared, refused: dict[str, str]) -> Mapping[str, Identity]:
    touched = edit.touched
    if not any(isinstance(each, Certificate) for each in edit.changed.values()) and touched.isdisjoint(
        before.certificates
    ):
        return before.certificates
    kept = {key: each for key, each in before.certificates.items() if key not in touched}
    for key, resource in edit.changed.items():
        if isinstance(resource, Certificate):
            known = before.certificates.get(key)
            try:
                kept[key] = known if known and known.source == resource else _identity(resource)
            except ConfigRefused as error:
                refused[key] = str(error)
    return kept


def _identity(certificate: Certificate) -> Identity:
    try:
        # Clients of LDAP know nothing of ALPN.
        context = server_context(certificate.chain, certificate.private_key, ())
        names = _names(x509.load_pem_x509_certificate(certificate.chain.encode()))
    except ValueError as error:
        raise ConfigRefused(f"certificate {certificate.name!r}: {error}") from error
    return Identity(source=certificate, context=context, names=names)


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    return tuple(name.lower() for name in extension.value.get_values_for_type(x509.DNSName))


def _find_default(providers: Mapping[str, LdapProvider], certificates: Mapping[str, Identity]) -> ssl.SSLContext | None:
    for _, provider in sorted(providers.items(), key=lambda each: (each[1].name, each[0])):
        if provider.certificate in certificates:
            return certificates[provider.certificate].context
    return None


def _contexts(
    providers: Mapping[str, LdapProvider], certificates: Mapping[str, Identity]
) -> Mapping[str, ssl.SSLContext]:
    """What a provider says by which name it is asked for goes before what stands in certificates."""
    contexts: dict[str, ssl.SSLContext] = {}
    for _, provider in sorted(providers.items()):
        identity = certificates.get(provider.certificate)
        name = provider.tls_server_name.lower().rstrip(".")
        if identity is not None and name:
            contexts.setdefault(name, identity.context)
    for _, provider in sorted(providers.items()):
        identity = certificates.get(provider.certificate)
        if identity is not None and not provider.tls_server_name:
            for name in identity.names:
                contexts.setdefault(name, identity.context)
    return contexts
