"""Every kind of resource and answer, from the bytes of control to our own values."""

import contextlib

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from dataplane.config import (
    AttributeMapping,
    BindMode,
    Certificate,
    Changed,
    ConfigRefused,
    DirectoryEntry,
    DirectoryGroup,
    DirectoryUser,
    Ended,
    LdapProvider,
    Options,
    ProxyMode,
    ProxyProvider,
    Resource,
    SessionKey,
)
from dataplane.gate import BasicCredentials, Identity
from dataplane.link import reading
from protos.outpost.v1 import directory_pb2, identity_pb2, resources_pb2

AT, UNTIL = 1_700_000_000.25, 1_800_000_000.5


def stamp(seconds: float) -> Timestamp:
    message = Timestamp()
    message.FromMilliseconds(int(seconds * 1000))
    return message


ALICE_MESSAGE = identity_pb2.Identity(
    subject="u1",
    username="alice",
    name="Alice",
    email="a@example.com",
    groups=["a", "b"],
    entitlements=["edit"],
    additional_headers={"X-B": "2", "X-A": "1"},
)
ALICE = Identity(
    subject="u1",
    username="alice",
    name="Alice",
    email="a@example.com",
    groups=("a", "b"),
    entitlements=("edit",),
    additional_headers=(("X-A", "1"), ("X-B", "2")),
)
RESOURCES: list[tuple[resources_pb2.Resource, Resource]] = [
    (
        resources_pb2.Resource(
            options=resources_pb2.Options(
                outpost_id="o",
                outpost_name="edge",
                log_level="trace",
                refresh_interval=Duration(seconds=300, nanos=500_000_000),
                browser_url="https://auth.example.com",
            )
        ),
        Options(
            outpost_id="o",
            outpost_name="edge",
            log_level="trace",
            refresh_interval=300.5,
            browser_url="https://auth.example.com",
        ),
    ),
    (
        resources_pb2.Resource(
            proxy_provider=resources_pb2.ProxyProvider(
                id="p",
                name="Wiki",
                application_slug="wiki",
                application_name="The wiki",
                client_id="c",
                mode=resources_pb2.ProxyProvider.MODE_FORWARD_DOMAIN,
                external_host="https://wiki.example.com",
                internal_host="http://127.0.0.1:3000",
                internal_host_ssl_validation=True,
                cookie_domain="example.com",
                skip_path_regex=["^/public"],
                access_token_validity=Duration(seconds=86400),
                session_keys=[resources_pb2.SessionKey(id="k", secret=b"s" * 32)],
                certificate="certificate/x",
                intercept_header_auth=True,
                basic_auth_enabled=True,
            )
        ),
        ProxyProvider(
            id="p",
            name="Wiki",
            application_slug="wiki",
            application_name="The wiki",
            client_id="c",
            mode=ProxyMode.FORWARD_DOMAIN,
            external_host="https://wiki.example.com",
            internal_host="http://127.0.0.1:3000",
            internal_host_ssl_validation=True,
            cookie_domain="example.com",
            skip_path_regex=("^/public",),
            access_token_validity=86400.0,
            session_keys=(SessionKey(id="k", secret=b"s" * 32),),
            certificate="certificate/x",
            intercept_header_auth=True,
            basic_auth_enabled=True,
        ),
    ),
    (
        resources_pb2.Resource(
            ldap_provider=resources_pb2.LdapProvider(
                id="l",
                name="Directory",
                application_slug="directory",
                application_name="The directory",
                base_dn="DC=ldap,DC=example",
                bind_mode=resources_pb2.LdapProvider.BIND_MODE_CACHED,
                mfa_support=True,
                search_group="g",
                uid_start_number=2000,
                gid_start_number=4000,
                certificate="certificate/x",
                tls_server_name="ldap.example.com",
                user_attributes=[resources_pb2.AttributeMapping(attribute="loginShell", source="posix.shell")],
                group_attributes=[resources_pb2.AttributeMapping(attribute="description", source="description")],
                size_limit=500,
                time_limit=Duration(seconds=30, nanos=500_000_000),
            )
        ),
        LdapProvider(
            id="l",
            name="Directory",
            application_slug="directory",
            application_name="The directory",
            base_dn="DC=ldap,DC=example",
            bind_mode=BindMode.CACHED,
            mfa_support=True,
            search_group="g",
            uid_start_number=2000,
            gid_start_number=4000,
            certificate="certificate/x",
            tls_server_name="ldap.example.com",
            user_attributes=(AttributeMapping(attribute="loginShell", source="posix.shell"),),
            group_attributes=(AttributeMapping(attribute="description", source="description"),),
            size_limit=500,
            time_limit=30.5,
        ),
    ),
    (
        resources_pb2.Resource(
            certificate=resources_pb2.Certificate(id="x", name="web", chain="CHAIN", private_key="KEY")
        ),
        Certificate(id="x", name="web", chain="CHAIN", private_key="KEY"),
    ),
    (
        resources_pb2.Resource(
            ended=resources_pb2.Ended(session="s", subject="u", provider="p", before=stamp(AT), until=stamp(UNTIL))
        ),
        Ended(session="s", subject="u", provider="p", before=AT, until=UNTIL),
    ),
    (
        resources_pb2.Resource(
            changed=resources_pb2.Changed(
                identity=ALICE_MESSAGE,
                at=stamp(AT),
                until=stamp(UNTIL),
                denied_providers=["p", "q"],
                basic_credentials={"r": identity_pb2.BasicCredentials(username="a", password="b")},
            )
        ),
        Changed(
            identity=ALICE,
            at=AT,
            until=UNTIL,
            denied_providers=frozenset({"p", "q"}),
            basic={"r": BasicCredentials(username="a", password="b")},
        ),
    ),
]


@pytest.mark.parametrize(("message", "expected"), RESOURCES, ids=lambda each: type(each).__name__)
def test_resources(message: resources_pb2.Resource, expected: Resource) -> None:
    assert reading.resource(message.SerializeToString()) == expected


def test_the_table_has_every_kind_of_resource() -> None:
    kinds = {message.WhichOneof("body") for message, _ in RESOURCES}
    assert kinds == {field.name for field in resources_pb2.Resource.DESCRIPTOR.oneofs_by_name["body"].fields}


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xff", "this is no outpost.v1.Resource"),
        (resources_pb2.Resource(key="k").SerializeToString(), "upgrade the outpost"),
        (
            resources_pb2.Resource(proxy_provider=resources_pb2.ProxyProvider(name="Wiki")).SerializeToString(),
            "provider Wiki: mode 0 is not known; expected one of forward_domain, forward_single, proxy",
        ),
        (
            resources_pb2.Resource(ldap_provider=resources_pb2.LdapProvider(name="Directory")).SerializeToString(),
            "provider Directory: bind mode 0 is not known; expected one of cached, direct",
        ),
    ],
)
def test_what_cannot_be_served_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(ConfigRefused, match=words):
        reading.resource(data)


ENTRIES: list[tuple[directory_pb2.DirectoryEntry, DirectoryEntry]] = [
    (
        directory_pb2.DirectoryEntry(
            key="user/u",
            user=directory_pb2.DirectoryUser(
                id="u",
                username="alice",
                name="Alice",
                email="a@example.com",
                active=True,
                groups=["g", "h"],
                attributes='{"a": 1}',
                created=stamp(AT),
                updated=stamp(UNTIL),
                number=7,
                password_changed=stamp(AT),
            ),
        ),
        DirectoryUser(
            id="u",
            username="alice",
            name="Alice",
            email="a@example.com",
            active=True,
            groups=("g", "h"),
            attributes='{"a": 1}',
            number=7,
            created=AT,
            updated=UNTIL,
            password_changed=AT,
        ),
    ),
    (
        directory_pb2.DirectoryEntry(
            key="group/g",
            group=directory_pb2.DirectoryGroup(
                id="g",
                name="staff",
                superuser=True,
                parents=["h"],
                attributes="{}",
                number=1_000_000,
                created=stamp(AT),
                updated=stamp(UNTIL),
            ),
        ),
        DirectoryGroup(
            id="g",
            name="staff",
            superuser=True,
            parents=("h",),
            attributes="{}",
            number=1_000_000,
            created=AT,
            updated=UNTIL,
        ),
    ),
]


@pytest.mark.parametrize(("message", "expected"), ENTRIES, ids=lambda each: type(each).__name__)
def test_entries_of_the_directory(message: directory_pb2.DirectoryEntry, expected: DirectoryEntry) -> None:
    assert reading.directory_entry(message.SerializeToString()) == (message.key, expected)


def test_a_user_who_has_no_password() -> None:
    message = directory_pb2.DirectoryEntry(key="user/u", user=directory_pb2.DirectoryUser(id="u"))
    _, user = reading.directory_entry(message.SerializeToString())
    assert isinstance(user, DirectoryUser)
    assert user.password_changed is None


def test_an_entry_of_a_newer_control_is_refused() -> None:
    for data, words in ((b"\xff", "no outpost.v1.DirectoryEntry"), (b"\x0a\x01k", "upgrade the outpost")):
        with pytest.raises(ConfigRefused, match=words):
            reading.directory_entry(data)


@given(st.binary(max_size=200))
def test_garbage_is_refused_and_nothing_else(data: bytes) -> None:
    with contextlib.suppress(ConfigRefused):
        reading.resource(data)
    with contextlib.suppress(ConfigRefused):
        reading.directory_entry(data)
