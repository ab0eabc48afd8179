"""An engine in memory: what lies there, who may do what, and everything that can go wrong on a real one.

What it does is what `control.integrations.docker.target` does; both are held to that by tests of their own.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from queue import Queue
from threading import Event
from typing import assert_never
from uuid import UUID, uuid4

from control.integrations.docker.connect import Connection
from control.integrations.docker.render import render
from control.integrations.model import (
    Action,
    ActionFailed,
    Change,
    Checked,
    Condition,
    Create,
    Found,
    Key,
    Remove,
    Replace,
    Report,
    Revive,
    Said,
    TargetAway,
    Wanted,
)
from control.tasks.engines import Engine, EngineKind, IsReady
from tests.support import model_engine

HOST_KEY = "ssh-ed25519 AAAA"


@dataclass
class MemoryEngine:
    """What lies there by id, with the id of its image beside; `images` is what references mean on it.

    `registry` is what they mean at the registry, None while that is away. `broken` are the images that never become
    healthy. `done` is what was asked of it, in order; `before` is called with each action first.
    """

    found: dict[str, tuple[Found, str]] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)
    registry: dict[str, str] | None = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    foreign_names: set[str] = field(default_factory=set)
    renames: bool = True
    away: str = ""
    missing: tuple[str, ...] = ()
    host_key: str = ""
    done: list[Action] = field(default_factory=list)
    before: Callable[[Action], None] = lambda _: None
    looks: int = 0
    events: "Queue[UUID | None]" = field(default_factory=Queue)

    def names(self) -> list[str]:
        """What is there, by name."""
        return sorted(found.name for found, _ in self.found.values())

    def only(self) -> Found:
        """The one that is there."""
        [(found, image)] = self.found.values()
        return self._shown(found, image)

    def put(self, found: Found, image: str = "") -> None:
        """Have something lie there that control hasn't made."""
        self.found[found.id] = (found, image or self.images.get(str(found.spec.get("image")), "sha256:foreign"))

    def edit(self, key: str, **fields: object) -> None:
        """Somebody has changed it by hand: fields of its spec."""
        found, image = self.found[key]
        self.found[key] = (replace(found, spec={**found.spec, **fields}), image)

    def become(self, key: str, condition: Condition) -> None:
        """It fares otherwise."""
        found, image = self.found[key]
        self.found[key] = (replace(found, condition=condition), image)

    def ask(self) -> None:
        """Raises TargetAway while it is away."""
        if self.away:
            raise TargetAway(self.away, "no answer")

    def pull(self, reference: str) -> str:
        """What the reference means after it was asked for at the registry."""
        if self.registry is not None and reference in self.registry:
            self.images[reference] = self.registry[reference]
        return self.images.get(reference, "")

    def _shown(self, found: Found, image: str) -> Found:
        reference = str(found.spec.get("image"))
        means = self.images.get(reference)
        return found if means in {None, image} else replace(found, spec={**found.spec, "image": image})

    def observed(self, owners: frozenset[UUID]) -> tuple[Found, ...]:
        """As a target's `observe`."""
        self.ask()
        self.looks += 1
        return tuple(self._shown(found, image) for found, image in self.found.values() if found.key.owner in owners)

    def make(self, wanted: Wanted) -> None:
        """Make and start it. Raises ActionFailed."""
        reference = str(wanted.spec["image"])
        image = self.images.get(reference) or self.pull(reference)
        if not image:
            raise ActionFailed("no_image", reference)
        if wanted.name in self.foreign_names or wanted.name in self.names():
            raise ActionFailed("name_taken", wanted.name)
        key = uuid4().hex * 2
        self.found[key] = (model_engine.as_found(wanted, key), image)
        if image in self.broken:
            # It stays, so that somebody may look at why.
            self.become(key, Condition.UNHEALTHY)
            raise ActionFailed("not_healthy", "unhealthy")


@dataclass
class MemoryTarget:
    """The engine as the reconciler has it."""

    engine: MemoryEngine
    is_ready: IsReady

    @property
    def can_run_beside(self) -> bool:
        return self.engine.renames

    def observe(self, owners: frozenset[UUID]) -> tuple[Found, ...]:
        found = self.engine.observed(owners)
        return tuple(
            replace(each, condition=Condition.RUNNING)
            if each.condition in {Condition.STARTING, Condition.UNHEALTHY} and self.is_ready(each.id)
            else each
            for each in found
        )

    def prepare(self, wanted: Wanted, report: Report) -> str:
        self.engine.ask()
        report(Said(code="pulling", values={"image": str(wanted.spec["image"])}))
        return self.engine.pull(str(wanted.spec["image"]))

    def apply(self, action: Action, report: Report) -> None:
        self.engine.ask()
        report(Said(code=""))
        self.engine.before(action)
        self.engine.done.append(action)
        match action:
            case Create(wanted=wanted):
                self.engine.make(wanted)
            case Change(wanted=wanted, found=found):
                known, image = self.engine.found[found.id]
                self.engine.found[found.id] = (replace(known, name=wanted.name), image)
            case Replace(wanted=wanted, found=found):
                self._replace(wanted, found)
            case Revive(found=found):
                _, image = self.engine.found[found.id]
                if image in self.engine.broken:
                    raise ActionFailed("not_healthy", "unhealthy")
                self.engine.become(found.id, Condition.RUNNING)
            case Remove(found=found):
                self.engine.found.pop(found.id, None)
            case _:
                assert_never(action)

    def _replace(self, wanted: Wanted, found: Found) -> None:
        old = self.engine.found.pop(found.id)
        try:
            self.engine.make(wanted)
        except ActionFailed as error:
            for key in [key for key, (each, _) in self.engine.found.items() if each.name == wanted.name]:
                del self.engine.found[key]
            self.engine.found[found.id] = old
            raise ActionFailed(error.code, error.detail, restored=True) from error


def memory_kind(engines: dict[str, MemoryEngine]) -> EngineKind:
    """Engines by URL, in the table of kinds. One that isn't there is away."""

    @contextmanager
    def open_memory(connection: Connection, is_ready: IsReady) -> Iterator[Engine]:
        engine = engines.get(connection.url)
        if engine is None:
            raise TargetAway("engine_away", connection.url)
        if connection.host_key and engine.host_key != connection.host_key:
            raise TargetAway("host_key_changed", engine.host_key)
        engine.ask()
        yield Engine(
            target=MemoryTarget(engine, is_ready),
            host_key=engine.host_key,
            preflight=lambda: _checked(engine),
            follow=lambda stopping: _followed(engine, stopping),
            cut=lambda: engine.events.put(None),
        )

    return EngineKind(open=open_memory, render=render)


def as_found(wanted: Wanted, **fields: object) -> Found:
    """What is there when it is as wanted, or nearly."""
    found = model_engine.as_found(wanted, uuid4().hex * 2)
    return replace(found, **fields)  # type: ignore[arg-type]  # a test names what it changes


def foreign(owner: UUID, name: str = "hand-made") -> Found:
    """A container that somebody else has made, with the label of an outpost."""
    spec = {"image": "other:1", "labels": {}}
    return Found(key=Key(owner=owner, component="outpost"), id=uuid4().hex * 2, name=name, spec=spec)


def _checked(engine: MemoryEngine) -> Checked:
    engine.ask()
    return Checked(version="24.0", missing=engine.missing)


def _followed(engine: MemoryEngine, stopping: Event) -> Iterator[UUID]:
    while not stopping.is_set():
        owner = engine.events.get()
        engine.ask()
        if owner is not None:
            yield owner
