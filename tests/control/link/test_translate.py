"""The border to protobuf: digests, parts, and that fields which hold secrets are marked as such."""

import dataclasses
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.timestamp_pb2 import Timestamp

from control.domain.application import AttributeMapping, BindMode, ProxyMode
from control.domain.grant import BasicCredentials, IssuedIdentity
from control.domain.outpost import Logged
from control.fleet.resources import (
    Certificate,
    Changed,
    Ended,
    LdapProvider,
    Options,
    ProxyProvider,
    Resource,
    SessionKey,
    Upstream,
)
from control.link.messages import Push
from control.link.reading import read_id, read_time
from control.link.translate import PART_BYTES, Encoded, config_parts, encode
from protos.outpost.v1 import gate_pb2, identity_pb2, link_pb2, resources_pb2

ID = UUID("00000000-0000-4000-8000-000000000001")
WHEN = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)
IDENTITY = IssuedIdentity(
    subject=ID,
    username="alice",
    name="Alice",
    email="a@example.com",
    groups=("a", "b"),
    additional_headers={"X-B": "2", "X-A": "1"},
)
RESOURCES: list[Resource] = [
    Options(
        outpost_id=ID,
        outpost_name="edge",
        log_level="info",
        refresh_interval=timedelta(minutes=5),
        browser_url="https://x",
    ),
    ProxyProvider(
        id=ID,
        name="wiki",
        application_slug="wiki",
        application_name="Wiki",
        client_id="c",
        mode=ProxyMode.FORWARD_SINGLE,
        external_host="https://wiki.example.com",
        internal_host="",
        internal_host_ssl_validation=True,
        cookie_domain="",
        skip_path_regex=("^/a",),
        access_token_validity=timedelta(hours=24),
        session_keys=(SessionKey(id=ID, secret=b"k" * 32),),
        certificate="",
        intercept_header_auth=True,
    ),
    LdapProvider(
        id=ID,
        name="dir",
        application_slug="dir",
        application_name="Directory",
        base_dn="DC=a,DC=b",
        bind_mode=BindMode.CACHED,
        mfa_support=True,
        search_group=ID,
        uid_start_number=2000,
        gid_start_number=4000,
        certificate="certificate/1",
        tls_server_name="ldap.example.com",
        user_attributes=(AttributeMapping(attribute="gecos", source="a.b"),),
        group_attributes=(),
        size_limit=5,
        time_limit=timedelta(seconds=30),
    ),
    Certificate(id=ID, name="web", chain="CHAIN", private_key="KEY"),
    Ended(session=ID, before=WHEN, until=WHEN),
    Changed(
        subject=ID,
        identity=IDENTITY,
        at=WHEN,
        until=WHEN,
        denied_providers=(ID,),
        basic={ID: BasicCredentials(username="al", password="pw")},
    ),
]


UPSTREAM = Upstream(
    addresses=("http://127.0.0.1:3000", "unix:///run/app.sock"),
    host_header="app.internal",
    server_name="a.internal",
    authorities="CHAIN",
    certificate="certificate/1",
    connect_timeout=timedelta(milliseconds=500),
    response_timeout=timedelta(minutes=10),
    idle_timeout=timedelta(hours=1),
    connections=256,
    security_headers=False,
)
OTHERWISE: dict[str, Any] = {
    "addresses": UPSTREAM.addresses[::-1],
    "host_header": "",
    "server_name": "",
    "authorities": "",
    "certificate": "",
    "connect_timeout": timedelta(seconds=1),
    "response_timeout": timedelta(seconds=1),
    "idle_timeout": timedelta(seconds=1),
    "connections": 1,
    "security_headers": True,
}


def test_how_an_application_is_reached_travels_whole() -> None:
    _, provider, *_ = RESOURCES
    assert isinstance(provider, ProxyProvider)
    assert OTHERWISE.keys() == {each.name for each in dataclasses.fields(Upstream)}
    message = resources_pb2.Resource.FromString(encode(replace(provider, upstream=UPSTREAM)).data).proxy_provider
    assert list(message.upstream.addresses) == [*UPSTREAM.addresses]
    for name in ("host_header", "server_name", "authorities", "certificate", "connections", "security_headers"):
        assert getattr(message.upstream, name) == getattr(UPSTREAM, name)
    for name in ("connect_timeout", "response_timeout", "idle_timeout"):
        assert getattr(message.upstream, name).ToTimedelta() == getattr(UPSTREAM, name)
    without = resources_pb2.Resource.FromString(encode(provider).data).proxy_provider
    assert not without.HasField("upstream")


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: type(resource).__name__)
def test_a_resource_travels_under_its_key_and_digest(resource: Resource) -> None:
    encoded = encode(resource)
    message = resources_pb2.Resource.FromString(encoded.data)
    assert (message.key, message.digest, len(encoded.digest)) == (resource.key, encoded.digest, 32)
    assert message.WhichOneof("body") is not None
    assert encode(resource) == encoded


def test_every_difference_makes_another_digest() -> None:
    options, provider, ldap, certificate, ended, changed = RESOURCES
    assert isinstance(ldap, LdapProvider)
    assert isinstance(options, Options)
    assert isinstance(provider, ProxyProvider)
    assert isinstance(certificate, Certificate)
    assert isinstance(ended, Ended)
    assert isinstance(changed, Changed)
    variants: list[Resource] = [
        *RESOURCES,
        replace(options, log_level="debug"),
        replace(options, bind_cache=timedelta(seconds=1)),
        replace(options, offline_grace=timedelta(seconds=1)),
        replace(provider, basic_auth_enabled=True),
        replace(changed, basic={}),
        replace(changed, basic={ID: BasicCredentials(username="al", password="other")}),
        replace(provider, session_keys=()),
        replace(provider, intercept_header_auth=False),
        replace(certificate, private_key="OTHER"),
        replace(ldap, application_slug="d"),
        replace(ldap, application_name="D"),
        replace(ldap, base_dn="DC=a"),
        replace(ldap, bind_mode=BindMode.DIRECT),
        replace(ldap, mfa_support=False),
        replace(ldap, search_group=None),
        replace(ldap, uid_start_number=1),
        replace(ldap, gid_start_number=1),
        replace(ldap, certificate=""),
        replace(ldap, tls_server_name=""),
        replace(ldap, user_attributes=(AttributeMapping(attribute="gecos", source="a"),)),
        replace(ldap, group_attributes=ldap.user_attributes),
        replace(ldap, user_attributes=()),
        replace(ldap, size_limit=0),
        replace(ldap, time_limit=timedelta(seconds=1)),
        replace(ended, before=WHEN + timedelta(microseconds=1)),
        replace(changed, identity=replace(IDENTITY, additional_headers={})),
    ]
    assert len({encode(resource).digest for resource in variants}) == len(variants)


def test_so_does_every_difference_of_mode_proxy() -> None:
    options, provider, *_, changed = RESOURCES
    assert isinstance(options, Options)
    assert isinstance(provider, ProxyProvider)
    assert isinstance(changed, Changed)
    variants: list[Resource] = [
        *RESOURCES,
        replace(options, access_log=Logged.NOTHING),
        replace(options, decision_log=Logged.ALL),
        replace(provider, upstream=UPSTREAM),
        *(replace(provider, upstream=replace(UPSTREAM, **{name: other})) for name, other in OTHERWISE.items()),
        replace(changed, identity=replace(IDENTITY, superuser=True)),
        replace(changed, identity=replace(IDENTITY, backend_override="http://a")),
        replace(changed, identity=replace(IDENTITY, host_header="a")),
    ]
    assert len({encode(resource).digest for resource in variants}) == len(variants)


def test_the_order_of_headers_makes_no_difference() -> None:
    changed = RESOURCES[-1]
    assert isinstance(changed, Changed)
    turned = replace(changed, identity=replace(IDENTITY, additional_headers={"X-A": "1", "X-B": "2"}))
    assert encode(turned) == encode(changed)


def test_parts_hold_at_most_a_mebibyte_and_everything_once() -> None:
    sizes = [10, PART_BYTES, PART_BYTES - 10, 5, 5, 5, PART_BYTES * 2, 1]
    resources = tuple(Encoded(key=f"k{number}", digest="d", data=b"x" * size) for number, size in enumerate(sizes))
    removed = tuple(f"gone/{number:040}" for number in range(50_000))
    parts = [each.config for each in config_parts(Push(revision=7, resources=resources, removed=removed))]
    assert [part.part for part in parts] == list(range(len(parts)))
    assert [part.last for part in parts] == [False] * (len(parts) - 1) + [True]
    assert [len(data) for part in parts for data in part.resources] == sizes
    assert [key for part in parts for key in part.removed] == list(removed)
    for part in parts:
        weight = sum(map(len, part.resources)) + sum(map(len, part.removed))
        assert weight <= PART_BYTES or len(part.resources) + len(part.removed) == 1


def test_times_and_ids_from_the_wire_may_be_none() -> None:
    assert read_id("x") is None
    assert read_id(str(ID)) == ID
    assert read_time(Timestamp(seconds=2**62)) is None
    assert read_time(Timestamp(seconds=0)) is None
    assert read_time(Timestamp(seconds=7_300_000_000)) is None
    assert read_time(Timestamp(seconds=946_684_800)) == datetime(2000, 1, 1, tzinfo=UTC)


# Every field that holds a secret, by hand: a new one has to be thought about here.
SECRETS = {
    "outpost.v1.SessionKey.secret",
    "outpost.v1.Certificate.private_key",
    "outpost.v1.RedeemCodeRequest.code",
    "outpost.v1.RedeemCodeRequest.code_verifier",
    "outpost.v1.ProxySession.id_token",
    "outpost.v1.ProxySession.proof",
    "outpost.v1.LookUpSessionRequest.proof",
    "outpost.v1.NewToken.secret",
    "outpost.v1.BasicCredentials.password",
    "outpost.v1.PasswordCredentials.password",
    "outpost.v1.AuthenticateRequest.bearer",
    "outpost.v1.ChallengeAnswer.state",
    "outpost.v1.ChallengeAnswer.code",
    "outpost.v1.Challenge.state",
    "outpost.v1.ChangePasswordRequest.present",
    "outpost.v1.ChangePasswordRequest.wanted",
    "outpost.v1.PasswordChanged.generated",
}
# What sounds like a secret and is none: fingerprints; messages whose secret is marked; ids and digests; names.
HARMLESS = {
    "outpost.v1.Hello.environment_token",
    "outpost.v1.Hello.held_token",
    "outpost.v1.Command.new_token",
    "outpost.v1.WatchRequest.token_held",
    "outpost.v1.Resource.key",
    "outpost.v1.Rejection.key",
    "outpost.v1.ProxyProvider.session_keys",
    "outpost.v1.ProxyProvider.access_token_validity",
    "outpost.v1.Hello.HeldEntry.key",
    "outpost.v1.Held.HeldEntry.key",
    "outpost.v1.Digests.WantedEntry.key",
    "outpost.v1.Identity.AdditionalHeadersEntry.key",
    "outpost.v1.Changed.BasicCredentialsEntry.key",
    "outpost.v1.AuthenticateRequest.password",
    "outpost.v1.Digests.wanted",
}
SOUNDS = (
    *("secret", "password", "token", "key", "code", "verifier", "private", "proof", "bearer", "state"),
    *("present", "wanted", "generated"),
)


def fields() -> Iterator[FieldDescriptor]:
    for file in (gate_pb2, identity_pb2, link_pb2, resources_pb2):
        for message in file.DESCRIPTOR.message_types_by_name.values():
            yield from _fields(message)


def _fields(message: Descriptor) -> Iterator[FieldDescriptor]:
    yield from message.fields
    for nested in message.nested_types:
        yield from _fields(nested)


def test_exactly_the_secrets_are_marked() -> None:
    assert {field.full_name for field in fields() if field.GetOptions().debug_redact} == SECRETS


def test_what_sounds_like_a_secret_is_classified() -> None:
    sounding = {field.full_name for field in fields() if any(sound in field.name for sound in SOUNDS)}
    assert sounding == SECRETS | HARMLESS


def test_secrets_are_not_shown() -> None:
    assert "KEY" not in repr(RESOURCES[3])
    assert "kkkk" not in repr(RESOURCES[1])
    assert "kkkk" not in repr(encode(RESOURCES[1]))
