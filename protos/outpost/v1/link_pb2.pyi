import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WatchRequest(_message.Message):
    __slots__ = ("hello", "applied", "health", "held", "directory_applied", "token_held")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    APPLIED_FIELD_NUMBER: _ClassVar[int]
    HEALTH_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    DIRECTORY_APPLIED_FIELD_NUMBER: _ClassVar[int]
    TOKEN_HELD_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    applied: Applied
    health: Health
    held: Held
    directory_applied: DirectoryApplied
    token_held: TokenHeld
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., applied: _Optional[_Union[Applied, _Mapping]] = ..., health: _Optional[_Union[Health, _Mapping]] = ..., held: _Optional[_Union[Held, _Mapping]] = ..., directory_applied: _Optional[_Union[DirectoryApplied, _Mapping]] = ..., token_held: _Optional[_Union[TokenHeld, _Mapping]] = ...) -> None: ...

class WatchResponse(_message.Message):
    __slots__ = ("config", "digests", "command", "directory")
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    DIGESTS_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    DIRECTORY_FIELD_NUMBER: _ClassVar[int]
    config: Config
    digests: Digests
    command: Command
    directory: Directory
    def __init__(self, config: _Optional[_Union[Config, _Mapping]] = ..., digests: _Optional[_Union[Digests, _Mapping]] = ..., command: _Optional[_Union[Command, _Mapping]] = ..., directory: _Optional[_Union[Directory, _Mapping]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("instance", "type", "hostname", "version", "build", "protocol", "started", "clock", "held", "revision", "continued", "directory", "environment_token", "held_token")
    class HeldEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    INSTANCE_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    HOSTNAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    BUILD_FIELD_NUMBER: _ClassVar[int]
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    STARTED_FIELD_NUMBER: _ClassVar[int]
    CLOCK_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    CONTINUED_FIELD_NUMBER: _ClassVar[int]
    DIRECTORY_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_TOKEN_FIELD_NUMBER: _ClassVar[int]
    HELD_TOKEN_FIELD_NUMBER: _ClassVar[int]
    instance: str
    type: str
    hostname: str
    version: str
    build: str
    protocol: int
    started: _timestamp_pb2.Timestamp
    clock: _timestamp_pb2.Timestamp
    held: _containers.ScalarMap[str, str]
    revision: int
    continued: bool
    directory: DirectoryPosition
    environment_token: str
    held_token: str
    def __init__(self, instance: _Optional[str] = ..., type: _Optional[str] = ..., hostname: _Optional[str] = ..., version: _Optional[str] = ..., build: _Optional[str] = ..., protocol: _Optional[int] = ..., started: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., clock: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., held: _Optional[_Mapping[str, str]] = ..., revision: _Optional[int] = ..., continued: _Optional[bool] = ..., directory: _Optional[_Union[DirectoryPosition, _Mapping]] = ..., environment_token: _Optional[str] = ..., held_token: _Optional[str] = ...) -> None: ...

class Held(_message.Message):
    __slots__ = ("held", "last")
    class HeldEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    HELD_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    held: _containers.ScalarMap[str, str]
    last: bool
    def __init__(self, held: _Optional[_Mapping[str, str]] = ..., last: _Optional[bool] = ...) -> None: ...

class Applied(_message.Message):
    __slots__ = ("revision", "rejected")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    revision: int
    rejected: _containers.RepeatedCompositeFieldContainer[Rejection]
    def __init__(self, revision: _Optional[int] = ..., rejected: _Optional[_Iterable[_Union[Rejection, _Mapping]]] = ...) -> None: ...

class Rejection(_message.Message):
    __slots__ = ("key", "digest", "reason")
    KEY_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    key: str
    digest: str
    reason: str
    def __init__(self, key: _Optional[str] = ..., digest: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class Health(_message.Message):
    __slots__ = ("clock", "uptime", "workers", "memory_bytes", "load", "last_error", "draining")
    CLOCK_FIELD_NUMBER: _ClassVar[int]
    UPTIME_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_BYTES_FIELD_NUMBER: _ClassVar[int]
    LOAD_FIELD_NUMBER: _ClassVar[int]
    LAST_ERROR_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    clock: _timestamp_pb2.Timestamp
    uptime: _duration_pb2.Duration
    workers: int
    memory_bytes: int
    load: float
    last_error: str
    draining: bool
    def __init__(self, clock: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., uptime: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., workers: _Optional[int] = ..., memory_bytes: _Optional[int] = ..., load: _Optional[float] = ..., last_error: _Optional[str] = ..., draining: _Optional[bool] = ...) -> None: ...

class Config(_message.Message):
    __slots__ = ("revision", "part", "last", "resources", "removed")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    PART_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    revision: int
    part: int
    last: bool
    resources: _containers.RepeatedScalarFieldContainer[bytes]
    removed: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, revision: _Optional[int] = ..., part: _Optional[int] = ..., last: _Optional[bool] = ..., resources: _Optional[_Iterable[bytes]] = ..., removed: _Optional[_Iterable[str]] = ...) -> None: ...

class Digests(_message.Message):
    __slots__ = ("revision", "wanted", "continued")
    class WantedEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    REVISION_FIELD_NUMBER: _ClassVar[int]
    WANTED_FIELD_NUMBER: _ClassVar[int]
    CONTINUED_FIELD_NUMBER: _ClassVar[int]
    revision: int
    wanted: _containers.ScalarMap[str, str]
    continued: bool
    def __init__(self, revision: _Optional[int] = ..., wanted: _Optional[_Mapping[str, str]] = ..., continued: _Optional[bool] = ...) -> None: ...

class Command(_message.Message):
    __slots__ = ("drain", "new_token")
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    NEW_TOKEN_FIELD_NUMBER: _ClassVar[int]
    drain: Drain
    new_token: NewToken
    def __init__(self, drain: _Optional[_Union[Drain, _Mapping]] = ..., new_token: _Optional[_Union[NewToken, _Mapping]] = ...) -> None: ...

class Drain(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class NewToken(_message.Message):
    __slots__ = ("secret",)
    SECRET_FIELD_NUMBER: _ClassVar[int]
    secret: str
    def __init__(self, secret: _Optional[str] = ...) -> None: ...

class TokenHeld(_message.Message):
    __slots__ = ("fingerprint",)
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    fingerprint: str
    def __init__(self, fingerprint: _Optional[str] = ...) -> None: ...

class DirectoryPosition(_message.Message):
    __slots__ = ("epoch", "position")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    epoch: str
    position: int
    def __init__(self, epoch: _Optional[str] = ..., position: _Optional[int] = ...) -> None: ...

class Directory(_message.Message):
    __slots__ = ("position", "begins", "complete", "entries", "removed")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    BEGINS_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    position: DirectoryPosition
    begins: bool
    complete: bool
    entries: _containers.RepeatedScalarFieldContainer[bytes]
    removed: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, position: _Optional[_Union[DirectoryPosition, _Mapping]] = ..., begins: _Optional[bool] = ..., complete: _Optional[bool] = ..., entries: _Optional[_Iterable[bytes]] = ..., removed: _Optional[_Iterable[str]] = ...) -> None: ...

class DirectoryApplied(_message.Message):
    __slots__ = ("position",)
    POSITION_FIELD_NUMBER: _ClassVar[int]
    position: DirectoryPosition
    def __init__(self, position: _Optional[_Union[DirectoryPosition, _Mapping]] = ...) -> None: ...
