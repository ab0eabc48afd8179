"""What the bytes mean that control sent: resources and entries of the directory, as our own values.

Workers read them, for whom they are kept as they came. What can't be read (newer, or damaged) is ConfigRefused.
"""

from collections.abc import Iterable

from google.protobuf.message import DecodeError

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
    Logged,
    Options,
    ProxyMode,
    ProxyProvider,
    Resource,
    SessionKey,
    Upstream,
)
from dataplane.gate import BasicCredentials, Identity
from dataplane.link.stamps import seconds
from protos.outpost.v1 import directory_pb2, identity_pb2, resources_pb2


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
        access_log=_LOGGED.get(message.access_log, Logged.ALL),
        decision_log=_LOGGED.get(message.decision_log, Logged.PROBLEMS),
    )


_LOGGED = {
    resources_pb2.Options.LOGGED_ALL: Logged.ALL,
    resources_pb2.Options.LOGGED_PROBLEMS: Logged.PROBLEMS,
    resources_pb2.Options.LOGGED_NOTHING: Logged.NOTHING,
}


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
        upstream=_upstream(message.upstream) if message.HasField("upstream") else None,
    )


def _upstream(message: resources_pb2.Upstream) -> Upstream:
    return Upstream(
        addresses=tuple(message.addresses),
        host_header=message.host_header,
        server_name=message.server_name,
        authorities=message.authorities,
        certificate=message.certificate,
        connect_timeout=message.connect_timeout.ToMilliseconds() / 1000,
        response_timeout=message.response_timeout.ToMilliseconds() / 1000,
        idle_timeout=message.idle_timeout.ToMilliseconds() / 1000,
        connections=message.connections,
        security_headers=message.security_headers,
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
        superuser=message.superuser,
        backend_override=message.backend_override,
        host_header=message.host_header,
    )


def basic(message: identity_pb2.BasicCredentials) -> BasicCredentials:
    """What an application is sent."""
    return BasicCredentials(username=message.username, password=message.password)
