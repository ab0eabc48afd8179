"""What is served over a sequence of changes and sign-outs, with a crew that refuses by digest."""

import asyncio
from collections.abc import Mapping

from dataplane.config import Ended
from dataplane.link.endings import Ending
from dataplane.link.held import Change, Held, HeldResource
from dataplane.link.translate import resource as read_resource
from dataplane.runtime.configuration import Configuration
from dataplane.runtime.rollout import Attempt, refuse_all
from dataplane.runtime.workers import Outcome


class Crew:
    """Serves what it doesn't refuse."""

    def __init__(self, *refuses: str) -> None:
        self.refuses = set(refuses)
        self.fails = False
        self.served: dict[str, HeldResource] = {}

    async def apply(self, changed: Mapping[str, HeldResource], removed: frozenset[str]) -> Outcome:
        attempt = Attempt(served=self.served, changed=changed, removed=removed)
        if self.fails:
            return Outcome(served=self.served, committed=False, rejections=refuse_all(attempt, "bug"))
        while bad := {key: "no" for key, each in attempt.result.items() if each.digest in self.refuses}:
            attempt = attempt.refuse(bad)
        self.served = attempt.result
        return Outcome(served=self.served, rejections=attempt.rejections, refused=attempt.refused)


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
        await subject.end_locally((ENDING,))
        assert subject.held.digests == {"a": "1"}
        served = read_resource(crew.served["local/ended/session/s1"].data)
        assert isinstance(served, Ended)
        assert (served.session, served.subject, served.provider, served.before) == ("s1", "", "", 990.0)
        assert served.until > 990.0 + 29 * 86400

    asyncio.run(story())


def test_controls_revocation_takes_the_place_of_ours() -> None:
    crew = Crew()
    subject = configuration(crew)

    async def story() -> None:
        await subject.end_locally((ENDING,))
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
    asyncio.run(subject.end_locally((ENDING,)))
    assert subject.updated is None


def test_a_change_that_is_refused_as_a_whole_leaves_everything_as_it_was() -> None:
    crew = Crew("bad")
    subject = configuration(crew)

    async def story() -> None:
        await subject.apply(change(1, a="1", b="bad"))
        crew.fails = True
        assert [each.key for each in await subject.apply(change(2, a="2"))] == ["b", "a"]
        assert subject.held.digests == {"a": "1"}
        assert subject.held.revision == 1
        crew.fails = False
        # What was refused singly before is still tried again.
        assert [each.key for each in await subject.apply(change(3, a="3"))] == ["b"]

    asyncio.run(story())
