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

class Protocol(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PROTOCOL_UNSPECIFIED: _ClassVar[Protocol]
    PROTOCOL_HTTP: _ClassVar[Protocol]
    PROTOCOL_LDAP: _ClassVar[Protocol]
    PROTOCOL_RADIUS: _ClassVar[Protocol]
PROTOCOL_UNSPECIFIED: Protocol
PROTOCOL_HTTP: Protocol
PROTOCOL_LDAP: Protocol
PROTOCOL_RADIUS: Protocol

class AuthenticateRequest(_message.Message):
    __slots__ = ("provider", "protocol", "password", "bearer", "answer", "client_address", "request_id", "dialogue")
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    PASSWORD_FIELD_NUMBER: _ClassVar[int]
    BEARER_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    DIALOGUE_FIELD_NUMBER: _ClassVar[int]
    provider: str
    protocol: Protocol
    password: PasswordCredentials
    bearer: str
    answer: ChallengeAnswer
    client_address: str
    request_id: str
    dialogue: bool
    def __init__(self, provider: _Optional[str] = ..., protocol: _Optional[_Union[Protocol, str]] = ..., password: _Optional[_Union[PasswordCredentials, _Mapping]] = ..., bearer: _Optional[str] = ..., answer: _Optional[_Union[ChallengeAnswer, _Mapping]] = ..., client_address: _Optional[str] = ..., request_id: _Optional[str] = ..., dialogue: _Optional[bool] = ...) -> None: ...

class PasswordCredentials(_message.Message):
    __slots__ = ("username", "password")
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    PASSWORD_FIELD_NUMBER: _ClassVar[int]
    username: str
    password: str
    def __init__(self, username: _Optional[str] = ..., password: _Optional[str] = ...) -> None: ...

class ChallengeAnswer(_message.Message):
    __slots__ = ("state", "code")
    STATE_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    state: str
    code: str
    def __init__(self, state: _Optional[str] = ..., code: _Optional[str] = ...) -> None: ...

class AuthenticateResponse(_message.Message):
    __slots__ = ("allowed", "denied", "challenge")
    ALLOWED_FIELD_NUMBER: _ClassVar[int]
    DENIED_FIELD_NUMBER: _ClassVar[int]
    CHALLENGE_FIELD_NUMBER: _ClassVar[int]
    allowed: Allowed
    denied: Denied
    challenge: Challenge
    def __init__(self, allowed: _Optional[_Union[Allowed, _Mapping]] = ..., denied: _Optional[_Union[Denied, _Mapping]] = ..., challenge: _Optional[_Union[Challenge, _Mapping]] = ...) -> None: ...

class Allowed(_message.Message):
    __slots__ = ("session", "attributes", "cache", "clock")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    CACHE_FIELD_NUMBER: _ClassVar[int]
    CLOCK_FIELD_NUMBER: _ClassVar[int]
    session: ProxySession
    attributes: str
    cache: _duration_pb2.Duration
    clock: _timestamp_pb2.Timestamp
    def __init__(self, session: _Optional[_Union[ProxySession, _Mapping]] = ..., attributes: _Optional[str] = ..., cache: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., clock: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Denied(_message.Message):
    __slots__ = ("reason", "retry_after")
    class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        REASON_UNSPECIFIED: _ClassVar[Denied.Reason]
        REASON_INVALID_CREDENTIALS: _ClassVar[Denied.Reason]
        REASON_LOCKED_OUT: _ClassVar[Denied.Reason]
        REASON_ACCESS_DENIED: _ClassVar[Denied.Reason]
        REASON_SECOND_FACTOR: _ClassVar[Denied.Reason]
        REASON_BUSY: _ClassVar[Denied.Reason]
    REASON_UNSPECIFIED: Denied.Reason
    REASON_INVALID_CREDENTIALS: Denied.Reason
    REASON_LOCKED_OUT: Denied.Reason
    REASON_ACCESS_DENIED: Denied.Reason
    REASON_SECOND_FACTOR: Denied.Reason
    REASON_BUSY: Denied.Reason
    REASON_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_FIELD_NUMBER: _ClassVar[int]
    reason: Denied.Reason
    retry_after: _duration_pb2.Duration
    def __init__(self, reason: _Optional[_Union[Denied.Reason, str]] = ..., retry_after: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Challenge(_message.Message):
    __slots__ = ("state", "expires_in")
    STATE_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_IN_FIELD_NUMBER: _ClassVar[int]
    state: str
    expires_in: _duration_pb2.Duration
    def __init__(self, state: _Optional[str] = ..., expires_in: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class ChangePasswordRequest(_message.Message):
    __slots__ = ("provider", "protocol", "username", "present", "wanted", "client_address", "request_id")
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    PRESENT_FIELD_NUMBER: _ClassVar[int]
    WANTED_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    provider: str
    protocol: Protocol
    username: str
    present: str
    wanted: str
    client_address: str
    request_id: str
    def __init__(self, provider: _Optional[str] = ..., protocol: _Optional[_Union[Protocol, str]] = ..., username: _Optional[str] = ..., present: _Optional[str] = ..., wanted: _Optional[str] = ..., client_address: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class ChangePasswordResponse(_message.Message):
    __slots__ = ("changed", "refused")
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    changed: PasswordChanged
    refused: PasswordRefused
    def __init__(self, changed: _Optional[_Union[PasswordChanged, _Mapping]] = ..., refused: _Optional[_Union[PasswordRefused, _Mapping]] = ...) -> None: ...

class PasswordChanged(_message.Message):
    __slots__ = ("generated",)
    GENERATED_FIELD_NUMBER: _ClassVar[int]
    generated: str
    def __init__(self, generated: _Optional[str] = ...) -> None: ...

class PasswordRefused(_message.Message):
    __slots__ = ("reason", "retry_after")
    class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        REASON_UNSPECIFIED: _ClassVar[PasswordRefused.Reason]
        REASON_INVALID_CREDENTIALS: _ClassVar[PasswordRefused.Reason]
        REASON_LOCKED_OUT: _ClassVar[PasswordRefused.Reason]
        REASON_BUSY: _ClassVar[PasswordRefused.Reason]
        REASON_UNSUITABLE: _ClassVar[PasswordRefused.Reason]
        REASON_ACCESS_DENIED: _ClassVar[PasswordRefused.Reason]
    REASON_UNSPECIFIED: PasswordRefused.Reason
    REASON_INVALID_CREDENTIALS: PasswordRefused.Reason
    REASON_LOCKED_OUT: PasswordRefused.Reason
    REASON_BUSY: PasswordRefused.Reason
    REASON_UNSUITABLE: PasswordRefused.Reason
    REASON_ACCESS_DENIED: PasswordRefused.Reason
    REASON_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_FIELD_NUMBER: _ClassVar[int]
    reason: PasswordRefused.Reason
    retry_after: _duration_pb2.Duration
    def __init__(self, reason: _Optional[_Union[PasswordRefused.Reason, str]] = ..., retry_after: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class ReportRequest(_message.Message):
    __slots__ = ("events",)
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[OutpostEvent]
    def __init__(self, events: _Optional[_Iterable[_Union[OutpostEvent, _Mapping]]] = ...) -> None: ...

class ReportResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class OutpostEvent(_message.Message):
    __slots__ = ("id", "at", "action", "provider", "subject", "username", "client_address", "reason", "count", "request_id")
    class Action(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ACTION_UNSPECIFIED: _ClassVar[OutpostEvent.Action]
        ACTION_ADMITTED: _ClassVar[OutpostEvent.Action]
        ACTION_TURNED_AWAY: _ClassVar[OutpostEvent.Action]
        ACTION_SIGNED_OUT: _ClassVar[OutpostEvent.Action]
        ACTION_ADMITTED_OFFLINE: _ClassVar[OutpostEvent.Action]
        ACTION_MISCONFIGURED: _ClassVar[OutpostEvent.Action]
        ACTION_EVENTS_LOST: _ClassVar[OutpostEvent.Action]
    ACTION_UNSPECIFIED: OutpostEvent.Action
    ACTION_ADMITTED: OutpostEvent.Action
    ACTION_TURNED_AWAY: OutpostEvent.Action
    ACTION_SIGNED_OUT: OutpostEvent.Action
    ACTION_ADMITTED_OFFLINE: OutpostEvent.Action
    ACTION_MISCONFIGURED: OutpostEvent.Action
    ACTION_EVENTS_LOST: OutpostEvent.Action
    ID_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    CLIENT_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    at: _timestamp_pb2.Timestamp
    action: OutpostEvent.Action
    provider: str
    subject: str
    username: str
    client_address: str
    reason: str
    count: int
    request_id: str
    def __init__(self, id: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., action: _Optional[_Union[OutpostEvent.Action, str]] = ..., provider: _Optional[str] = ..., subject: _Optional[str] = ..., username: _Optional[str] = ..., client_address: _Optional[str] = ..., reason: _Optional[str] = ..., count: _Optional[int] = ..., request_id: _Optional[str] = ...) -> None: ...

class RedeemCodeRequest(_message.Message):
    __slots__ = ("provider", "code", "redirect_uri", "code_verifier")
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    REDIRECT_URI_FIELD_NUMBER: _ClassVar[int]
    CODE_VERIFIER_FIELD_NUMBER: _ClassVar[int]
    provider: str
    code: str
    redirect_uri: str
    code_verifier: str
    def __init__(self, provider: _Optional[str] = ..., code: _Optional[str] = ..., redirect_uri: _Optional[str] = ..., code_verifier: _Optional[str] = ...) -> None: ...

class RedeemCodeResponse(_message.Message):
    __slots__ = ("session", "refusal", "clock")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    CLOCK_FIELD_NUMBER: _ClassVar[int]
    session: ProxySession
    refusal: Refusal
    clock: _timestamp_pb2.Timestamp
    def __init__(self, session: _Optional[_Union[ProxySession, _Mapping]] = ..., refusal: _Optional[_Union[Refusal, _Mapping]] = ..., clock: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class LookUpSessionRequest(_message.Message):
    __slots__ = ("provider", "session", "subject", "authenticated", "expires", "proof")
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    AUTHENTICATED_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    provider: str
    session: str
    subject: str
    authenticated: _timestamp_pb2.Timestamp
    expires: _timestamp_pb2.Timestamp
    proof: str
    def __init__(self, provider: _Optional[str] = ..., session: _Optional[str] = ..., subject: _Optional[str] = ..., authenticated: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expires: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., proof: _Optional[str] = ...) -> None: ...

class LookUpSessionResponse(_message.Message):
    __slots__ = ("session", "refusal")
    SESSION_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    session: ProxySession
    refusal: Refusal
    def __init__(self, session: _Optional[_Union[ProxySession, _Mapping]] = ..., refusal: _Optional[_Union[Refusal, _Mapping]] = ...) -> None: ...

class EndSessionRequest(_message.Message):
    __slots__ = ("provider", "session")
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    provider: str
    session: str
    def __init__(self, provider: _Optional[str] = ..., session: _Optional[str] = ...) -> None: ...

class EndSessionResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ProxySession(_message.Message):
    __slots__ = ("id", "identity", "authenticated", "expires", "id_token", "proof", "basic_credentials")
    ID_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    AUTHENTICATED_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    ID_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    BASIC_CREDENTIALS_FIELD_NUMBER: _ClassVar[int]
    id: str
    identity: _identity_pb2.Identity
    authenticated: _timestamp_pb2.Timestamp
    expires: _timestamp_pb2.Timestamp
    id_token: str
    proof: str
    basic_credentials: _identity_pb2.BasicCredentials
    def __init__(self, id: _Optional[str] = ..., identity: _Optional[_Union[_identity_pb2.Identity, _Mapping]] = ..., authenticated: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expires: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., id_token: _Optional[str] = ..., proof: _Optional[str] = ..., basic_credentials: _Optional[_Union[_identity_pb2.BasicCredentials, _Mapping]] = ...) -> None: ...

class Refusal(_message.Message):
    __slots__ = ("reason",)
    class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        REASON_UNSPECIFIED: _ClassVar[Refusal.Reason]
        REASON_INVALID_CODE: _ClassVar[Refusal.Reason]
        REASON_SESSION_ENDED: _ClassVar[Refusal.Reason]
        REASON_ACCESS_DENIED: _ClassVar[Refusal.Reason]
    REASON_UNSPECIFIED: Refusal.Reason
    REASON_INVALID_CODE: Refusal.Reason
    REASON_SESSION_ENDED: Refusal.Reason
    REASON_ACCESS_DENIED: Refusal.Reason
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: Refusal.Reason
    def __init__(self, reason: _Optional[_Union[Refusal.Reason, str]] = ...) -> None: ...
