"""What is wanted on an engine, what was found there, and what is to be done about the difference. Values only.

One shape for all kinds of engines: they differ in what is rendered into `spec`, and in the target that observes and
carries actions out. Nothing here knows what a container is.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from typing import Any, Protocol
from uuid import UUID

from control.domain.task import LineLevel

Spec = Mapping[str, Any]
"""JSON values by name. What counts as equal is told by position in mappings; lists are equal as a whole."""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Key:
    """What makes an object the same one: whose it is, which part of a deployment, and where that part lies.

    `place` is empty where engines find objects by their labels alone, whatever they are called (Docker), and
    `namespace/name` where that is their identity (Kubernetes).
    """

    owner: UUID
    component: str
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One object as it is to be.

    `in_place` are the fields of `spec` that the engine can change without making the object anew; `name` is one of them
    where the engine can rename. `accepts` are further values that are as good as the wanted one, by path (`env.TOKEN`).
    `hidden` are the paths whose values nobody is shown. `exclusive`: it can't run beside its predecessor.
    `private` is what it is made with besides, by path: it is in `spec` only as a hash. Objects are made in `order`.
    """

    key: Key
    name: str
    spec: Spec
    in_place: frozenset[str] = frozenset()
    accepts: Mapping[str, frozenset[str]] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()
    private: Mapping[str, str] = field(default_factory=dict, repr=False)
    exclusive: bool = False
    order: int = 0

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of what it is made of, without what `accepts` takes several values for.

        What an object was labelled with when it was made: a name that it is given later doesn't change that.
        """
        return _hashed(_without(self.spec, frozenset(self.accepts)))

    @property
    def attempt(self) -> str:
        """SHA-256 (hex) of that and its name: what is remembered of one that could not be had."""
        return _hashed([self.name, self.fingerprint])


class Condition(StrEnum):
    """How an object fares, as far as its engine knows."""

    RUNNING = "running"
    STARTING = "starting"
    UNHEALTHY = "unhealthy"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One object as it is. `id` is the engine's, `fingerprint` what it was labelled with when it was made."""

    key: Key
    id: str
    name: str
    spec: Spec
    fingerprint: str = ""
    condition: Condition = Condition.RUNNING


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Where an object is not as wanted; values as text, empty where hidden or absent. `path` "" is: made otherwise."""

    path: str
    wanted: str = ""
    found: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """Make what isn't there."""

    wanted: Wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Change it where it is: all that differs is `in_place`."""

    wanted: Wanted
    found: Found
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replace:
    """Make it anew. `beside`: the new one serves before the old one goes; otherwise nothing serves in between."""

    wanted: Wanted
    found: Found
    differences: tuple[Difference, ...]
    beside: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Revive:
    """It is as wanted and doesn't run, or isn't healthy: start it again."""

    wanted: Wanted
    found: Found


@dataclass(frozen=True, slots=True, kw_only=True)
class Remove:
    """Nobody wants it any more."""

    found: Found


Action = Create | Change | Replace | Revive | Remove


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One thing to tell whoever follows the work: a code of the words in templates, with its parameters."""

    code: str
    values: Mapping[str, str] = field(default_factory=dict)
    level: LineLevel = LineLevel.INFO


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What an engine has shown when it was checked: its version, and which permissions it refuses."""

    version: str
    missing: tuple[str, ...]


Report = Callable[[Said], None]
"""Told while the work goes on. May raise `Cancelled`: then the work stops where it is safe to."""


class Cancelled(Exception):
    """Somebody no longer wants what is being done."""


class TargetAway(Exception):
    """The engine doesn't answer, or not to us: a code and the words of whoever refused. Worth another try later."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class ActionFailed(Exception):
    """The engine answers and can't do it: a code and the words of whoever refused.

    `restored`: what was there before serves again.
    """

    def __init__(self, code: str, detail: str, *, restored: bool = False) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.restored = restored


class Target(Protocol):
    """An engine as the reconciler needs it. Everything raises TargetAway."""

    @property
    def can_run_beside(self) -> bool:
        """Whether an object can be made under another name and be given the wanted one later."""
        ...

    def observe(self, owners: frozenset[UUID]) -> tuple[Found, ...]:
        """All objects of these owners, and nothing else."""
        ...

    def prepare(self, wanted: Wanted, report: Report) -> str:
        """Fetch what it is made of before anything is compared or touched; what that is now, "" where nobody can tell.

        For Docker an image's id. What can't be fetched is what is there already: no reason to fail here.
        """
        ...

    def apply(self, action: Action, report: Report) -> None:
        """Carry one action out; doing it twice is no harm. Returns when it is healthy. Raises ActionFailed."""
        ...


def _hashed(value: object) -> str:
    return sha256(json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()).hexdigest()


def _without(spec: Spec, paths: frozenset[str], below: str = "") -> dict[str, Any]:
    kept = {}
    for name, value in spec.items():
        path = f"{below}{name}"
        if path not in paths:
            kept[name] = _without(value, paths, f"{path}.") if isinstance(value, Mapping) else value
    return kept
