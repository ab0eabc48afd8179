"""Creating and changing proxy providers: what a form or a blueprint says, checked as a whole, then stored.

Everything a provider serves with is compiled or parsed here once, so that an outpost meets no surprise later.
"""

import re
import secrets
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import re2

from control.domain.application import ProxyMode, ProxyProvider
from control.domain.duration import format_duration, parse_duration
from control.domain.errors import Invalid
from control.domain.origins import NotAnOrigin, Origin, is_address, is_below, normal_host, origin_of, parse_origin
from control.fleet import upstreams
from control.fleet.attribute_mappings import shows
from control.fleet.fields import Fields, Reader
from control.fleet.session_keys import ensure_cookie_key
from control.store import Unit

FIELDS = (
    "name",
    "client_id",
    "mode",
    "external_host",
    "cookie_domain",
    "skip_path_regex",
    "access_token_validity",
    "intercept_header_auth",
    "basic_auth_enabled",
    "basic_auth_user_attribute",
    "basic_auth_password_attribute",
    "certificate",
    *upstreams.FIELDS,
)
_CLIENT_ID = re.compile(r"[A-Za-z0-9._~-]+")
_MOST_PATTERNS_TEXT = 16 * 1024
_LONGEST_ATTRIBUTE = 200
_ORIGIN = "an origin like https://app.example.com, without path, query or user"


def create_proxy_provider(unit: Unit, fields: Fields, own_url: str) -> ProxyProvider:
    """Make a provider from its fields. Raises Invalid with every problem."""
    blank = ProxyProvider(
        id=uuid4(), name="", client_id=secrets.token_urlsafe(30), mode=ProxyMode.FORWARD_SINGLE, external_host=""
    )
    provider = unit.proxy_providers.add(_checked(unit, blank, fields, own_url))
    ensure_cookie_key(unit, provider.id)
    return provider


def update_proxy_provider(unit: Unit, provider: ProxyProvider, fields: Fields, own_url: str) -> ProxyProvider:
    """Change the fields that are named. Raises Invalid with every problem."""
    return unit.proxy_providers.update(_checked(unit, provider, fields, own_url))


def _checked(unit: Unit, current: ProxyProvider, fields: Fields, own_url: str) -> ProxyProvider:
    reader = Reader(fields, FIELDS)
    provider = _read(unit, reader, current)
    reader.expect_free("name", unit.providers.find_named(provider.name), provider.id)
    _check_client_id(unit, reader, provider)
    origin = _external_host(reader, provider, own_url)
    provider = replace(
        provider,
        external_host=str(origin or provider.external_host),
        cookie_domain=_cookie_domain(reader, provider, origin),
    )
    provider = upstreams.check_upstream(unit, reader, provider, own_url)
    _check_external_host_free(unit, reader, provider)
    _check_patterns(reader, provider.skip_path_regex)
    _check_basic_auth(unit, reader, provider)
    _check_certificate(unit, reader, provider)
    reader.check()
    return provider


def _read(unit: Unit, reader: Reader, current: ProxyProvider) -> ProxyProvider:
    return replace(
        upstreams.read_upstream(unit, reader, current),
        name=reader.object_name(current.name, 150),
        client_id=reader.text("client_id", current.client_id, 80, required=True),
        mode=reader.word("mode", current.mode),
        external_host=reader.text("external_host", current.external_host, 500, required=True),
        cookie_domain=reader.text("cookie_domain", current.cookie_domain, 255),
        skip_path_regex=_lines(reader.text("skip_path_regex", current.skip_path_regex, _MOST_PATTERNS_TEXT)),
        access_token_validity=_validity(reader, current),
        intercept_header_auth=reader.flag("intercept_header_auth", current.intercept_header_auth),
        basic_auth_enabled=reader.flag("basic_auth_enabled", current.basic_auth_enabled),
        basic_auth_user_attribute=_attribute(reader, "basic_auth_user_attribute", current.basic_auth_user_attribute),
        basic_auth_password_attribute=_attribute(
            reader, "basic_auth_password_attribute", current.basic_auth_password_attribute
        ),
        certificate=reader.reference("certificate", current.certificate, unit.certificates),
    )


def _attribute(reader: Reader, name: str, current: str) -> str:
    return reader.text(name, current, _LONGEST_ATTRIBUTE)


def _lines(text: str) -> str:
    return "\n".join(line.rstrip("\r") for line in text.split("\n"))


def _validity(reader: Reader, current: ProxyProvider) -> timedelta:
    name = "access_token_validity"
    text = reader.text(name, format_duration(current.access_token_validity), 200, required=True)
    try:
        found = parse_duration(text, name) if text else current.access_token_validity
    except Invalid as error:
        reader.refuse_all(error)
        return current.access_token_validity
    if not found:
        reader.refuse(name, "too_short", text, "longer than no time")
    return found


def _external_host(reader: Reader, provider: ProxyProvider, own_url: str) -> Origin | None:
    if not provider.external_host:
        return None
    try:
        origin = parse_origin(provider.external_host)
    except NotAnOrigin as error:
        reader.refuse("external_host", str(error), provider.external_host, _ORIGIN)
        return None
    if origin.host == origin_of(own_url).host:
        reader.refuse("external_host", "host_of_control", provider.external_host, "another host than Garrison's own")
    return origin


def _cookie_domain(reader: Reader, provider: ProxyProvider, origin: Origin | None) -> str:
    """The domain of forward_domain; the other modes have none, so a change of mode leaves no stale one behind."""
    if provider.mode is not ProxyMode.FORWARD_DOMAIN:
        return ""
    if not provider.cookie_domain:
        reader.refuse("cookie_domain", "missing", "", "the domain whose applications share one sign-in")
        return ""
    try:
        domain = normal_host(provider.cookie_domain.removeprefix("."))
    except NotAnOrigin as error:
        reader.refuse("cookie_domain", str(error), provider.cookie_domain, "a domain like example.com")
        return provider.cookie_domain
    if "." not in domain or is_address(domain):
        reader.refuse("cookie_domain", "too_wide", domain, "a domain of at least two labels, like example.com")
    elif origin is not None and not is_below(origin.host, domain):
        reader.refuse("cookie_domain", "not_above_external_host", domain, f"{origin.host} or a domain above it")
    return domain


def _check_client_id(unit: Unit, reader: Reader, provider: ProxyProvider) -> None:
    """It goes into URLs and names the cookie; what sets it moves a provider over from elsewhere."""
    reader.expect_free("client_id", unit.proxy_providers.find_by_client_id(provider.client_id), provider.id)
    if provider.client_id and not _CLIENT_ID.fullmatch(provider.client_id):
        reader.refuse("client_id", "not_a_client_id", provider.client_id, "letters, digits, ., _, - and ~")


def _check_external_host_free(unit: Unit, reader: Reader, provider: ProxyProvider) -> None:
    for other in unit.proxy_providers.all():
        if other.id != provider.id and other.external_host == provider.external_host:
            reader.refuse("external_host", "already_taken", provider.external_host, f"a host {other.name!r} has not")


def _check_certificate(unit: Unit, reader: Reader, provider: ProxyProvider) -> None:
    certificate = unit.certificates.find(provider.certificate) if provider.certificate else None
    if certificate is not None and certificate.private_key is None:
        reader.refuse("certificate", "no_private_key", certificate.name, "a certificate with its private key")


def _check_basic_auth(unit: Unit, reader: Reader, provider: ProxyProvider) -> None:
    """Without the password's attribute nothing would ever be sent; the username has the e-mail address instead."""
    name, attribute = "basic_auth_password_attribute", provider.basic_auth_password_attribute
    if provider.basic_auth_enabled and not attribute:
        reader.refuse(name, "missing", "", "the attribute that holds the password")
    for other in unit.ldap_providers.all() if attribute else ():
        mappings = (*other.user_attributes, *other.group_attributes)
        if any(shows(each, attribute) for each in mappings):
            reader.refuse(name, "shown", attribute, f"an attribute that {other.name!r} doesn't show in its directory")


def _check_patterns(reader: Reader, text: str) -> None:
    for number, pattern in _numbered(text):
        try:
            re2.compile(pattern, _quiet())
        except re2.error as error:
            reader.refuse("skip_path_regex", "not_a_pattern", f"line {number}: {pattern}", f"RE2 ({_said(error)})")


def _numbered(text: str) -> Iterable[tuple[int, str]]:
    return ((number, line) for number, line in enumerate(text.split("\n"), 1) if line)


def _quiet() -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    return options


def _said(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
