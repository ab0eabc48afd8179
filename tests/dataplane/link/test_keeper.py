"""When the outpost enrols: a table of situations, in virtual time."""

import asyncio
from dataclasses import replace

import pytest

from dataplane.link.enrol import Enrolled, EnrolmentFailed, Failure
from dataplane.link.keeper import Keeper
from dataplane.link.target import Credentials
from dataplane.link.world import World


class Stage:
    """Virtual time, and an enrolment that answers by a script of successes."""

    def __init__(self, *succeeds: bool) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self._succeeds = list(succeeds)
        self.world = World(clock=lambda: self.now, sleep=self.sleep, uniform=lambda _, high: high)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    async def enrol(self) -> Enrolled:
        if not self._succeeds.pop(0):
            raise EnrolmentFailed(Failure.UNREACHABLE, "control can't be reached")
        return Enrolled(credentials=credentials(self.now, 300.0), skew=0.0)


def credentials(issued: float, lifetime: float) -> Credentials:
    return Credentials(
        certificate="C",
        private_key="K",
        authority="A",
        addresses=("a:1",),
        outpost="o",
        name="edge",
        issued=issued,
        expires=issued + lifetime,
    )


def keeper(stage: Stage, held: Credentials | None) -> Keeper:
    return Keeper(stage.enrol, stage.world, held)


FRESH = credentials(900.0, 300.0)
DUE = credentials(790.0, 300.0)
OVER = credentials(600.0, 300.0)


@pytest.mark.parametrize(
    ("held", "succeeds", "issued"),
    [
        (None, (True,), 1000.0),
        (FRESH, (), 900.0),
        (DUE, (True,), 1000.0),
        (DUE, (False,), 790.0),
        (OVER, (True,), 1000.0),
    ],
)
def test_get(held: Credentials | None, succeeds: tuple[bool, ...], issued: float) -> None:
    assert asyncio.run(keeper(Stage(*succeeds), held).get()).issued == issued


@pytest.mark.parametrize("held", [None, OVER])
def test_without_usable_credentials_the_failure_is_told_and_counted(held: Credentials | None) -> None:
    subject = keeper(Stage(False), held)
    with pytest.raises(EnrolmentFailed):
        asyncio.run(subject.get())
    assert subject.failures == {"unreachable": 1}


def test_refused_credentials_are_not_used_again() -> None:
    subject = keeper(Stage(False, True), FRESH)
    subject.distrust()
    with pytest.raises(EnrolmentFailed):
        asyncio.run(subject.get())
    assert asyncio.run(subject.get()).issued == 1000.0
    assert asyncio.run(subject.get()).issued == 1000.0


def test_doubted_credentials_are_replaced_if_that_is_possible() -> None:
    subject = keeper(Stage(False, True), FRESH)
    subject.doubt()
    assert [asyncio.run(subject.get()).issued for _ in range(3)] == [900.0, 1000.0, 1000.0]


def test_a_hurry_renews_in_a_moment_what_is_not_due() -> None:
    stage = Stage(True)
    subject = keeper(stage, FRESH)
    subject.hurry("newer")
    assert asyncio.run(subject.get()).issued == 900.0
    assert asyncio.run(subject.renewed()).issued == 1005.0
    assert stage.slept == [5.0]


def test_a_hurry_is_over_with_the_next_certificate() -> None:
    stage = Stage(True, True)
    subject = keeper(stage, FRESH)
    subject.hurry("newer")
    asyncio.run(subject.renewed())
    asyncio.run(subject.renewed())
    assert sum(stage.slept) == 5.0 + 200.0


@pytest.mark.parametrize(("used", "again"), [("old", True), ("new", False)])
def test_a_hurry_that_comes_while_we_enrol_lasts_unless_it_is_fulfilled(used: str, *, again: bool) -> None:
    """The enrolment on its way may have begun with the token before."""
    stage = Stage(True, True)

    async def enrol() -> Enrolled:
        subject.hurry("new")
        enrolled = await stage.enrol()
        return replace(enrolled, credentials=replace(enrolled.credentials, token=used))

    subject = Keeper(enrol, stage.world, None)
    asyncio.run(subject.get())
    asyncio.run(subject.renewed())
    assert stage.slept[:1] == [5.0 if again else 60.0]


def test_a_hurry_is_over_also_where_control_takes_the_older_token_only() -> None:
    stage = Stage(True, True)
    subject = keeper(stage, FRESH)
    subject.hurry("refused")
    asyncio.run(subject.renewed())
    asyncio.run(subject.renewed())
    assert stage.slept[:2] == [5.0, 60.0]


def test_a_hurry_lasts_where_an_enrolment_fails() -> None:
    stage = Stage(False, True)
    subject = keeper(stage, DUE)
    subject.hurry("newer")
    asyncio.run(subject.get())
    assert asyncio.run(subject.renewed()).issued == 1005.0


def test_a_hurry_that_comes_during_the_wait_ends_it() -> None:
    stage = Stage(True)

    async def sleep(seconds: float) -> None:
        """The first nap lasts until somebody ends it."""
        stage.slept.append(seconds)
        if len(stage.slept) == 1:
            await asyncio.Event().wait()

    async def play() -> float:
        world = World(clock=lambda: stage.now, sleep=sleep, uniform=lambda _, high: high)
        waiting = Keeper(stage.enrol, world, FRESH)
        renewing = asyncio.ensure_future(waiting.renewed())
        while not stage.slept:  # noqa: ASYNC110  what is waited for knows nothing of events
            await asyncio.sleep(0)
        waiting.hurry("newer")
        return (await renewing).issued

    assert asyncio.run(asyncio.wait_for(play(), 5)) == 1000.0
    assert stage.slept == [60.0, 5.0]


def test_renewal_comes_at_two_thirds_and_is_tried_until_it_succeeds() -> None:
    stage = Stage(False, False, True)
    renewed = asyncio.run(keeper(stage, FRESH).renewed())
    assert stage.slept == [60.0, 40.0, 5.0, 10.0]
    assert renewed.issued == 1115.0
