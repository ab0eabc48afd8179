"""How mode proxy reaches an application: the `internal_host` fields of a proxy provider, read and checked.

Addresses are stored in one normal form, one a line, so that the same address is the same text.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from control.domain.addresses import EXPECTED, EXPECTED_HOST, Address, parse_address, parse_host_header
from control.domain.application import ProxyMode, ProxyProvider
from control.domain.origins import NotAnOrigin, normal_host, origin_of
from control.fleet.fields import Reader
from control.store import Unit

FIELDS = (
    "internal_host",
    "internal_host_ssl_validation",
    "internal_host_header",
    "internal_host_server_name",
    "internal_host_authorities",
    "internal_host_certificate",
    "internal_host_connect_timeout",
    "internal_host_response_timeout",
    "internal_host_idle_timeout",
    "internal_host_connections",
    "security_headers",
)
MOST_ADDRESSES = 16
MOST_CONNECTIONS = 10_000
LONGEST_CONNECT, LONGEST_RESPONSE, LONGEST_IDLE = timedelta(minutes=10), timedelta(days=1), timedelta(days=7)
_LONGEST_TEXT = 2000
_SEPARATORS = re.compile(r"[\s,]+")


def addresses_of(provider: ProxyProvider) -> tuple[str, ...]:
    """The addresses as outposts are told them; those of an earlier version were checked as origins."""
    return tuple(provider.internal_host.split())


def read_upstream(unit: Unit, reader: Reader, current: ProxyProvider) -> ProxyProvider:
    """The provider with these fields as they are given, typed; `check_upstream` says what else is wrong with them."""
    certificates = unit.certificates
    return replace(
        current,
        internal_host=_addresses_text(reader, current.internal_host),
        internal_host_ssl_validation=reader.flag("internal_host_ssl_validation", current.internal_host_ssl_validation),
        internal_host_header=_host_header(reader, current.internal_host_header),
        internal_host_server_name=_server_name(reader, current.internal_host_server_name),
        internal_host_authorities=reader.reference(
            "internal_host_authorities", current.internal_host_authorities, certificates
        ),
        internal_host_certificate=reader.reference(
            "internal_host_certificate", current.internal_host_certificate, certificates
        ),
        internal_host_connect_timeout=reader.duration(
            "internal_host_connect_timeout", current.internal_host_connect_timeout, LONGEST_CONNECT
        ),
        internal_host_response_timeout=reader.duration(
            "internal_host_response_timeout", current.internal_host_response_timeout, LONGEST_RESPONSE
        ),
        internal_host_idle_timeout=reader.duration(
            "internal_host_idle_timeout", current.internal_host_idle_timeout, LONGEST_IDLE
        ),
        internal_host_connections=reader.whole(
            "internal_host_connections", current.internal_host_connections, 1, MOST_CONNECTIONS
        ),
        security_headers=reader.flag("security_headers", current.security_headers),
    )


def check_upstream(unit: Unit, reader: Reader, provider: ProxyProvider, own_url: str) -> ProxyProvider:
    """The provider with its addresses in normal form; what is wrong with the fields together is noted."""
    addresses = _parsed(reader, provider.internal_host)
    if provider.mode is ProxyMode.PROXY:
        if not _SEPARATORS.sub("", provider.internal_host):
            reader.refuse("internal_host", "missing", "", "the address of the application")
        _check_ways(reader, addresses, provider, own_url)
    shown = provider.internal_host_certificate
    certificate = unit.certificates.find(shown) if shown is not None else None
    if certificate is not None and certificate.private_key is None:
        expected = "a certificate with its private key"
        reader.refuse("internal_host_certificate", "no_private_key", certificate.name, expected)
    return replace(provider, internal_host="\n".join(map(str, addresses)))


def _addresses_text(reader: Reader, current: str) -> str:
    """What is written, or what a list of it is as one text."""
    value = reader.fields.get("internal_host", current)
    if isinstance(value, str) or not isinstance(value, Sequence) or not all(isinstance(each, str) for each in value):
        return reader.text("internal_host", current, _LONGEST_TEXT)
    return "\n".join(value)


def _parsed(reader: Reader, text: str) -> list[Address]:
    found: dict[str, Address] = {}
    written = [each for each in _SEPARATORS.split(text) if each]
    if len(written) > MOST_ADDRESSES:
        reader.refuse("internal_host", "too_many", f"{len(written)} addresses", f"at most {MOST_ADDRESSES}")
    for each in written:
        try:
            address = parse_address(each)
        except NotAnOrigin as error:
            reader.refuse("internal_host", str(error), each, EXPECTED)
            continue
        if str(address) in found:
            reader.refuse("internal_host", "said_twice", each, "each address once")
        found[str(address)] = address
    if len({address.prefix for address in found.values()}) > 1:
        reader.refuse("internal_host", "paths_differ", " ".join(found), "the same path behind each address")
    return list(found.values())


def _check_ways(reader: Reader, addresses: Sequence[Address], provider: ProxyProvider, own_url: str) -> None:
    """None leads to where requests come from: to the address that people use, or to Garrison itself."""
    own, external = _place(own_url), _place(provider.external_host)
    for address in addresses:
        place = _place(str(address))
        if place is not None and place == own:
            reader.refuse("internal_host", "leads_to_control", address, "the address of the application")
        elif place is not None and place == external:
            reader.refuse("internal_host", "leads_back", address, "the address of the application itself")


def _place(url: str) -> tuple[str, int] | None:
    """Host and port, whichever scheme is spoken there."""
    try:
        origin = origin_of(url)
    except NotAnOrigin:
        return None
    return origin.host, origin.effective_port


def _host_header(reader: Reader, current: str) -> str:
    name = "internal_host_header"
    text = reader.text(name, current, 500)
    try:
        return parse_host_header(text) if text else ""
    except NotAnOrigin as error:
        reader.refuse(name, str(error), text, EXPECTED_HOST)
        return current


def _server_name(reader: Reader, current: str) -> str:
    name = "internal_host_server_name"
    text = reader.text(name, current, 255)
    try:
        return normal_host(text) if text else ""
    except NotAnOrigin as error:
        reader.refuse(name, str(error), text, "a host name like app.internal")
        return current
