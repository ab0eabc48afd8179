import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from protos.outpost.v1 import identity_pb2 as _identity_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Resource(_message.Message):
    __slots__ = ("key", "digest", "options", "proxy_provider", "certificate", "ended", "changed", "ldap_provider")
    KEY_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    PROXY_PROVIDER_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    LDAP_PROVIDER_FIELD_NUMBER: _ClassVar[int]
    key: str
    digest: str
    options: Options
    proxy_provider: ProxyProvider
    certificate: Certificate
    ended: Ended
    changed: Changed
    ldap_provider: LdapProvider
    def __init__(self, key: _Optional[str] = ..., digest: _Optional[str] = ..., options: _Optional[_Union[Options, _Mapping]] = ..., proxy_provider: _Optional[_Union[ProxyProvider, _Mapping]] = ..., certificate: _Optional[_Union[Certificate, _Mapping]] = ..., ended: _Optional[_Union[Ended, _Mapping]] = ..., changed: _Optional[_Union[Changed, _Mapping]] = ..., ldap_provider: _Optional[_Union[LdapProvider, _Mapping]] = ...) -> None: ...

class Options(_message.Message):
    __slots__ = ("outpost_id", "outpost_name", "log_level", "refresh_interval", "browser_url", "insecure", "bind_cache", "offline_grace", "access_log", "decision_log")
    class Logged(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        LOGGED_UNSPECIFIED: _ClassVar[Options.Logged]
        LOGGED_ALL: _ClassVar[Options.Logged]
        LOGGED_PROBLEMS: _ClassVar[Options.Logged]
        LOGGED_NOTHING: _ClassVar[Options.Logged]
    LOGGED_UNSPECIFIED: Options.Logged
    LOGGED_ALL: Options.Logged
    LOGGED_PROBLEMS: Options.Logged
    LOGGED_NOTHING: Options.Logged
    OUTPOST_ID_FIELD_NUMBER: _ClassVar[int]
    OUTPOST_NAME_FIELD_NUMBER: _ClassVar[int]
    LOG_LEVEL_FIELD_NUMBER: _ClassVar[int]
    REFRESH_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    BROWSER_URL_FIELD_NUMBER: _ClassVar[int]
    INSECURE_FIELD_NUMBER: _ClassVar[int]
    BIND_CACHE_FIELD_NUMBER: _ClassVar[int]
    OFFLINE_GRACE_FIELD_NUMBER: _ClassVar[int]
    ACCESS_LOG_FIELD_NUMBER: _ClassVar[int]
    DECISION_LOG_FIELD_NUMBER: _ClassVar[int]
    outpost_id: str
    outpost_name: str
    log_level: str
    refresh_interval: _duration_pb2.Duration
    browser_url: str
    insecure: bool
    bind_cache: _duration_pb2.Duration
    offline_grace: _duration_pb2.Duration
    access_log: Options.Logged
    decision_log: Options.Logged
    def __init__(self, outpost_id: _Optional[str] = ..., outpost_name: _Optional[str] = ..., log_level: _Optional[str] = ..., refresh_interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., browser_url: _Optional[str] = ..., insecure: _Optional[bool] = ..., bind_cache: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., offline_grace: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., access_log: _Optional[_Union[Options.Logged, str]] = ..., decision_log: _Optional[_Union[Options.Logged, str]] = ...) -> None: ...

class ProxyProvider(_message.Message):
    __slots__ = ("id", "name", "application_slug", "application_name", "client_id", "mode", "external_host", "internal_host", "internal_host_ssl_validation", "cookie_domain", "skip_path_regex", "access_token_validity", "session_keys", "certificate", "intercept_header_auth", "basic_auth_enabled", "upstream")
    class Mode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        MODE_UNSPECIFIED: _ClassVar[ProxyProvider.Mode]
        MODE_PROXY: _ClassVar[ProxyProvider.Mode]
        MODE_FORWARD_SINGLE: _ClassVar[ProxyProvider.Mode]
        MODE_FORWARD_DOMAIN: _ClassVar[ProxyProvider.Mode]
    MODE_UNSPECIFIED: ProxyProvider.Mode
    MODE_PROXY: ProxyProvider.Mode
    MODE_FORWARD_SINGLE: ProxyProvider.Mode
    MODE_FORWARD_DOMAIN: ProxyProvider.Mode
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    APPLICATION_SLUG_FIELD_NUMBER: _ClassVar[int]
    APPLICATION_NAME_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ID_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    EXTERNAL_HOST_FIELD_NUMBER: _ClassVar[int]
    INTERNAL_HOST_FIELD_NUMBER: _ClassVar[int]
    INTERNAL_HOST_SSL_VALIDATION_FIELD_NUMBER: _ClassVar[int]
    COOKIE_DOMAIN_FIELD_NUMBER: _ClassVar[int]
    SKIP_PATH_REGEX_FIELD_NUMBER: _ClassVar[int]
    ACCESS_TOKEN_VALIDITY_FIELD_NUMBER: _ClassVar[int]
    SESSION_KEYS_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    INTERCEPT_HEADER_AUTH_FIELD_NUMBER: _ClassVar[int]
    BASIC_AUTH_ENABLED_FIELD_NUMBER: _ClassVar[int]
    UPSTREAM_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    application_slug: str
    application_name: str
    client_id: str
    mode: ProxyProvider.Mode
    external_host: str
    internal_host: str
    internal_host_ssl_validation: bool
    cookie_domain: str
    skip_path_regex: _containers.RepeatedScalarFieldContainer[str]
    access_token_validity: _duration_pb2.Duration
    session_keys: _containers.RepeatedCompositeFieldContainer[SessionKey]
    certificate: str
    intercept_header_auth: bool
    basic_auth_enabled: bool
    upstream: Upstream
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., application_slug: _Optional[str] = ..., application_name: _Optional[str] = ..., client_id: _Optional[str] = ..., mode: _Optional[_Union[ProxyProvider.Mode, str]] = ..., external_host: _Optional[str] = ..., internal_host: _Optional[str] = ..., internal_host_ssl_validation: _Optional[bool] = ..., cookie_domain: _Optional[str] = ..., skip_path_regex: _Optional[_Iterable[str]] = ..., access_token_validity: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., session_keys: _Optional[_Iterable[_Union[SessionKey, _Mapping]]] = ..., certificate: _Optional[str] = ..., intercept_header_auth: _Optional[bool] = ..., basic_auth_enabled: _Optional[bool] = ..., upstream: _Optional[_Union[Upstream, _Mapping]] = ...) -> None: ...

class Upstream(_message.Message):
    __slots__ = ("addresses", "host_header", "server_name", "authorities", "certificate", "connect_timeout", "response_timeout", "idle_timeout", "connections", "security_headers")
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    HOST_HEADER_FIELD_NUMBER: _ClassVar[int]
    SERVER_NAME_FIELD_NUMBER: _ClassVar[int]
    AUTHORITIES_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    CONNECT_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    IDLE_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    CONNECTIONS_FIELD_NUMBER: _ClassVar[int]
    SECURITY_HEADERS_FIELD_NUMBER: _ClassVar[int]
    addresses: _containers.RepeatedScalarFieldContainer[str]
    host_header: str
    server_name: str
    authorities: str
    certificate: str
    connect_timeout: _duration_pb2.Duration
    response_timeout: _duration_pb2.Duration
    idle_timeout: _duration_pb2.Duration
    connections: int
    security_headers: bool
    def __init__(self, addresses: _Optional[_Iterable[str]] = ..., host_header: _Optional[str] = ..., server_name: _Optional[str] = ..., authorities: _Optional[str] = ..., certificate: _Optional[str] = ..., connect_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., response_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., idle_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., connections: _Optional[int] = ..., security_headers: _Optional[bool] = ...) -> None: ...

class LdapProvider(_message.Message):
    __slots__ = ("id", "name", "application_slug", "application_name", "base_dn", "bind_mode", "mfa_support", "search_group", "uid_start_number", "gid_start_number", "certificate", "tls_server_name", "user_attributes", "group_attributes", "size_limit", "time_limit")
    class BindMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        BIND_MODE_UNSPECIFIED: _ClassVar[LdapProvider.BindMode]
        BIND_MODE_DIRECT: _ClassVar[LdapProvider.BindMode]
        BIND_MODE_CACHED: _ClassVar[LdapProvider.BindMode]
    BIND_MODE_UNSPECIFIED: LdapProvider.BindMode
    BIND_MODE_DIRECT: LdapProvider.BindMode
    BIND_MODE_CACHED: LdapProvider.BindMode
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    APPLICATION_SLUG_FIELD_NUMBER: _ClassVar[int]
    APPLICATION_NAME_FIELD_NUMBER: _ClassVar[int]
    BASE_DN_FIELD_NUMBER: _ClassVar[int]
    BIND_MODE_FIELD_NUMBER: _ClassVar[int]
    MFA_SUPPORT_FIELD_NUMBER: _ClassVar[int]
    SEARCH_GROUP_FIELD_NUMBER: _ClassVar[int]
    UID_START_NUMBER_FIELD_NUMBER: _ClassVar[int]
    GID_START_NUMBER_FIELD_NUMBER: _ClassVar[int]
    CERTIFICATE_FIELD_NUMBER: _ClassVar[int]
    TLS_SERVER_NAME_FIELD_NUMBER: _ClassVar[int]
    USER_ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    GROUP_ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    SIZE_LIMIT_FIELD_NUMBER: _ClassVar[int]
    TIME_LIMIT_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    application_slug: str
    application_name: str
    base_dn: str
    bind_mode: LdapProvider.BindMode
    mfa_support: bool
    search_group: str
    uid_start_number: int
    gid_start_number: int
    certificate: str
    tls_server_name: str
    user_attributes: _containers.RepeatedCompositeFieldContainer[AttributeMapping]
    group_attributes: _containers.RepeatedCompositeFieldContainer[AttributeMapping]
    size_limit: int
    time_limit: _duration_pb2.Duration
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., application_slug: _Optional[str] = ..., application_name: _Optional[str] = ..., base_dn: _Optional[str] = ..., bind_mode: _Optional[_Union[LdapProvider.BindMode, str]] = ..., mfa_support: _Optional[bool] = ..., search_group: _Optional[str] = ..., uid_start_number: _Optional[int] = ..., gid_start_number: _Optional[int] = ..., certificate: _Optional[str] = ..., tls_server_name: _Optional[str] = ..., user_attributes: _Optional[_Iterable[_Union[AttributeMapping, _Mapping]]] = ..., group_attributes: _Optional[_Iterable[_Union[AttributeMapping, _Mapping]]] = ..., size_limit: _Optional[int] = ..., time_limit: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class AttributeMapping(_message.Message):
    __slots__ = ("attribute", "source")
    ATTRIBUTE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    attribute: str
    source: str
    def __init__(self, attribute: _Optional[str] = ..., source: _Optional[str] = ...) -> None: ...

class SessionKey(_message.Message):
    __slots__ = ("id", "secret")
    ID_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    id: str
    secret: bytes
    def __init__(self, id: _Optional[str] = ..., secret: _Optional[bytes] = ...) -> None: ...

class Certificate(_message.Message):
    __slots__ = ("id", "name", "chain", "private_key")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CHAIN_FIELD_NUMBER: _ClassVar[int]
    PRIVATE_KEY_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    chain: str
    private_key: str
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., chain: _Optional[str] = ..., private_key: _Optional[str] = ...) -> None: ...

class Ended(_message.Message):
    __slots__ = ("session", "subject", "provider", "before", "until")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    session: str
    subject: str
    provider: str
    before: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    def __init__(self, session: _Optional[str] = ..., subject: _Optional[str] = ..., provider: _Optional[str] = ..., before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Changed(_message.Message):
    __slots__ = ("identity", "at", "until", "denied_providers", "basic_credentials")
    class BasicCredentialsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _identity_pb2.BasicCredentials
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_identity_pb2.BasicCredentials, _Mapping]] = ...) -> None: ...
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    DENIED_PROVIDERS_FIELD_NUMBER: _ClassVar[int]
    BASIC_CREDENTIALS_FIELD_NUMBER: _ClassVar[int]
    identity: _identity_pb2.Identity
    at: _timestamp_pb2.Timestamp
    until: _timestamp_pb2.Timestamp
    denied_providers: _containers.RepeatedScalarFieldContainer[str]
    basic_credentials: _containers.MessageMap[str, _identity_pb2.BasicCredentials]
    def __init__(self, identity: _Optional[_Union[_identity_pb2.Identity, _Mapping]] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., denied_providers: _Optional[_Iterable[str]] = ..., basic_credentials: _Optional[_Mapping[str, _identity_pb2.BasicCredentials]] = ...) -> None: ...
