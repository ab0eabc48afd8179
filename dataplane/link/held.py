"""What an outpost holds, and how a pushed Config changes it: pure values, no protobuf and no I/O.

Resources stay the bytes that control sent: they go to disk and to the workers as they are. Digests are opaque.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

# A full configuration of ten thousand providers is some 20 MiB; ten times that is somebody's mistake.
MAX_CONFIG_BYTES = 256 * 1024 * 1024


class LinkBroken(Exception):
    """Control broke the link's protocol; the stream is given up and opened anew."""


class NotApplied(Exception):
    """The outpost could not bring a change into force, through no fault of what it holds: it has to be sent again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldResource:
    """One serialised resource under its key."""

    key: str
    digest: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """All resources held, by key, and the revision that they were sent with."""

    revision: int = 0
    resources: Mapping[str, HeldResource] = field(default_factory=dict)

    @property
    def digests(self) -> dict[str, str]:
        """Key to digest."""
        return {key: resource.digest for key, resource in self.resources.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A whole Config: what is new or different, and what is gone."""

    revision: int
    changed: Mapping[str, HeldResource]
    removed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A resource that could not be applied; the digest says which version of it."""

    key: str
    digest: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigPart:
    """One part of a Config as it travels."""

    revision: int
    part: int
    last: bool
    resources: tuple[HeldResource, ...]
    removed: tuple[str, ...]


class Assembly:
    """Puts the parts of one Config together; parts count from 0 and may not be left out or mixed."""

    __slots__ = ("_changed", "_next", "_removed", "_revision", "_size")

    def __init__(self) -> None:
        self._begin()

    def add(self, part: ConfigPart) -> Change | None:
        """Take the next part; the change once it is whole. Raises LinkBroken."""
        self._check(part)
        self._revision = part.revision
        self._next += 1
        for resource in part.resources:
            self._take(resource)
        self._removed.update(part.removed)
        return self._finish() if part.last else None

    def _check(self, part: ConfigPart) -> None:
        if part.part != self._next:
            raise LinkBroken(f"config of revision {part.revision}: part {part.part} came where {self._next} was due")
        if self._next and part.revision != self._revision:
            raise LinkBroken(f"config of revision {self._revision} was continued by revision {part.revision}")

    def _take(self, resource: HeldResource) -> None:
        if resource.key in self._changed:
            raise LinkBroken(f"config of revision {self._revision}: {resource.key} came twice")
        self._size += len(resource.data)
        if self._size > MAX_CONFIG_BYTES:
            raise LinkBroken(f"config of revision {self._revision} is larger than {MAX_CONFIG_BYTES} bytes")
        self._changed[resource.key] = resource

    def _finish(self) -> Change:
        both = self._removed & self._changed.keys()
        if both:
            raise LinkBroken(f"config of revision {self._revision}: {min(both)} is both sent and removed")
        change = Change(revision=self._revision, changed=self._changed, removed=frozenset(self._removed))
        self._begin()
        return change

    def _begin(self) -> None:
        self._revision = 0
        self._next = 0
        self._size = 0
        self._changed: dict[str, HeldResource] = {}
        self._removed: set[str] = set()


def changed(held: Held, change: Change) -> Held:
    """What is held once the change is made."""
    kept = {key: resource for key, resource in held.resources.items() if key not in change.removed}
    return Held(revision=change.revision, resources={**kept, **change.changed})


def drifted(held: Held, wanted: Mapping[str, str], refused: Mapping[str, str]) -> bool:
    """Whether what is held differs from what control wants, apart from digests that were refused and said so."""
    digests = held.digests
    if any(key not in wanted for key in digests):
        return True
    return any(digests.get(key) != digest and refused.get(key) != digest for key, digest in wanted.items())
