"""Protobuf to our own values and back: with `questions`, all of the data plane that reads or makes messages.

Called by `watch` (the stream) and the workers (resources); `questions` has the unary calls. Messages of a newer control
that we don't know are `Unknown`, not errors; resources we can't read are ConfigRefused.
"""

from collections.abc import Iterable, Iterator, Mapping

from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp

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
from dataplane.link.held import ConfigPart, Held, HeldResource, LinkBroken, Rejection
from dataplane.link.messages import DirectoryPart, Drain, NewToken, Position, Pushed, Standing, Unknown, Vitals, Wanted
from dataplane.link.target import Instance
from protos.outpost.v1 import directory_pb2, identity_pb2, link_pb2, resources_pb2

PROTOCOL = 2
# Of a map of digests in one message: some 200 KiB. Control takes no message above 512 KiB.
PART_ENTRIES = 2_000
# Of the resources that are refused those are told that fit; the others are refused all the same.
REJECTED_BYTES = 256 * 1024
MOST_TEXT = 1_000
NO_STANDING = Standing()


def hello(
    instance: Instance, held: Held, now: float, standing: Standing = NO_STANDING
) -> Iterator[link_pb2.WatchRequest]:
    """Who we are and what we hold, in as many messages as that takes."""
    first, *rest = _parts(held.digests)
    yield link_pb2.WatchRequest(
        hello=link_pb2.Hello(
            instance=instance.uid,
            type=instance.type,
            hostname=instance.hostname,
            version=instance.version,
            build=instance.build,
            protocol=PROTOCOL,
            started=timestamp(instance.started),
            clock=timestamp(now),
            held=first,
            revision=held.revision,
            continued=bool(rest),
            directory=_position_message(standing.directory),
            environment_token=standing.environment_token,
            held_token=standing.held_token,
        )
    )
    for number, part in enumerate(rest, start=1):
        yield link_pb2.WatchRequest(held=link_pb2.Held(held=part, last=number == len(rest)))


def _parts(digests: Mapping[str, str]) -> list[dict[str, str]]:
    """At least one."""
    items = [*digests.items()]
    return [dict(items[at : at + PART_ENTRIES]) for at in range(0, max(len(items), 1), PART_ENTRIES)]


def _position_message(position: Position | None) -> link_pb2.DirectoryPosition | None:
    return link_pb2.DirectoryPosition(epoch=position.epoch, position=position.position) if position else None


def directory_applied(position: Position | None) -> link_pb2.WatchRequest:
    """The answer to a part of the directory: how far it is held now, which a part of a whole copy does not change."""
    return link_pb2.WatchRequest(directory_applied=link_pb2.DirectoryApplied(position=_position_message(position)))


def token_held(fingerprint: str) -> link_pb2.WatchRequest:
    """The answer to a new token, once it lies in the state."""
    return link_pb2.WatchRequest(token_held=link_pb2.TokenHeld(fingerprint=fingerprint))


def applied(revision: int, rejections: Iterable[Rejection]) -> link_pb2.WatchRequest:
    """The answer to a Config."""
    return link_pb2.WatchRequest(applied=link_pb2.Applied(revision=revision, rejected=_told(rejections)))


def _told(rejections: Iterable[Rejection]) -> Iterator[link_pb2.Rejection]:
    size = 0
    for each in rejections:
        rejection = link_pb2.Rejection(key=each.key, digest=each.digest, reason=each.reason[:MOST_TEXT])
        size += rejection.ByteSize()
        if size > REJECTED_BYTES:
            return
        yield rejection


def health(vitals: Vitals, now: float) -> link_pb2.WatchRequest:
    """One beat."""
    message = link_pb2.Health(
        clock=timestamp(now),
        workers=vitals.workers,
        memory_bytes=vitals.memory,
        load=vitals.load,
        last_error=vitals.last_error[:MOST_TEXT],
        draining=vitals.draining,
    )
    message.uptime.FromMilliseconds(int(vitals.uptime * 1000))
    return link_pb2.WatchRequest(health=message)


def pushed(message: link_pb2.WatchResponse) -> Pushed:
    """What control sent. Raises LinkBroken."""
    match message.WhichOneof("message"):
        case "config":
            return _part(message.config)
        case "digests":
            return Wanted(digests=dict(message.digests.wanted), continued=message.digests.continued)
        case "command" if message.command.WhichOneof("command") == "drain":
            return Drain()
        case "command" if message.command.WhichOneof("command") == "new_token":
            return NewToken(_token(message.command.new_token.secret))
        case "directory":
            return _directory_part(message.directory)
        case _:
            return Unknown()


def _token(secret: str) -> str:
    if not secret:
        raise LinkBroken("the new token is empty")
    return secret


def _directory_part(directory: link_pb2.Directory) -> DirectoryPart:
    if directory.complete and not directory.position.epoch:
        raise LinkBroken("a part that completes the directory says no position")
    position = Position(directory.position.epoch, directory.position.position) if directory.complete else None
    return DirectoryPart(
        position=position,
        begins=directory.begins,
        entries={_entry_key(data): data for data in directory.entries},
        removed=tuple(directory.removed),
    )


def _entry_key(data: bytes) -> str:
    try:
        key = directory_pb2.DirectoryEntry.FromString(data).key
    except DecodeError as error:
        raise LinkBroken(f"an entry of {len(data)} bytes is no outpost.v1.DirectoryEntry") from error
    if not key:
        raise LinkBroken("an entry of the directory has no key")
    return key


def _part(config: link_pb2.Config) -> ConfigPart:
    return ConfigPart(
        revision=config.revision,
        part=config.part,
        last=config.last,
        resources=tuple(held_resource(data) for data in config.resources),
        removed=tuple(config.removed),
    )


def held_resource(data: bytes) -> HeldResource:
    """The bytes of a resource under their key. Raises LinkBroken: without a key there is nothing to refuse."""
    try:
        message = resources_pb2.Resource.FromString(data)
    except DecodeError as error:
        raise LinkBroken(f"a resource of {len(data)} bytes is no outpost.v1.Resource") from error
    if not message.key:
        raise LinkBroken("a resource has no key")
    return HeldResource(key=message.key, digest=message.digest, data=data)


def is_revocation(held: HeldResource) -> bool:
    """Whether it ends or changes sessions: such a resource is never held back for the sake of others."""
    return resources_pb2.Resource.FromString(held.data).WhichOneof("body") in {"ended", "changed"}


def locally_ended(session: str, until: float) -> HeldResource:
    """A revocation that this outpost makes itself, while control's own is on its way.

    It ends the session whenever that was made: our clock may be behind control's, which dates sessions.
    """
    key = f"local/ended/session/{session}"
    ended = resources_pb2.Ended(session=session, before=timestamp(until), until=timestamp(until))
    message = resources_pb2.Resource(key=key, digest="local", ended=ended)
    return HeldResource(key=key, digest="local", data=message.SerializeToString())


def resource(data: bytes) -> Resource:
    """The configuration in the bytes of a resource. Raises ConfigRefused."""
    try:
        message = resources_pb2.Resource.FromString(data)
    except DecodeError as error:
        raise ConfigRefused("this is no outpost.v1.Resource") from error
    match message.WhichOneof("body"):
        case "options":
            return _options(message.options)
        case "proxy_provider":
            return _proxy_provider(message.proxy_provider)
        case "ldap_provider":
            return _ldap_provider(message.ldap_provider)
        case "certificate":
            certificate = message.certificate
            return Certificate(
                id=certificate.id,
                name=certificate.name,
                chain=certificate.chain,
                private_key=certificate.private_key,
            )
        case "ended":
            return _ended(message.ended)
        case "changed":
            return _changed(message.changed)
        case _:
            raise ConfigRefused("its kind is not known to this version of the outpost: upgrade the outpost")


def _options(message: resources_pb2.Options) -> Options:
    return Options(
        outpost_id=message.outpost_id,
        outpost_name=message.outpost_name,
        log_level=message.log_level,
        refresh_interval=message.refresh_interval.ToMilliseconds() / 1000,
        browser_url=message.browser_url,
        insecure=message.insecure,
        bind_cache=message.bind_cache.ToMilliseconds() / 1000,
        offline_grace=message.offline_grace.ToMilliseconds() / 1000,
    )


_MODES = {
    resources_pb2.ProxyProvider.MODE_PROXY: ProxyMode.PROXY,
    resources_pb2.ProxyProvider.MODE_FORWARD_SINGLE: ProxyMode.FORWARD_SINGLE,
    resources_pb2.ProxyProvider.MODE_FORWARD_DOMAIN: ProxyMode.FORWARD_DOMAIN,
}


def _proxy_provider(message: resources_pb2.ProxyProvider) -> ProxyProvider:
    if message.mode not in _MODES:
        known = ", ".join(sorted(_MODES.values()))
        raise ConfigRefused(f"provider {message.name}: mode {message.mode} is not known; expected one of {known}")
    return ProxyProvider(
        id=message.id,
        name=message.name,
        application_slug=message.application_slug,
        application_name=message.application_name,
        client_id=message.client_id,
        mode=_MODES[message.mode],
        external_host=message.external_host,
        internal_host=message.internal_host,
        internal_host_ssl_validation=message.internal_host_ssl_validation,
        cookie_domain=message.cookie_domain,
        skip_path_regex=tuple(message.skip_path_regex),
        access_token_validity=message.access_token_validity.ToMilliseconds() / 1000,
        session_keys=tuple(SessionKey(id=key.id, secret=key.secret) for key in message.session_keys),
        certificate=message.certificate,
        intercept_header_auth=message.intercept_header_auth,
        basic_auth_enabled=message.basic_auth_enabled,
    )


_BIND_MODES = {
    resources_pb2.LdapProvider.BIND_MODE_DIRECT: BindMode.DIRECT,
    resources_pb2.LdapProvider.BIND_MODE_CACHED: BindMode.CACHED,
}


def _ldap_provider(message: resources_pb2.LdapProvider) -> LdapProvider:
    if message.bind_mode not in _BIND_MODES:
        known = ", ".join(sorted(_BIND_MODES.values()))
        raise ConfigRefused(
            f"provider {message.name}: bind mode {message.bind_mode} is not known; expected one of {known}"
        )
    return LdapProvider(
        id=message.id,
        name=message.name,
        application_slug=message.application_slug,
        application_name=message.application_name,
        base_dn=message.base_dn,
        bind_mode=_BIND_MODES[message.bind_mode],
        mfa_support=message.mfa_support,
        search_group=message.search_group,
        uid_start_number=message.uid_start_number,
        gid_start_number=message.gid_start_number,
        certificate=message.certificate,
        tls_server_name=message.tls_server_name,
        user_attributes=_mappings(message.user_attributes),
        group_attributes=_mappings(message.group_attributes),
        size_limit=message.size_limit,
        time_limit=message.time_limit.ToMilliseconds() / 1000,
    )


def _mappings(messages: Iterable[resources_pb2.AttributeMapping]) -> tuple[AttributeMapping, ...]:
    return tuple(AttributeMapping(attribute=each.attribute, source=each.source) for each in messages)


def directory_entry(data: bytes) -> tuple[str, DirectoryEntry]:
    """An entry of the directory and its key. Raises ConfigRefused."""
    try:
        message = directory_pb2.DirectoryEntry.FromString(data)
    except DecodeError as error:
        raise ConfigRefused("this is no outpost.v1.DirectoryEntry") from error
    match message.WhichOneof("body"):
        case "user":
            return message.key, _user(message.user)
        case "group":
            return message.key, _group(message.group)
        case _:
            raise ConfigRefused("its kind is not known to this version of the outpost: upgrade the outpost")


def _user(message: directory_pb2.DirectoryUser) -> DirectoryUser:
    changed = seconds(message.password_changed) if message.HasField("password_changed") else None
    return DirectoryUser(
        id=message.id,
        username=message.username,
        name=message.name,
        email=message.email,
        active=message.active,
        groups=tuple(message.groups),
        attributes=message.attributes,
        number=message.number,
        created=seconds(message.created),
        updated=seconds(message.updated),
        password_changed=changed,
    )


def _group(message: directory_pb2.DirectoryGroup) -> DirectoryGroup:
    return DirectoryGroup(
        id=message.id,
        name=message.name,
        superuser=message.superuser,
        parents=tuple(message.parents),
        attributes=message.attributes,
        number=message.number,
        created=seconds(message.created),
        updated=seconds(message.updated),
    )


def _ended(message: resources_pb2.Ended) -> Ended:
    return Ended(
        session=message.session,
        subject=message.subject,
        provider=message.provider,
        before=seconds(message.before),
        until=seconds(message.until),
    )


def _changed(message: resources_pb2.Changed) -> Changed:
    return Changed(
        identity=identity(message.identity),
        at=seconds(message.at),
        until=seconds(message.until),
        denied_providers=frozenset(message.denied_providers),
        basic={provider: basic(each) for provider, each in message.basic_credentials.items()},
    )


def identity(message: identity_pb2.Identity) -> Identity:
    """Who a person is."""
    return Identity(
        subject=message.subject,
        username=message.username,
        name=message.name,
        email=message.email,
        groups=tuple(message.groups),
        entitlements=tuple(message.entitlements),
        additional_headers=tuple(sorted(message.additional_headers.items())),
    )


def basic(message: identity_pb2.BasicCredentials) -> BasicCredentials:
    """What an application is sent."""
    return BasicCredentials(username=message.username, password=message.password)


def timestamp(seconds: float) -> Timestamp:
    """POSIX seconds as they travel."""
    timestamp = Timestamp()
    timestamp.FromMicroseconds(round(seconds * 1_000_000))
    return timestamp


def seconds(stamp: Timestamp) -> float:
    """The same back."""
    return float(stamp.ToMicroseconds()) / 1_000_000
