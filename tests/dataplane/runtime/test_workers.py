"""All workers together or none: led with workers that answer by a table, over the real leader."""

import pytest

from dataplane.link.held import NotApplied
from dataplane.runtime.messages import Commit, Connect, Serve
from dataplane.runtime.server import Snapshot
from dataplane.runtime.twosteps import Patience
from dataplane.runtime.workers import Workers
from tests.dataplane.runtime.actors import ENDED, NOTHING, Actor, Troupe, lead, resources, until
from tests.dataplane.runtime.test_pipe import CREDENTIALS


def test_all_commit_the_same() -> None:
    troupe = Troupe(Actor(0), Actor(1))

    async def story(workers: Workers) -> None:
        outcome = await workers.apply(resources(a="1", b="1"), NOTHING)
        assert outcome.rejections == ()
        outcome = await workers.apply(resources(b="2"), frozenset({"a"}))
        assert [actor.committed for actor in troupe.on_stage.values()] == [{"b": "2"}] * 2

    lead(troupe, story)


def test_what_one_worker_refuses_no_worker_serves() -> None:
    troupe = Troupe(Actor(0), Actor(1, refuses=frozenset({"bad"})))

    async def story(workers: Workers) -> None:
        await workers.apply(resources(a="1"), NOTHING)
        outcome = await workers.apply(resources(a="bad", b="1"), NOTHING)
        assert [actor.committed for actor in troupe.on_stage.values()] == [{"a": "1", "b": "1"}] * 2
        assert [(each.key, each.digest, each.reason) for each in outcome.rejections] == [("a", "bad", "no")]
        assert {key: each.digest for key, each in outcome.served.items()} == {"a": "1", "b": "1"}

    lead(troupe, story)


def test_when_one_worker_cannot_prepare_nobody_commits_but_what_ends_sessions() -> None:
    troupe = Troupe(Actor(0), Actor(1, fails_on="2"))

    async def story(workers: Workers) -> None:
        await workers.apply(resources(a="1"), NOTHING)
        outcome = await workers.apply({**resources(a="2"), ENDED.key: ENDED}, NOTHING)
        assert [actor.committed for actor in troupe.on_stage.values()] == [{"a": "1", ENDED.key: "local"}] * 2
        assert [(each.key, each.reason) for each in outcome.rejections] == [("a", "bug")]
        assert [*outcome.failed] == ["a"]

    lead(troupe, story)


def test_a_momentary_failure_is_no_verdict() -> None:
    failing = Actor(0, fails_on="2")
    failing.recovers_after = 1
    troupe = Troupe(failing)

    async def story(workers: Workers) -> None:
        outcome = await workers.apply(resources(a="2"), NOTHING)
        assert outcome.rejections == ()
        assert failing.committed == {"a": "2"}

    lead(troupe, story)


def test_what_is_served_already_is_not_prepared_again() -> None:
    troupe = Troupe(Actor(0))

    async def story(workers: Workers) -> None:
        await workers.apply(resources(a="1", b="1"), NOTHING)
        await workers.apply(resources(a="1", b="1"), frozenset({"c"}))
        assert troupe.on_stage[0].commits == 1
        await workers.apply(resources(a="1", b="2"), NOTHING)
        assert troupe.on_stage[0].asked == ["b"]

    lead(troupe, story)


def test_a_worker_that_dies_meanwhile_is_replaced_and_catches_up() -> None:
    troupe = Troupe(Actor(0), Actor(1, dies_of="2"))

    async def story(workers: Workers) -> None:
        outcome = await workers.apply(resources(a="2"), NOTHING)
        assert outcome.rejections == ()
        await until(lambda: len(workers.pids) == 2)
        assert troupe.replaced == 1
        assert [actor.committed for actor in troupe.on_stage.values()] == [{"a": "2"}] * 2
        assert workers.restarts == 1

    lead(troupe, story)


def test_a_change_during_which_all_workers_die_is_made_with_their_replacements() -> None:
    troupe = Troupe(Actor(0, dies_of="local"), Actor(1, dies_of="local"))

    async def story(workers: Workers) -> None:
        outcome = await workers.apply({**resources(a="1"), ENDED.key: ENDED}, NOTHING)
        assert outcome.rejections == ()
        await until(lambda: len(workers.pids) == 2)
        assert [actor.committed for actor in troupe.on_stage.values()] == [{"a": "1", ENDED.key: "local"}] * 2

    lead(troupe, story)


def test_a_configuration_that_kills_every_worker_is_left_out() -> None:
    troupe = Troupe(Actor(0, dies_of="2"), Actor(1, dies_of="2"))
    troupe.replacements_die_of = "2"

    async def story(workers: Workers) -> None:
        await workers.apply(resources(a="1"), NOTHING)
        outcome = await workers.apply({**resources(a="2"), ENDED.key: ENDED}, NOTHING)
        assert [each.reason for each in outcome.rejections] == ["every worker died of it or gave no answer"]
        assert [*outcome.failed] == ["a"]
        await until(lambda: len(workers.pids) == 2)
        assert [actor.committed for actor in troupe.on_stage.values()] == [{"a": "1", ENDED.key: "local"}] * 2

    lead(troupe, story)


def test_a_revocation_that_cannot_be_applied_is_not_called_refused() -> None:
    troupe = Troupe(Actor(0, fails_on="local"))

    async def story(workers: Workers) -> None:
        with pytest.raises(NotApplied, match="bug"):
            await workers.apply({ENDED.key: ENDED}, NOTHING)

    lead(troupe, story)


def test_nobody_accepts_before_there_is_something_to_serve() -> None:
    troupe = Troupe(Actor(0))

    async def story(workers: Workers) -> None:
        assert troupe.on_stage[0].told == []
        await workers.apply(resources(a="1"), NOTHING)
        assert troupe.on_stage[0].told == [Commit(serial=1), Serve()]
        troupe.on_stage[0].kill()
        await until(lambda: troupe.replaced == 1 and len(workers.pids) == 1)
        assert troupe.on_stage[0].told == [Commit(serial=1), Serve()]

    lead(troupe, story)


def test_a_replacement_that_cannot_prepare_what_others_serve_is_replaced_itself() -> None:
    troupe = Troupe(Actor(0))
    troupe.failing_replacements = 2

    async def story(workers: Workers) -> None:
        await workers.apply(resources(a="1"), NOTHING)
        troupe.on_stage[0].kill()
        await until(lambda: troupe.replaced == 3 and len(workers.pids) == 1)
        assert troupe.on_stage[0].committed == {"a": "1"}

    lead(troupe, story)


def test_where_nothing_is_to_be_had_all_accept_at_once() -> None:
    troupe = Troupe(Actor(0))

    async def story(workers: Workers) -> None:
        workers.serve()
        assert troupe.on_stage[0].told == [Serve()]
        troupe.on_stage[0].kill()
        await until(lambda: troupe.replaced == 1 and len(workers.pids) == 1)
        assert troupe.on_stage[0].told == [Serve()]

    lead(troupe, story)


def test_counters_of_the_dead_stay_and_their_gauges_go() -> None:
    troupe = Troupe(Actor(0, counted=3.0), Actor(1, counted=4.0))

    async def story(workers: Workers) -> None:
        assert _values(await workers.scrape()) == (7.0, 7.0)
        troupe.on_stage[0].kill()
        await until(lambda: troupe.replaced == 1 and len(workers.pids) == 2)
        # The replacement has counted 1.
        assert _values(await workers.scrape()) == (8.0, 5.0)

    lead(troupe, story)


def _values(snapshot: Snapshot) -> tuple[float, float]:
    (counter,), (gauge,) = snapshot.counters, snapshot.gauges
    return counter.value, gauge.value


def test_a_worker_that_hangs_is_replaced() -> None:
    troupe = Troupe(Actor(0, hangs=True), Actor(1))

    async def story(workers: Workers) -> None:
        await until(lambda: troupe.replaced == 1 and len(workers.pids) == 2)
        assert not troupe.on_stage[0].hangs
        assert workers.restarts == 1

    lead(troupe, story, Patience(first_restart=0.0, longest_restart=0.0, check=0.0))


def test_a_newcomer_learns_how_to_call_control() -> None:
    troupe = Troupe(Actor(0))

    async def story(workers: Workers) -> None:
        workers.connect(CREDENTIALS, 600.0)
        troupe.on_stage[0].kill()
        await until(lambda: troupe.replaced == 1 and len(workers.pids) == 1)
        assert troupe.on_stage[0].told == [Connect(credentials=CREDENTIALS, ahead=600.0)]

    lead(troupe, story)
