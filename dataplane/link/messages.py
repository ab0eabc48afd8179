"""What is said on the stream, as frozen values; `translate` makes them from protobuf and back."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dataplane.link.held import ConfigPart


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """How this instance is."""

    uptime: float
    workers: int
    memory: int
    load: float
    last_error: str
    draining: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Key to digest of everything the outpost should hold; `continued` when more of it follows."""

    digests: dict[str, str]
    continued: bool


@dataclass(frozen=True, slots=True)
class Drain:
    """Stop taking new work and end when the rest is done."""


@dataclass(frozen=True, slots=True)
class NewToken:
    """The outpost's new token, which counts besides the old one from now on."""

    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the feed of users and groups."""

    epoch: str
    position: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What a Hello says beside the resources: how far the directory is held, and tokens by fingerprint."""

    directory: Position | None = None
    environment_token: str = ""
    held_token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryPart:
    """Part of the feed of users and groups: entries as they travel, by key, and keys that are gone.

    `begins` starts a whole copy; `position` is where it leads, and there with the part that completes it.
    """

    position: Position | None
    begins: bool
    entries: Mapping[str, bytes] = field(repr=False)
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something of a newer control."""


Pushed = ConfigPart | Wanted | Drain | NewToken | DirectoryPart | Unknown
