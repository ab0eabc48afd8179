import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from protos.outpost.v1 import identity_pb2 as _identity_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

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
    __slots__ = ("id", "identity", "authenticated", "expires", "id_token", "proof")
    ID_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    AUTHENTICATED_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    ID_TOKEN_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    id: str
    identity: _identity_pb2.Identity
    authenticated: _timestamp_pb2.Timestamp
    expires: _timestamp_pb2.Timestamp
    id_token: str
    proof: str
    def __init__(self, id: _Optional[str] = ..., identity: _Optional[_Union[_identity_pb2.Identity, _Mapping]] = ..., authenticated: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expires: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., id_token: _Optional[str] = ..., proof: _Optional[str] = ...) -> None: ...

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
