"""Our own values to protobuf: the one place in control that makes messages, with `control.link.answers` for the Gate.

A resource is serialised once for all who receive it, with the digest by which outposts tell what they hold.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import assert_never
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from control.domain.application import AttributeMapping, BindMode, ProxyMode
from control.domain.directory import DirectoryGroup, DirectoryUser, Entry, Position
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
    Upstream,
)
from control.link.messages import Push
from protos.outpost.v1 import directory_pb2, identity_pb2, link_pb2, resources_pb2

PART_BYTES = 1024 * 1024
# Of the directory: a config waits behind no more than a few of these, on slow lines too.
DIRECTORY_PART_BYTES = 256 * 1024
DIGEST_CHARACTERS = 32
# Of a map of digests in one message: some 200 KiB, so that reading it holds up nothing else.
PART_ENTRIES = 2_000

_MODES = {
    ProxyMode.PROXY: resources_pb2.ProxyProvider.MODE_PROXY,
    ProxyMode.FORWARD_SINGLE: resources_pb2.ProxyProvider.MODE_FORWARD_SINGLE,
    ProxyMode.FORWARD_DOMAIN: resources_pb2.ProxyProvider.MODE_FORWARD_DOMAIN,
}
_LOGGED = {
    Logged.ALL: resources_pb2.Options.LOGGED_ALL,
    Logged.PROBLEMS: resources_pb2.Options.LOGGED_PROBLEMS,
    Logged.NOTHING: resources_pb2.Options.LOGGED_NOTHING,
}
_BIND_MODES = {
    BindMode.DIRECT: resources_pb2.LdapProvider.BIND_MODE_DIRECT,
    BindMode.CACHED: resources_pb2.LdapProvider.BIND_MODE_CACHED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """A resource as it travels."""

    key: str
    digest: str
    data: bytes = field(repr=False)


def encode(resource: Resource) -> Encoded:
    """Serialise a resource; equal resources give equal digests."""
    message = _body(resource)
    message.key = resource.key
    digest = sha256(message.SerializeToString(deterministic=True)).hexdigest()[:DIGEST_CHARACTERS]
    message.digest = digest
    return Encoded(key=resource.key, digest=digest, data=message.SerializeToString(deterministic=True))


def _body(resource: Resource) -> resources_pb2.Resource:
    match resource:
        case Options():
            return resources_pb2.Resource(options=_options(resource))
        case ProxyProvider():
            return resources_pb2.Resource(proxy_provider=_provider(resource))
        case LdapProvider():
            return resources_pb2.Resource(ldap_provider=_ldap_provider(resource))
        case Certificate():
            return resources_pb2.Resource(certificate=_certificate(resource))
        case Ended():
            return resources_pb2.Resource(ended=_ended(resource))
        case Changed():
            return resources_pb2.Resource(changed=_changed(resource))
        case _:
            assert_never(resource)


def _options(options: Options) -> resources_pb2.Options:
    message = resources_pb2.Options(
        outpost_id=str(options.outpost_id),
        outpost_name=options.outpost_name,
        log_level=options.log_level,
        browser_url=options.browser_url,
        insecure=options.insecure,
        access_log=_LOGGED[options.access_log],
        decision_log=_LOGGED[options.decision_log],
    )
    message.bind_cache.FromTimedelta(options.bind_cache)
    message.offline_grace.FromTimedelta(options.offline_grace)
    message.refresh_interval.FromTimedelta(options.refresh_interval)
    return message


def _provider(provider: ProxyProvider) -> resources_pb2.ProxyProvider:
    message = resources_pb2.ProxyProvider(
        id=str(provider.id),
        name=provider.name,
        application_slug=provider.application_slug,
        application_name=provider.application_name,
        client_id=provider.client_id,
        mode=_MODES[provider.mode],
        external_host=provider.external_host,
        internal_host=provider.internal_host,
        internal_host_ssl_validation=provider.internal_host_ssl_validation,
        cookie_domain=provider.cookie_domain,
        skip_path_regex=provider.skip_path_regex,
        session_keys=[resources_pb2.SessionKey(id=str(key.id), secret=key.secret) for key in provider.session_keys],
        certificate=provider.certificate,
        intercept_header_auth=provider.intercept_header_auth,
        basic_auth_enabled=provider.basic_auth_enabled,
        upstream=None if provider.upstream is None else _upstream(provider.upstream),
    )
    message.access_token_validity.FromTimedelta(provider.access_token_validity)
    return message


def _upstream(upstream: Upstream) -> resources_pb2.Upstream:
    message = resources_pb2.Upstream(
        addresses=upstream.addresses,
        host_header=upstream.host_header,
        server_name=upstream.server_name,
        authorities=upstream.authorities,
        certificate=upstream.certificate,
        connections=upstream.connections,
        security_headers=upstream.security_headers,
    )
    message.connect_timeout.FromTimedelta(upstream.connect_timeout)
    message.response_timeout.FromTimedelta(upstream.response_timeout)
    message.idle_timeout.FromTimedelta(upstream.idle_timeout)
    return message


def _ldap_provider(provider: LdapProvider) -> resources_pb2.LdapProvider:
    message = resources_pb2.LdapProvider(
        id=str(provider.id),
        name=provider.name,
        application_slug=provider.application_slug,
        application_name=provider.application_name,
        base_dn=provider.base_dn,
        bind_mode=_BIND_MODES[provider.bind_mode],
        mfa_support=provider.mfa_support,
        search_group=_id(provider.search_group),
        uid_start_number=provider.uid_start_number,
        gid_start_number=provider.gid_start_number,
        certificate=provider.certificate,
        tls_server_name=provider.tls_server_name,
        user_attributes=map(_mapping, provider.user_attributes),
        group_attributes=map(_mapping, provider.group_attributes),
        size_limit=provider.size_limit,
    )
    message.time_limit.FromTimedelta(provider.time_limit)
    return message


def _mapping(mapping: AttributeMapping) -> resources_pb2.AttributeMapping:
    return resources_pb2.AttributeMapping(attribute=mapping.attribute, source=mapping.source)


def _certificate(certificate: Certificate) -> resources_pb2.Certificate:
    return resources_pb2.Certificate(
        id=str(certificate.id),
        name=certificate.name,
        chain=certificate.chain,
        private_key=certificate.private_key,
    )


def _ended(ended: Ended) -> resources_pb2.Ended:
    return resources_pb2.Ended(
        session=_id(ended.session),
        subject=_id(ended.subject),
        provider=_id(ended.provider),
        before=timestamp(ended.before),
        until=timestamp(ended.until),
    )


def _changed(changed: Changed) -> resources_pb2.Changed:
    return resources_pb2.Changed(
        identity=identity(changed.identity),
        at=timestamp(changed.at),
        until=timestamp(changed.until),
        denied_providers=[str(provider) for provider in changed.denied_providers],
        basic_credentials={str(provider): basic(each) for provider, each in changed.basic.items()},
    )


def identity(who: IssuedIdentity) -> identity_pb2.Identity:
    """Who somebody is."""
    return identity_pb2.Identity(
        subject=str(who.subject),
        username=who.username,
        name=who.name,
        email=who.email,
        groups=who.groups,
        entitlements=who.entitlements,
        additional_headers=who.additional_headers,
        superuser=who.superuser,
        backend_override=who.backend_override,
        host_header=who.host_header,
    )


def config_parts(push: Push[Encoded]) -> Iterator[link_pb2.WatchResponse]:
    """A push as Config messages of at most `PART_BYTES` of content each; the last one says so."""
    parts = list(_packed(push))
    for number, (resources, removed) in enumerate(parts):
        config = link_pb2.Config(
            revision=push.revision,
            part=number,
            last=number == len(parts) - 1,
            resources=resources,
            removed=removed,
        )
        yield link_pb2.WatchResponse(config=config)


def _packed(push: Push[Encoded]) -> Iterator[tuple[list[bytes], list[str]]]:
    resources: list[bytes] = []
    removed: list[str] = []
    size = 0
    items: list[str | Encoded] = [*push.removed, *push.resources]
    for item in items:
        weight = len(item) if isinstance(item, str) else len(item.data)
        if size and size + weight > PART_BYTES:
            yield resources, removed
            resources, removed, size = [], [], 0
        size += weight
        if isinstance(item, str):
            removed.append(item)
        else:
            resources.append(item.data)
    yield resources, removed


def digests(revision: int, wanted: Mapping[str, str]) -> Iterator[link_pb2.WatchResponse]:
    """What the outpost should hold, in as many messages as that takes."""
    items = [*wanted.items()]
    for at in range(0, max(len(items), 1), PART_ENTRIES):
        end = at + PART_ENTRIES
        part = link_pb2.Digests(revision=revision, wanted=dict(items[at:end]), continued=end < len(items))
        yield link_pb2.WatchResponse(digests=part)


def directory_entry(entry: Entry) -> bytes:
    """Serialise a user or a group; equal ones give equal bytes."""
    match entry:
        case DirectoryUser():
            message = directory_pb2.DirectoryEntry(key=entry.key, user=_directory_user(entry))
        case DirectoryGroup():
            message = directory_pb2.DirectoryEntry(key=entry.key, group=_directory_group(entry))
        case _:
            assert_never(entry)
    return message.SerializeToString(deterministic=True)


def _directory_user(user: DirectoryUser) -> directory_pb2.DirectoryUser:
    return directory_pb2.DirectoryUser(
        id=str(user.id),
        username=user.username,
        name=user.name,
        email=user.email,
        active=user.active,
        groups=map(str, user.groups),
        attributes=user.attributes,
        number=user.number,
        created=timestamp(user.created),
        updated=timestamp(user.updated),
        password_changed=None if user.password_changed is None else timestamp(user.password_changed),
    )


def _directory_group(group: DirectoryGroup) -> directory_pb2.DirectoryGroup:
    return directory_pb2.DirectoryGroup(
        id=str(group.id),
        name=group.name,
        superuser=group.superuser,
        parents=map(str, group.parents),
        attributes=group.attributes,
        number=group.number,
        created=timestamp(group.created),
        updated=timestamp(group.updated),
    )


def directory_begins() -> link_pb2.WatchResponse:
    """That a whole copy begins."""
    return link_pb2.WatchResponse(directory=link_pb2.Directory(begins=True))


def directory_emptied(position: Position) -> Iterator[link_pb2.WatchResponse]:
    """A whole copy with nothing in it."""
    yield directory_begins()
    yield from directory_changes((), (), position)


def directory_changes(
    entries: Sequence[bytes], removed: Sequence[str], reached: Position | None
) -> Iterator[link_pb2.WatchResponse]:
    """Entries and keys that are gone, in at least one part; the last one completes them where a position is reached."""
    *most, last = _directory_packed(entries)
    for each in most:
        yield link_pb2.WatchResponse(directory=link_pb2.Directory(entries=each))
    position = _position(reached) if reached else None
    directory = link_pb2.Directory(position=position, complete=bool(reached), entries=last, removed=removed)
    yield link_pb2.WatchResponse(directory=directory)


def _directory_packed(entries: Iterable[bytes]) -> Iterator[list[bytes]]:
    """In lists of so many bytes, the last of which may be empty."""
    some: list[bytes] = []
    size = 0
    for entry in entries:
        if some and size + len(entry) > DIRECTORY_PART_BYTES:
            yield some
            some, size = [], 0
        some.append(entry)
        size += len(entry)
    yield some


def _position(position: Position) -> link_pb2.DirectoryPosition:
    return link_pb2.DirectoryPosition(epoch=str(position.epoch), position=position.revision)


def drain() -> link_pb2.WatchResponse:
    """That the instance is to end when what is in flight is done."""
    return link_pb2.WatchResponse(command=link_pb2.Command(drain=link_pb2.Drain()))


def new_token(secret: str) -> link_pb2.WatchResponse:
    """The outpost's new token."""
    return link_pb2.WatchResponse(command=link_pb2.Command(new_token=link_pb2.NewToken(secret=secret)))


def basic(credentials: BasicCredentials) -> identity_pb2.BasicCredentials:
    """What an application is sent."""
    return identity_pb2.BasicCredentials(username=credentials.username, password=credentials.password)


def timestamp(moment: datetime) -> Timestamp:
    """The moment."""
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def _id(value: UUID | None) -> str:
    return "" if value is None else str(value)
