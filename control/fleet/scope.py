"""What one outpost may see of the facts; whatever is not returned here never reaches it. Pure.

That is its options, the providers it serves, the certificates these name, and what ended or changed for sessions
there. `scope` is all of it; control.link.state asks for the parts, to make anew only what differs.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import assert_never
from uuid import UUID

from control.domain.application import LdapProvider, Provider, ProxyMode, ProxyProvider
from control.domain.decision import Deny
from control.domain.grant import BasicCredentials, IssuedIdentity, find_basic_credentials, identity_of
from control.domain.identity import Person
from control.domain.outpost import Outpost
from control.domain.policy import decide
from control.domain.security import CookieKey, Revocation
from control.fleet import resources
from control.fleet.assignment import assigned_by_id
from control.fleet.options import options_of
from control.fleet.resources import Changed, Ended, Options, Resource, SessionKey
from control.fleet.session_keys import keys_in_use
from control.fleet.snapshot import Facts
from control.fleet.upstreams import addresses_of


def scope(facts: Facts, outpost: Outpost, url: str) -> tuple[Resource, ...]:
    """Everything the outpost is to hold; `url` is control's own public address."""
    served = served_providers(facts, outpost)
    found: list[Resource] = [options_resource(outpost, url)]
    found.extend(provider_resource(facts, provider) for provider in served.values())
    certificates = (each for provider in served.values() for each in certificates_of(facts, provider))
    found.extend({each.key: each for each in certificates}.values())
    for revocation in facts.revocations.values():
        found.extend(revoked(facts, served, revocation))
    return tuple(found)


def served_providers(facts: Facts, outpost: Outpost) -> dict[UUID, Provider]:
    """The providers the outpost serves: those assigned to it that belong to an application."""
    to_serve = assigned_by_id(outpost, facts.outposts.values(), facts.providers)
    return {key: each for key, each in to_serve.items() if is_served(facts, key)}


def is_served(facts: Facts, provider: UUID) -> bool:
    """Whether a provider can be served, wherever that is to be."""
    return provider in facts.providers and provider in facts.applications


def options_resource(outpost: Outpost, url: str) -> Options:
    """The outpost's options, completed. Raises Invalid where those that are stored can't be used."""
    options = options_of(outpost)
    browser_url = options.authentik_host_browser or options.authentik_host or url
    return Options(
        outpost_id=outpost.id,
        outpost_name=outpost.name,
        log_level=options.log_level,
        refresh_interval=options.refresh_interval,
        browser_url=browser_url.rstrip("/"),
        insecure=options.authentik_host_insecure,
        bind_cache=options.garrison_bind_cache,
        offline_grace=options.garrison_offline_grace,
        access_log=options.garrison_access_log,
        decision_log=options.garrison_decision_log,
    )


def provider_resource(facts: Facts, provider: Provider) -> resources.ProviderResource:
    """A provider that is served, with its application."""
    match provider:
        case ProxyProvider():
            return _proxy_resource(facts, provider)
        case LdapProvider():
            return _ldap_resource(facts, provider)
        case _:
            assert_never(provider)


def _proxy_resource(facts: Facts, provider: ProxyProvider) -> resources.ProxyProvider:
    """With the keys of its cookies."""
    application = facts.applications[provider.id]
    keys = keys_of(facts, provider)
    certificate = find_certificate(facts, provider.certificate)
    return resources.ProxyProvider(
        id=provider.id,
        name=provider.name,
        application_slug=application.slug,
        application_name=application.name,
        client_id=provider.client_id,
        mode=provider.mode,
        external_host=provider.external_host.rstrip("/"),
        internal_host=provider.internal_host.rstrip("/"),
        internal_host_ssl_validation=provider.internal_host_ssl_validation,
        cookie_domain=provider.cookie_domain.removeprefix("."),
        skip_path_regex=tuple(line.strip() for line in provider.skip_path_regex.splitlines() if line.strip()),
        access_token_validity=provider.access_token_validity,
        session_keys=tuple(SessionKey(id=key.id, secret=key.secret) for key in keys),
        certificate=certificate.key if certificate else "",
        intercept_header_auth=provider.intercept_header_auth,
        basic_auth_enabled=provider.basic_auth_enabled,
        upstream=_upstream(facts, provider) if provider.mode is ProxyMode.PROXY else None,
    )


def _upstream(facts: Facts, provider: ProxyProvider) -> resources.Upstream:
    trusted = provider.internal_host_authorities
    authorities = facts.certificates.get(trusted) if trusted is not None else None
    shown = find_certificate(facts, provider.internal_host_certificate)
    return resources.Upstream(
        addresses=addresses_of(provider),
        host_header=provider.internal_host_header,
        server_name=provider.internal_host_server_name,
        authorities=authorities.chain if authorities is not None else "",
        certificate=shown.key if shown is not None else "",
        connect_timeout=provider.internal_host_connect_timeout,
        response_timeout=provider.internal_host_response_timeout,
        idle_timeout=provider.internal_host_idle_timeout,
        connections=provider.internal_host_connections,
        security_headers=provider.security_headers,
    )


def _ldap_resource(facts: Facts, provider: LdapProvider) -> resources.LdapProvider:
    application = facts.applications[provider.id]
    certificate = find_certificate(facts, provider.certificate)
    return resources.LdapProvider(
        id=provider.id,
        name=provider.name,
        application_slug=application.slug,
        application_name=application.name,
        base_dn=provider.base_dn,
        bind_mode=provider.bind_mode,
        mfa_support=provider.mfa_support,
        search_group=provider.search_group,
        uid_start_number=provider.uid_start_number,
        gid_start_number=provider.gid_start_number,
        certificate=certificate.key if certificate else "",
        tls_server_name=provider.tls_server_name,
        user_attributes=provider.user_attributes,
        group_attributes=provider.group_attributes,
        size_limit=provider.size_limit,
        time_limit=provider.time_limit,
    )


def keys_of(facts: Facts, provider: Provider) -> tuple[CookieKey, ...]:
    """The keys that a cookie of the provider may be sealed with; none where it has no cookies."""
    if not isinstance(provider, ProxyProvider):
        return ()
    return keys_in_use(facts.cookie_keys.get(provider.id, ()), provider.access_token_validity, facts.at)


def certificates_of(facts: Facts, provider: Provider) -> tuple[resources.Certificate, ...]:
    """The certificates that the provider's outposts show: to clients, and in mode proxy to its application."""
    named: tuple[UUID | None, ...] = (provider.certificate,)
    if isinstance(provider, ProxyProvider) and provider.mode is ProxyMode.PROXY:
        named = (provider.certificate, provider.internal_host_certificate)
    found = (find_certificate(facts, key) for key in dict.fromkeys(named))
    return tuple(each for each in found if each is not None)


def find_certificate(facts: Facts, key: UUID | None) -> resources.Certificate | None:
    """The certificate of that id; one without a private key can't serve."""
    named = facts.certificates.get(key) if key is not None else None
    if named is None or named.private_key is None:
        return None
    return resources.Certificate(id=named.id, name=named.name, chain=named.chain, private_key=named.private_key)


def revoked(facts: Facts, served: Mapping[UUID, Provider], revocation: Revocation) -> Iterator[Ended | Changed]:
    """What a revocation is to an outpost: nothing, where it can have no sessions that it concerns."""
    if not served or (revocation.provider is not None and revocation.provider not in served):
        return
    person = facts.people.get(revocation.user) if revocation.user else None
    if not revocation.changed:
        yield ended(revocation)
    elif person is not None:
        yield _changed(facts, served, revocation, person)


def is_common(revocation: Revocation) -> bool:
    """Whether it is the same to every outpost that serves anything."""
    return not revocation.changed and revocation.provider is None


def ended(revocation: Revocation) -> Ended:
    """The end of sessions."""
    return Ended(
        session=revocation.sign_in,
        subject=revocation.user,
        provider=revocation.provider,
        before=revocation.at,
        until=revocation.until,
    )


def _changed(facts: Facts, served: Mapping[UUID, Provider], revocation: Revocation, person: Person) -> Changed:
    denied = tuple(sorted((key for key in served if _is_denied(facts, key, person)), key=str))
    shut_out = len(denied) == len(served)
    # Attributes are for proxied applications alone.
    is_proxied = any(isinstance(each, ProxyProvider) for each in served.values())
    return Changed(
        subject=person.user.id,
        # Who may go nowhere here is nobody's business here.
        identity=_nobody(person) if shut_out else identity_of(person, is_proxied=is_proxied),
        at=revocation.at,
        until=revocation.until,
        denied_providers=denied,
        basic=dict(_basic_credentials(served, denied, person)),
    )


def _basic_credentials(
    served: Mapping[UUID, Provider], denied: Collection[UUID], person: Person
) -> Iterator[tuple[UUID, BasicCredentials]]:
    """By provider that the person may use."""
    for key, provider in served.items():
        if key in denied or not isinstance(provider, ProxyProvider):
            continue
        found = find_basic_credentials(person, provider)
        if found is not None:
            yield key, found


def _is_denied(facts: Facts, provider: UUID, person: Person) -> bool:
    application = facts.applications[provider]
    return isinstance(decide(person, application, facts.bindings.get(application.id, ())), Deny)


def _nobody(person: Person) -> IssuedIdentity:
    return IssuedIdentity(subject=person.user.id, username="", name="", email="", groups=())
