"""What one outpost may see of the facts; whatever is not returned here never reaches it. Pure.

That is its options, the providers it serves, the certificates these name, and what ended or changed for sessions
there.
"""

from collections.abc import Iterator, Mapping
from uuid import UUID

from control.domain.application import ProxyMode, ProxyProvider
from control.domain.decision import Deny
from control.domain.grant import IssuedIdentity, identity_of
from control.domain.identity import Person
from control.domain.outpost import Outpost
from control.domain.policy import decide
from control.domain.security import Revocation
from control.fleet import resources
from control.fleet.assignment import assigned
from control.fleet.options import options_of
from control.fleet.resources import Changed, Ended, Options, Resource, SessionKey
from control.fleet.session_keys import keys_in_use
from control.fleet.snapshot import Facts

# The modes whose server exists.
SERVED_MODES = frozenset({ProxyMode.FORWARD_SINGLE, ProxyMode.FORWARD_DOMAIN})


def scope(facts: Facts, outpost: Outpost, url: str) -> tuple[Resource, ...]:
    """Everything the outpost is to hold; `url` is control's own public address."""
    served = served_providers(facts, outpost)
    found: list[Resource] = [_options(outpost, url)]
    found.extend(_provider(facts, provider) for provider in served.values())
    found.extend(_certificates(facts, served))
    found.extend(_revoked(facts, served))
    return tuple(found)


def served_providers(facts: Facts, outpost: Outpost) -> dict[UUID, ProxyProvider]:
    """The providers the outpost serves: those assigned to it that belong to an application and whose mode exists."""
    to_serve = assigned(outpost, facts.outposts.values(), facts.providers.values())
    return {each.id: each for each in to_serve if _is_served(facts, each)}


def _is_served(facts: Facts, provider: ProxyProvider) -> bool:
    return provider.id in facts.applications and provider.mode in SERVED_MODES


def _options(outpost: Outpost, url: str) -> Options:
    options = options_of(outpost)
    browser_url = options.authentik_host_browser or options.authentik_host or url
    return Options(
        outpost_id=outpost.id,
        outpost_name=outpost.name,
        log_level=options.log_level,
        refresh_interval=options.refresh_interval,
        browser_url=browser_url.rstrip("/"),
        insecure=options.authentik_host_insecure,
    )


def _provider(facts: Facts, provider: ProxyProvider) -> resources.ProxyProvider:
    application = facts.applications[provider.id]
    keys = keys_in_use(facts.cookie_keys.get(provider.id, ()), provider.access_token_validity, facts.at)
    certificate = _usable_certificate(facts, provider)
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
    )


def _usable_certificate(facts: Facts, provider: ProxyProvider) -> resources.Certificate | None:
    """The certificate the provider names; one without a private key can't serve."""
    named = facts.certificates.get(provider.certificate) if provider.certificate else None
    if named is None or named.private_key is None:
        return None
    return resources.Certificate(id=named.id, name=named.name, chain=named.chain, private_key=named.private_key)


def _certificates(facts: Facts, served: Mapping[UUID, ProxyProvider]) -> list[resources.Certificate]:
    usable = (_usable_certificate(facts, provider) for provider in served.values())
    return list({certificate.id: certificate for certificate in usable if certificate}.values())


def _revoked(facts: Facts, served: Mapping[UUID, ProxyProvider]) -> Iterator[Resource]:
    """What ended or changed, as far as the outpost can have sessions that it concerns."""
    for revocation in facts.revocations.values() if served else ():
        if revocation.provider is not None and revocation.provider not in served:
            continue
        person = facts.people.get(revocation.user) if revocation.user else None
        if not revocation.changed:
            yield _ended(revocation)
        elif person is not None:
            yield _changed(facts, served, revocation, person)


def _ended(revocation: Revocation) -> Ended:
    return Ended(
        session=revocation.sign_in,
        subject=revocation.user,
        provider=revocation.provider,
        before=revocation.at,
        until=revocation.until,
    )


def _changed(facts: Facts, served: Mapping[UUID, ProxyProvider], revocation: Revocation, person: Person) -> Changed:
    denied = tuple(sorted((key for key in served if _is_denied(facts, key, person)), key=str))
    shut_out = len(denied) == len(served)
    return Changed(
        subject=person.user.id,
        # Who may go nowhere here is nobody's business here.
        identity=_nobody(person) if shut_out else identity_of(person),
        at=revocation.at,
        until=revocation.until,
        denied_providers=denied,
    )


def _is_denied(facts: Facts, provider: UUID, person: Person) -> bool:
    application = facts.applications[provider]
    return isinstance(decide(person, application, facts.bindings.get(application.id, ())), Deny)


def _nobody(person: Person) -> IssuedIdentity:
    return IssuedIdentity(subject=person.user.id, username="", name="", email="", groups=())
