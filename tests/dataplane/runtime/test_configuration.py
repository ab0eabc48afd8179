"""What is served over a sequence of changes and sign-outs, with a crew that refuses by digest."""

import asyncio
from collections.abc import Mapping

import pytest

from dataplane.config import Ended
from dataplane.link.endings import Ending
from dataplane.link.held import Change, Held, HeldResource, NotApplied, Rejection
from dataplane.link.reading import resource as read_resource
from dataplane.runtime.configuration import Configuration
from dataplane.runtime.rollout import Attempt, Outcome


class Crew:
    """Serves what it doesn't refuse."""

    def __init__(self, *refuses: str) -> None:
        self.refuses = set(refuses)
        self.fails = False
        self.leaves_out: set[str] = set()
        self.applied: list[set[str]] = []
        self.busy = asyncio.Lock()
        self.served: dict[str, HeldResource] = {}

    async def apply(self, changed: Mapping[str, HeldResource], removed: frozenset[str]) -> Outcome:
        async with self.busy:
            return self._apply(changed, removed)

    def _apply(self, changed: Mapping[str, HeldResource], removed: frozenset[str]) -> Outcome:
        self.applied.append(set(changed))
        if self.fails:
            raise NotApplied("bug")
        failed = {key: each for key, each in changed.items() if key in self.leaves_out}
        tried = {key: each for key, each in changed.items() if key not in failed}
        attempt = Attempt(served=self.served, changed=tried, removed=removed)
        while bad := {key: "no" for key, each in attempt.result.items() if each.digest in self.refuses}:
            attempt = attempt.refuse(bad)
        self.served = attempt.result
        left_out = tuple(Rejection(key=key, digest=each.digest, reason="died") for key, each in failed.items())
        rejections = (*attempt.rejections, *left_out)
        return Outcome(served=self.served, rejections=rejections, refused=attempt.refused, failed=failed)


def change(revision: int, *removed: str, **digests: str) -> Change:
    changed = {key: HeldResource(key=key, digest=digest, data=b"") for key, digest in digests.items()}
    return Change(revision=revision, changed=changed, removed=frozenset(removed))


def configuration(crew: Crew, held: Held | None = None) -> Configuration:
    return Configuration(crew, lambda: 1000.0, held or Held())


ENDING = Ending(provider="wiki", session="s1", at=990.0)


def test_what_was_refused_is_tried_again_with_the_next_change() -> None:
    crew = Crew("bad")
    subject = configuration(crew)

    async def story() -> None:
        assert [each.key for each in await subject.apply(change(1, a="1", b="bad"))] == ["b"]
        assert [each.key for each in await subject.apply(change(2, a="2"))] == ["b"]
        crew.refuses.clear()
        assert await subject.apply(change(3, a="3")) == ()
        assert subject.held.digests == {"a": "3", "b": "bad"}
        assert subject.held.revision == 3

    asyncio.run(story())


def test_what_was_refused_and_then_removed_is_forgotten() -> None:
    crew = Crew("bad")
    subject = configuration(crew)

    async def story() -> None:
        await subject.apply(change(1, b="bad"))
        assert await subject.apply(change(2, "b", a="1")) == ()
        crew.refuses.clear()
        await subject.apply(change(3))
        assert subject.held.digests == {"a": "1"}

    asyncio.run(story())


def test_a_saved_state_is_known_before_it_is_served_and_then_served() -> None:
    crew = Crew()
    saved = Held(revision=7, resources=change(7, a="1").changed)
    subject = configuration(crew, saved)
    assert subject.held.digests == {"a": "1"}
    assert subject.updated is None
    asyncio.run(subject.restore((ENDING,)))
    assert set(crew.served) == {"a", "local/ended/session/s1"}
    assert subject.held.digests == {"a": "1"}
    assert subject.held.revision == 7


def test_a_sign_out_bites_at_once_and_control_is_not_told_of_the_means() -> None:
    crew = Crew()
    subject = configuration(crew)

    async def story() -> None:
        await subject.apply(change(1, a="1"))
        assert subject.end(ENDING)
        await settled(subject)
        assert subject.held.digests == {"a": "1"}
        served = read_resource(crew.served["local/ended/session/s1"].data)
        assert isinstance(served, Ended)
        assert (served.session, served.subject, served.provider) == ("s1", "", "")
        # Also sessions that control dates later than we the sign-out: clocks differ.
        assert served.before == served.until > 990.0 + 29 * 86400

    asyncio.run(story())


def test_controls_revocation_takes_the_place_of_ours() -> None:
    crew = Crew()
    subject = configuration(crew)

    async def story() -> None:
        subject.end(ENDING)
        await settled(subject)
        assert set(crew.served) == {"local/ended/session/s1"}
        await subject.apply(
            Change(
                revision=2,
                changed={"ended/session/s1": HeldResource(key="ended/session/s1", digest="d", data=b"")},
            )
        )
        assert set(crew.served) == {"ended/session/s1"}

    asyncio.run(story())


def test_a_sign_out_before_the_first_configuration_does_not_make_the_outpost_ready() -> None:
    subject = configuration(Crew())
    subject.end(ENDING)
    asyncio.run(settled(subject))
    assert subject.updated is None


def test_a_change_that_fails_leaves_everything_as_it_was() -> None:
    crew = Crew("bad")
    subject = configuration(crew)

    async def story() -> None:
        await subject.apply(change(1, a="1", b="bad"))
        crew.fails = True
        subject.end(ENDING)
        with pytest.raises(NotApplied):
            await subject.apply(change(2, a="2"))
        assert subject.held.digests == {"a": "1"}
        assert subject.held.revision == 1
        crew.fails = False
        # What was refused singly before is still tried again.
        assert [each.key for each in await subject.apply(change(3, a="3"))] == ["b"]
        # And so is the sign-out.
        assert "local/ended/session/s1" in crew.served

    asyncio.run(story())


def ending(number: int) -> Ending:
    return Ending(provider="wiki", session=f"s{number}", at=990.0)


def test_a_sign_out_that_is_known_costs_nothing() -> None:
    crew = Crew()
    subject = configuration(crew)
    control_has = Change(
        revision=1, changed={"ended/session/s2": HeldResource(key="ended/session/s2", digest="d", data=b"")}
    )

    async def story() -> None:
        assert subject.end(ending(1))
        # Before it is in force, once it is, and when control said it.
        assert not subject.end(ending(1))
        await settled(subject)
        assert not subject.end(ending(1))
        await subject.apply(control_has)
        assert not subject.end(ending(2))
        await settled(subject)
        assert crew.applied == [{"local/ended/session/s1"}, {"ended/session/s2"}]

    asyncio.run(story())


def test_however_many_sign_outs_are_two_changes_and_controls_goes_before_the_second() -> None:
    crew = Crew()
    subject = configuration(crew)

    async def story() -> None:
        following = asyncio.create_task(subject.follow_endings())
        async with crew.busy:
            subject.end(ending(0))
            await turns()
            pushed = asyncio.create_task(subject.apply(change(1, a="1")))
            await turns()
            for number in range(1, 1000):
                subject.end(ending(number))
                await asyncio.sleep(0)
        await pushed
        await turns()
        assert len(crew.served) == 1001
        assert [len(each) for each in crew.applied] == [1, 1000]
        assert "a" in crew.applied[1]
        following.cancel()

    asyncio.run(story())


def test_what_the_workers_failed_on_stands_refused_until_it_is_tried_again() -> None:
    crew = Crew()
    crew.leaves_out = {"a"}
    subject = configuration(crew)

    async def story() -> None:
        assert [(each.key, each.reason) for each in await subject.apply(change(1, a="1", b="1"))] == [("a", "died")]
        # Not with every change: it may be what the workers died of.
        assert [(each.key, each.reason) for each in await subject.apply(change(2, b="2"))] == [("a", "died")]
        assert crew.applied[-1] == {"b"}
        crew.leaves_out.clear()
        await subject.retry()
        assert subject.rejections == ()
        assert subject.held.digests == {"a": "1", "b": "2"}
        await subject.retry()
        assert len(crew.applied) == 3

    asyncio.run(story())


def test_a_last_good_state_that_could_not_be_served_is_tried_again_in_full() -> None:
    crew = Crew()
    crew.fails = True
    subject = configuration(crew, Held(revision=7, resources=change(7, a="1", b="1").changed))

    async def story() -> None:
        with pytest.raises(NotApplied):
            await subject.restore(())
        crew.fails = False
        subject.end(ENDING)
        await settled(subject)
        await subject.apply(change(8, b="2"))
        await subject.restore(())
        assert subject.held.digests == {"a": "1", "b": "2"}

    asyncio.run(story())


async def turns() -> None:
    # Nothing here takes time, only turns.
    for _ in range(20):
        await asyncio.sleep(0)


async def settled(subject: Configuration) -> None:
    """Let sign-outs come into force."""
    following = asyncio.create_task(subject.follow_endings())
    await turns()
    following.cancel()
