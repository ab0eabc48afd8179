"""Outposts, the tokens they prove themselves with, and what is known of their running instances."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID


class OutpostType(StrEnum):
    """The kinds of outposts. An LDAP outpost gets the feed of users and groups."""

    PROXY = "proxy"
    LDAP = "ldap"


class Logged(StrEnum):
    """How much of what happens an outpost writes down; the options say so by these words."""

    ALL = "all"
    PROBLEMS = "problems"
    NOTHING = "nothing"


# Those whose server exists: what an admin can create.
OFFERED_TYPES = (OutpostType.PROXY, OutpostType.LDAP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outpost:
    """One deployment of a data plane. `config` is what the admin wrote: only known keys, checked when saved.

    The embedded outpost (`embedded`) serves every proxy provider that no other outpost serves, unless `manual`.
    `integration` is the engine that control deploys it to; None where it is deployed by hand, and for the embedded one.
    """

    id: UUID
    name: str
    type: OutpostType
    service_account: UUID
    providers: frozenset[UUID] = frozenset()
    config: Mapping[str, Any] = field(default_factory=dict)
    embedded: bool = False
    manual: bool = False
    integration: UUID | None = None
    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An opaque 256-bit secret of a service account. `fingerprint` finds it without telling it."""

    id: UUID
    identifier: str
    user: UUID
    fingerprint: str
    secret: str = field(repr=False)
    description: str = ""
    created: datetime
    expires: datetime | None = None
    revoked: datetime | None = None
    last_used: datetime | None = None


class InstanceState(StrEnum):
    """What control knows of an instance."""

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A resource an instance refused, and why."""

    key: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One running copy of an outpost, known by its state folder (`uid`). Kept for seven days after it vanished.

    `protocol` is the version of the link's protocol it speaks, `holder` the link process that has its stream. Tokens by
    fingerprint: the one in its environment and the newest that lies in its state, empty where it doesn't say.
    """

    id: UUID
    outpost: UUID
    uid: str
    state: InstanceState
    hostname: str = ""
    version: str = ""
    build: str = ""
    address: str = ""
    started: datetime | None = None
    connected_since: datetime | None = None
    last_seen: datetime
    applied_revision: int = 0
    wanted_revision: int = 0
    clock_skew: float = 0.0
    workers: int = 0
    memory_bytes: int = 0
    load: float = 0.0
    last_error: str = ""
    rejections: tuple[Rejection, ...] = ()
    protocol: int = 1
    holder: UUID | None = None
    environment_token: str = ""
    held_token: str = ""


class InstanceEventKind(StrEnum):
    """What happened to an instance."""

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    DRAINING = "draining"
    REFUSED = "refused"
    FAILED = "failed"
    RECOVERED = "recovered"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceEvent:
    """One line of an instance's history; `detail` says why, in the instance's or the link's own words."""

    id: UUID
    outpost: UUID
    uid: str
    at: datetime
    kind: InstanceEventKind
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """An admin's wish that one instance ends when what is in flight is done; forgotten when it has gone."""

    id: UUID
    outpost: UUID
    uid: str
    asked: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkProcess:
    """A running link process, which holds streams of instances. One that has not beaten for a while is dead."""

    id: UUID
    name: str
    started: datetime
    last_seen: datetime
