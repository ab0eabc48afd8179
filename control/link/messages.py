"""What is said on the link, as frozen values: the outpost's messages and what control pushes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from control.domain.directory import Position


class Held(Protocol):
    """A resource as far as it is compared: by key and digest."""

    @property
    def key(self) -> str:
        """Its name within the outpost."""

    @property
    def digest(self) -> str:
        """What tells its versions apart."""


Item = TypeVar("Item", bound=Held)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """Who an instance is and what it holds; its tokens by fingerprint."""

    instance: str
    type: str
    hostname: str
    version: str
    build: str
    protocol: int
    started: datetime | None
    clock: datetime | None
    held: Mapping[str, str]
    revision: int
    continued: bool = False
    directory: Position | None = None
    environment_token: str = ""
    held_token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPart:
    """More of what the instance holds, of the Hello before."""

    held: Mapping[str, str]
    last: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A version of a resource that an instance refused, and why."""

    key: str
    digest: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """That a push has been committed, apart from what was rejected: `count`, of which `rejected` are looked at."""

    revision: int
    rejected: tuple[Rejected, ...]
    count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How an instance is."""

    clock: datetime | None
    workers: int
    memory_bytes: int
    load: float
    last_error: str
    draining: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryApplied:
    """The answer to a part of the feed: how far the instance holds it now, if it does."""

    position: Position | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenHeld:
    """That this token, by its fingerprint, lies in the instance's state."""

    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Push(Generic[Item]):
    """What an instance lacks, and what it has too much."""

    revision: int
    resources: tuple[Item, ...]
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted(Generic[Item]):
    """What an outpost is to hold at one revision, by key."""

    revision: int
    resources: Mapping[str, Item]
