"""One worker that can't follow a change: the others keep together, and what ends sessions waits for nobody."""

import asyncio

import pytest

from dataplane.link.held import HeldResource
from dataplane.link.translate import locally_ended
from dataplane.runtime.messages import Commit, Prepare, Serve
from dataplane.runtime.twosteps import PORTION, Patience
from dataplane.runtime.workers import Workers
from tests.dataplane.runtime.actors import ENDED, NOTHING, Actor, Troupe, lead, resources, until

LATER = locally_ended("s2", 2e9)


def committed(troupe: Troupe) -> list[dict[str, str]]:
    return [actor.committed for actor in troupe.on_stage.values()]


@pytest.mark.parametrize("where", [Prepare, Commit])
def test_one_that_hangs_is_given_up_and_its_replacement_serves_what_the_others_do(
    where: type[Prepare | Commit],
) -> None:
    hanging = Actor(1, stuck_at=where, stuck_on="2")
    troupe = Troupe(Actor(0), hanging)

    async def story(workers: Workers) -> None:
        await workers.apply(resources(a="1"), NOTHING)
        applying = asyncio.create_task(workers.apply(resources(a="2"), NOTHING))
        await hanging.stuck.wait()
        # Nobody has the new version before everybody could have it.
        assert (troupe.on_stage[0].committed == {"a": "1"}) is (where is Prepare)
        hanging.released.set()
        outcome = await applying
        assert outcome.rejections == ()
        assert hanging.exited.is_set()
        assert hanging.committed == {"a": "1"}
        await until(lambda: len(workers.pids) == 2)
        assert committed(troupe) == [{"a": "2"}] * 2

    lead(troupe, story)


def test_what_ends_sessions_is_in_force_elsewhere_while_one_hangs() -> None:
    hanging = Actor(1, stuck_at=Prepare, stuck_on="local")
    troupe = Troupe(Actor(0), hanging)

    async def story(workers: Workers) -> None:
        await workers.apply(resources(a="1"), NOTHING)
        applying = asyncio.create_task(workers.apply({ENDED.key: ENDED}, NOTHING))
        await hanging.stuck.wait()
        await until(lambda: ENDED.key in troupe.on_stage[0].committed)
        assert not applying.done()
        hanging.released.set()
        assert (await applying).rejections == ()
        await until(lambda: len(workers.pids) == 2)
        assert committed(troupe) == [{"a": "1", ENDED.key: "local"}] * 2

    lead(troupe, story)


def test_what_ends_sessions_goes_before_a_configuration_that_hangs_everybody() -> None:
    troupe = Troupe(Actor(0, stuck_at=Prepare, stuck_on="2"), Actor(1, stuck_at=Prepare, stuck_on="2"))

    async def story(workers: Workers) -> None:
        await workers.apply(resources(a="1"), NOTHING)
        first = [*troupe.on_stage.values()]
        applying = asyncio.create_task(workers.apply({**resources(a="2"), ENDED.key: ENDED}, NOTHING))
        for actor in first:
            await actor.stuck.wait()
            assert actor.committed == {"a": "1", ENDED.key: "local"}
            actor.released.set()
        # The replacements have no trouble with it.
        assert (await applying).rejections == ()
        await until(lambda: len(workers.pids) == 2)
        assert committed(troupe) == [{"a": "2", ENDED.key: "local"}] * 2

    lead(troupe, story)


def test_nobody_accepts_for_the_sake_of_a_revocation_alone() -> None:
    """At the start the configuration comes with them: connections wait for it."""
    troupe = Troupe(Actor(0))

    async def story(workers: Workers) -> None:
        await workers.apply({**resources(a="1"), ENDED.key: ENDED}, NOTHING)
        assert troupe.on_stage[0].told == [Commit(serial=1), Serve()]

    lead(troupe, story)


def test_a_worker_that_fails_on_a_revocation_at_once_takes_it_at_the_second_try() -> None:
    failing = Actor(0, fails_on="local", recovers_after=1)
    troupe = Troupe(failing, Actor(1))

    async def story(workers: Workers) -> None:
        await workers.apply(resources(a="1"), NOTHING)
        outcome = await workers.apply({ENDED.key: ENDED}, NOTHING)
        assert outcome.rejections == ()
        assert committed(troupe) == [{"a": "1", ENDED.key: "local"}] * 2

    lead(troupe, story)


def test_a_newcomer_that_hangs_holds_up_nobody() -> None:
    troupe = Troupe(Actor(0), Actor(1))

    async def story(workers: Workers) -> None:
        await workers.apply(resources(a="1"), NOTHING)
        newcomer = Actor(1, stuck_at=Prepare)
        troupe.first[1] = newcomer
        troupe.on_stage[1].kill()
        await newcomer.stuck.wait()
        await workers.apply({**resources(b="1"), ENDED.key: ENDED}, NOTHING)
        assert troupe.on_stage[0].committed == {"a": "1", "b": "1", ENDED.key: "local"}
        newcomer.released.set()
        await until(lambda: len(workers.pids) == 2)
        assert newcomer.committed == {}
        assert committed(troupe) == [{"a": "1", "b": "1", ENDED.key: "local"}] * 2

    lead(troupe, story)


def test_a_newcomer_is_brought_what_changed_while_it_caught_up() -> None:
    troupe = Troupe(Actor(0), Actor(1))

    async def story(workers: Workers) -> None:
        await workers.apply(resources(a="1", b="1"), NOTHING)
        newcomer = Actor(1, slow=True)
        troupe.first[1] = newcomer
        troupe.on_stage[1].kill()
        await newcomer.stuck.wait()
        await workers.apply(resources(a="2", c="1"), frozenset({"b"}))
        newcomer.released.set()
        await until(lambda: len(workers.pids) == 2)
        assert newcomer.committed == {"a": "2", "c": "1"}
        assert newcomer.told[-1] == Serve()

    lead(troupe, story)


def test_a_newcomer_that_refuses_what_others_serve_does_not_serve_less() -> None:
    troupe = Troupe(Actor(0), Actor(1))

    async def story(workers: Workers) -> None:
        await workers.apply(resources(a="1"), NOTHING)
        troupe.first[1] = refusing = Actor(1, refuses=frozenset({"1"}))
        troupe.on_stage[1].kill()
        await refusing.exited.wait()
        assert Serve() not in refusing.told
        await until(lambda: len(workers.pids) == 2)
        assert committed(troupe) == [{"a": "1"}] * 2

    lead(troupe, story)


def test_a_newcomer_is_given_much_in_portions_with_the_options_first() -> None:
    troupe = Troupe(Actor(0))
    many = {str(number): HeldResource(key=str(number), digest="1", data=b"") for number in range(2 * PORTION + 1)}

    async def story(workers: Workers) -> None:
        await workers.apply({**many, **resources(options="1")}, NOTHING)
        troupe.on_stage[0].kill()
        await until(lambda: troupe.replaced == 1 and len(workers.pids) == 1)
        newcomer = troupe.on_stage[0]
        assert newcomer.commits == 3
        assert newcomer.first_asked == "options"
        assert len(newcomer.committed) == 2 * PORTION + 2

    lead(troupe, story)


def test_a_deadline_is_as_long_as_what_is_to_be_prepared() -> None:
    assert Patience(answer=5, each=0.01).prepare(1000) == 15
