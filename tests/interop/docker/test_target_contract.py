"""What every target does, shown alike on a real engine and on the one in memory that other tests use instead of it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from uuid import UUID

import pytest

from control.integrations.docker.connect import Connection, connect
from control.integrations.docker.target import DockerTarget
from control.integrations.model import (
    ActionFailed,
    Change,
    Condition,
    Create,
    Found,
    Remove,
    Replace,
    Revive,
    Target,
    Wanted,
)
from control.integrations.plan import plan
from tests.support.engine import Engine
from tests.support.engine_wanted import QUICK, deaf, owner_and_name, wanted_container
from tests.support.memory_engine import MemoryEngine, MemoryTarget

pytestmark = pytest.mark.interop


class Hand(Protocol):
    """Somebody at the engine itself, and what control has of it."""

    def target(self, *, is_ready: bool = False) -> Target: ...

    def stop(self, found: Found) -> None: ...

    def tag(self, image: str, reference: str) -> None: ...

    def take(self, name: str) -> None: ...


@dataclass(kw_only=True)
class RealHand:
    """Docker's own command line."""

    engine: Engine
    path: Path
    taken: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._context = connect(Connection(url=f"unix://{self.path}"), QUICK)
        self._connected = self._context.__enter__()

    def target(self, *, is_ready: bool = False) -> Target:
        return DockerTarget(self._connected, lambda _: is_ready)

    def stop(self, found: Found) -> None:
        self.engine.run("docker", "kill", found.id)

    def tag(self, image: str, reference: str) -> None:
        self.engine.run("docker", "tag", image, reference)

    def take(self, name: str) -> None:
        self.engine.run("docker", "create", "--name", name, "well:1")
        self.taken.append(name)

    def close(self) -> None:
        self._context.__exit__(None, None, None)
        if self.taken:
            self.engine.run("docker", "rm", "-f", *self.taken)


@dataclass(kw_only=True)
class MemoryHand:
    """The fields of the engine in memory."""

    engine: MemoryEngine

    def target(self, *, is_ready: bool = False) -> Target:
        return MemoryTarget(self.engine, lambda _: is_ready)

    def stop(self, found: Found) -> None:
        self.engine.become(found.id, Condition.STOPPED)

    def tag(self, image: str, reference: str) -> None:
        self.engine.images[reference] = self.engine.images[image]

    def take(self, name: str) -> None:
        self.engine.foreign_names.add(name)


@pytest.fixture(params=["memory", "docker"])
def hand(request: pytest.FixtureRequest) -> Iterator[Hand]:
    """Each engine with the same images."""
    if request.param == "memory":
        images = {name: f"sha256:{name}" for name in ("well:1", "well:2", "sick:1")}
        yield MemoryHand(engine=MemoryEngine(images=images, broken={images["sick:1"]}))
        return
    request.getfixturevalue("tiny_images")
    real = RealHand(engine=request.getfixturevalue("engine"), path=request.getfixturevalue("engine_socket"))
    yield real
    real.close()


@dataclass(frozen=True, kw_only=True)
class Outpost:
    """One of the test's own."""

    owner: UUID
    name: str
    hand: Hand

    def wanted(self, image: str = "well:1", name: str = "", **labels: str) -> Wanted:
        return wanted_container(self.owner, name or self.name, image, labels=labels)

    def look(self) -> tuple[Found, ...]:
        return self.hand.target().observe(frozenset({self.owner}))

    def only(self) -> Found:
        (found,) = self.look()
        return found

    def create(self) -> Found:
        self.hand.target().apply(Create(wanted=self.wanted()), deaf)
        return self.only()

    def replace(self, wanted: Wanted, found: Found) -> None:
        self.hand.target().apply(Replace(wanted=wanted, found=found, differences=(), beside=True), deaf)


@pytest.fixture
def outpost(hand: Hand) -> Iterator[Outpost]:
    """Nothing of it is there in the beginning, nor in the end."""
    owner, name = owner_and_name()
    outpost = Outpost(owner=owner, name=name, hand=hand)
    yield outpost
    for found in outpost.look():
        hand.target().apply(Remove(found=found), deaf)
    assert outpost.look() == ()


def test_what_is_created_is_as_wanted(outpost: Outpost) -> None:
    found = outpost.create()

    wanted = outpost.wanted()
    assert (found.name, found.key, found.condition) == (outpost.name, wanted.key, Condition.RUNNING)
    assert plan([wanted], [found], can_run_beside=True) == ()


def test_nobody_elses_is_shown(outpost: Outpost) -> None:
    outpost.create()

    assert outpost.hand.target().observe(frozenset({owner_and_name()[0]})) == ()


def test_an_image_that_nobody_has(outpost: Outpost) -> None:
    wanted = outpost.wanted("nosuch:1")

    assert outpost.hand.target().prepare(wanted, deaf) == ""
    with pytest.raises(ActionFailed) as failed:
        outpost.hand.target().apply(Create(wanted=wanted), deaf)

    assert (failed.value.code, failed.value.restored) == ("no_image", False)
    assert outpost.look() == ()


def test_what_is_made_and_not_healthy_stays_to_be_looked_at(outpost: Outpost) -> None:
    with pytest.raises(ActionFailed) as failed:
        outpost.hand.target().apply(Create(wanted=outpost.wanted("sick:1")), deaf)

    assert (failed.value.code, failed.value.restored) == ("not_healthy", False)
    found = outpost.only()
    assert (found.name, found.condition) == (outpost.name, Condition.UNHEALTHY)


def test_another_takes_its_place(outpost: Outpost) -> None:
    old = outpost.create()

    outpost.replace(outpost.wanted("well:2"), old)

    new = outpost.only()
    assert new.id != old.id
    assert (new.name, new.spec["image"], new.condition) == (outpost.name, "well:2", Condition.RUNNING)


@pytest.mark.parametrize(("image", "code"), [("sick:1", "not_healthy"), ("nosuch:1", "no_image")])
def test_where_that_fails_the_old_one_serves(outpost: Outpost, image: str, code: str) -> None:
    old = outpost.create()

    with pytest.raises(ActionFailed) as failed:
        outpost.replace(outpost.wanted(image), old)

    assert (failed.value.code, failed.value.restored) == (code, True)
    assert outpost.only() == old


def test_another_name_for_the_same_one(outpost: Outpost) -> None:
    old = outpost.create()
    wanted = outpost.wanted(name=f"{outpost.name}-b")

    outpost.hand.target().apply(Change(wanted=wanted, found=old, differences=()), deaf)

    new = outpost.only()
    assert (new.id, new.name, new.condition) == (old.id, f"{outpost.name}-b", Condition.RUNNING)


def test_what_was_stopped_runs_again(outpost: Outpost) -> None:
    before = outpost.create()
    outpost.hand.stop(before)
    stopped = outpost.only()
    assert stopped.condition is Condition.STOPPED

    outpost.hand.target().apply(Revive(wanted=outpost.wanted(), found=stopped), deaf)

    assert outpost.only() == before


def test_removed_and_once_more(outpost: Outpost) -> None:
    found = outpost.create()

    for _ in range(2):
        outpost.hand.target().apply(Remove(found=found), deaf)

    assert outpost.look() == ()


def test_a_name_that_somebody_else_has(outpost: Outpost) -> None:
    outpost.hand.take(outpost.name)

    with pytest.raises(ActionFailed) as failed:
        outpost.hand.target().apply(Create(wanted=outpost.wanted()), deaf)

    assert failed.value.code == "name_taken"


def test_a_reference_that_means_another_image_now(outpost: Outpost) -> None:
    moving = f"moving-{outpost.name}:1"
    outpost.hand.tag("well:1", moving)
    outpost.hand.target().apply(Create(wanted=outpost.wanted(moving)), deaf)
    assert outpost.only().spec["image"] == moving
    before = outpost.hand.target().prepare(outpost.wanted(moving), deaf)

    outpost.hand.tag("well:2", moving)

    assert outpost.only().spec["image"] == before != moving
    assert outpost.hand.target().prepare(outpost.wanted(moving), deaf) not in {before, ""}


def test_what_is_known_to_work_runs_whatever_its_health_check_says(outpost: Outpost) -> None:
    with pytest.raises(ActionFailed):
        outpost.hand.target().apply(Create(wanted=outpost.wanted("sick:1")), deaf)

    (found,) = outpost.hand.target(is_ready=True).observe(frozenset({outpost.owner}))

    assert found.condition is Condition.RUNNING
