from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class Identity(_message.Message):
    __slots__ = ("subject", "username", "name", "email", "groups", "entitlements", "additional_headers", "superuser", "backend_override", "host_header")
    class AdditionalHeadersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    GROUPS_FIELD_NUMBER: _ClassVar[int]
    ENTITLEMENTS_FIELD_NUMBER: _ClassVar[int]
    ADDITIONAL_HEADERS_FIELD_NUMBER: _ClassVar[int]
    SUPERUSER_FIELD_NUMBER: _ClassVar[int]
    BACKEND_OVERRIDE_FIELD_NUMBER: _ClassVar[int]
    HOST_HEADER_FIELD_NUMBER: _ClassVar[int]
    subject: str
    username: str
    name: str
    email: str
    groups: _containers.RepeatedScalarFieldContainer[str]
    entitlements: _containers.RepeatedScalarFieldContainer[str]
    additional_headers: _containers.ScalarMap[str, str]
    superuser: bool
    backend_override: str
    host_header: str
    def __init__(self, subject: _Optional[str] = ..., username: _Optional[str] = ..., name: _Optional[str] = ..., email: _Optional[str] = ..., groups: _Optional[_Iterable[str]] = ..., entitlements: _Optional[_Iterable[str]] = ..., additional_headers: _Optional[_Mapping[str, str]] = ..., superuser: _Optional[bool] = ..., backend_override: _Optional[str] = ..., host_header: _Optional[str] = ...) -> None: ...

class BasicCredentials(_message.Message):
    __slots__ = ("username", "password")
    USERNAME_FIELD_NUMBER: _ClassVar[int]
    PASSWORD_FIELD_NUMBER: _ClassVar[int]
    username: str
    password: str
    def __init__(self, username: _Optional[str] = ..., password: _Optional[str] = ...) -> None: ...
