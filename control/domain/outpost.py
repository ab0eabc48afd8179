"""Outposts, the tokens they prove themselves with, and what is known of their running instances."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID


class OutpostType(StrEnum):
    """The kinds of outposts whose server exists."""

    PROXY = "proxy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outpost:
    """One deployment of a data plane. `config` is what the admin wrote: only known keys, checked when saved.

    The embedded outpost (`embedded`) serves every proxy provider that no other outpost serves, unless `manual`.
    """

    id: UUID
    name: str
    type: OutpostType
    service_account: UUID
    providers: frozenset[UUID] = frozenset()
    config: Mapping[str, Any] = field(default_factory=dict)
    embedded: bool = False
    manual: bool = False
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
    """One running copy of an outpost, known by its state folder (`uid`). Kept for seven days after it vanished."""

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
