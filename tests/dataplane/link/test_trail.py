"""Events on their way to control: nothing is forgotten before control has it, whatever the disk does."""

import asyncio
import os
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from dataplane.gate import Event, EventAction
from dataplane.link.events import EventJournal
from dataplane.link.reporting import event_message
from dataplane.link.trail import NOT_SAVED, REFUSED, Trail, fit
from dataplane.link.world import World
from protos.outpost.v1 import gate_pb2
from tests.support.disks import written_at_most
from tests.support.loops import in_a_loop, until

KEY = b"k" * 32
QUICK = replace(World(), sleep=lambda seconds: asyncio.sleep(seconds / 100))


def trail(folder: Path, limit: int = 20_000, *, sealable: bool = True) -> Trail:
    subject = Trail(EventJournal(folder, KEY, os.urandom), QUICK, limit)
    if sealable:
        subject.seal()
    return subject


def is_empty(folder: Path) -> bool:
    return not list(folder.iterdir())


def events(*numbers: int) -> list[Event]:
    return [
        Event(id=str(uuid.UUID(int=number)), at=1.0, action=EventAction.ADMITTED, username="alice")
        for number in numbers
    ]


async def first(subject: Trail) -> Sequence[Event]:
    return await asyncio.wait_for(subject.first(), 5)


async def drained(subject: Trail) -> list[Event]:
    """All that waits, as control gets it."""
    found: list[Event] = []
    while subject.waiting:
        some = await first(subject)
        found += some
        await subject.delivered(some)
    return found


@in_a_loop
async def test_events_are_on_disk_before_they_are_told(tmp_path: Path) -> None:
    subject = trail(tmp_path)
    keeping = asyncio.create_task(subject.keep())
    subject.add(events(1, 2))
    assert list(await first(subject)) == events(1, 2)
    assert EventJournal(tmp_path, KEY, os.urandom).count == 2
    assert subject.waiting == 2
    await subject.delivered(events(1, 2))
    assert (subject.waiting, subject.forwarded, subject.lost) == (0, 2, 0)
    assert EventJournal(tmp_path, KEY, os.urandom).empty
    keeping.cancel()


@in_a_loop
async def test_whoever_waits_hears_of_what_comes(tmp_path: Path) -> None:
    subject = trail(tmp_path)
    keeping = asyncio.create_task(subject.keep())
    waiting = asyncio.create_task(subject.first())
    await asyncio.sleep(0)
    subject.add(events(1))
    assert list(await asyncio.wait_for(waiting, 5)) == events(1)
    keeping.cancel()


@in_a_loop
async def test_without_a_saved_key_nothing_is_written_but_all_is_told(tmp_path: Path) -> None:
    subject = trail(tmp_path, sealable=False)
    keeping = asyncio.create_task(subject.keep())
    subject.add(events(1))
    assert list(await first(subject)) == events(1)
    await subject.finish()
    assert is_empty(tmp_path)
    await subject.delivered(events(1))
    subject.add(events(2))
    subject.seal()
    assert list(await first(subject)) == events(2)
    assert await subject.save()
    assert EventJournal(tmp_path, KEY, os.urandom).count == 1
    keeping.cancel()


@in_a_loop
async def test_a_disk_that_takes_nothing_heals_by_itself(tmp_path: Path) -> None:
    subject = trail(tmp_path)
    keeping = asyncio.create_task(subject.keep())
    with written_at_most(10):
        subject.add(events(1))
        # What memory holds is told all the same.
        assert list(await first(subject)) == events(1)
        assert subject.gauges["garrison_outpost_events_unsaved"] == 1
        assert subject.error == ""
    await until(lambda: not subject.gauges["garrison_outpost_events_unsaved"])
    assert EventJournal(tmp_path, KEY, os.urandom).count == 1
    # Told from memory meanwhile: gone from the disk as well.
    await first(subject)
    await subject.delivered(events(1))
    assert EventJournal(tmp_path, KEY, os.urandom).empty
    keeping.cancel()


@in_a_loop
async def test_memory_is_bounded_and_tells_what_it_dropped(tmp_path: Path) -> None:
    subject = trail(tmp_path, limit=10)
    with written_at_most(10):
        subject.add(events(*range(1, 26)))
        assert not await subject.save()
        subject.add(events(26))
        assert (subject.waiting, subject.lost) == (10, 16)
        assert "lost: 16" in subject.error
    assert await subject.save()
    found = await drained(subject)
    assert found[:-1] == events(*range(17, 27))
    assert (found[-1].action, found[-1].count, found[-1].reason) == (EventAction.EVENTS_LOST, 16, NOT_SAVED)
    # Control has all that there is: the rest is history.
    waiting = asyncio.create_task(subject.first())
    await asyncio.wait_for(subject.clear_within(5), 6)
    assert subject.error == ""
    assert subject.counters["garrison_outpost_events_lost_total"] == 16
    waiting.cancel()


@in_a_loop
async def test_losses_are_told_of_from_memory_too(tmp_path: Path) -> None:
    subject = trail(tmp_path, limit=3, sealable=False)
    subject.add(events(*range(1, 6)))
    found = await first(subject)
    assert list(found[:3]) == events(3, 4, 5)
    assert (found[3].action, found[3].count) == (EventAction.EVENTS_LOST, 2)
    assert list(await first(subject)) == list(found)


@in_a_loop
async def test_a_loss_that_is_dropped_itself_counts_with_the_next(tmp_path: Path) -> None:
    subject = trail(tmp_path, limit=3, sealable=False)
    subject.add(events(*range(1, 6)))
    await first(subject)
    subject.add(events(6, 7, 8, 9))
    found = await first(subject)
    assert list(found[:3]) == events(7, 8, 9)
    assert found[3].count == 6


@in_a_loop
async def test_what_control_refuses_is_told_of_as_lost(tmp_path: Path) -> None:
    subject = trail(tmp_path)
    subject.add(events(1, 2))
    await subject.save()
    await subject.refused((await first(subject))[0])
    await subject.save()
    found = await drained(subject)
    assert found[0] == events(2)[0]
    assert (found[1].action, found[1].reason) == (EventAction.EVENTS_LOST, REFUSED)
    # One that says so and is refused as well is the end of it.
    await subject.refused(found[1])
    assert subject.waiting == 0


@in_a_loop
async def test_whoever_gives_up_waiting_leaves_the_work_whole(tmp_path: Path) -> None:
    subject = trail(tmp_path)
    for number in range(50):
        subject.add(events(number))
        saving = asyncio.create_task(subject.save())
        await asyncio.sleep(0)
        saving.cancel()
        asking = asyncio.create_task(subject.first())
        await asyncio.sleep(0)
        asking.cancel()
    await subject.finish()
    assert await drained(subject) == events(*range(50))
    assert EventJournal(tmp_path, KEY, os.urandom).empty


@in_a_loop
async def test_at_the_end_the_disk_has_what_memory_had(tmp_path: Path) -> None:
    subject = trail(tmp_path)
    subject.add(events(1, 2, 3))
    await subject.finish()
    assert EventJournal(tmp_path, KEY, os.urandom).count == 3
    await subject.clear_within(0.01)


texts = st.text(max_size=1_000)


@given(
    st.builds(
        Event,
        id=texts,
        at=st.floats(),
        action=st.sampled_from(EventAction),
        provider=texts,
        subject=texts,
        username=texts,
        client_address=texts,
        reason=texts,
        count=st.integers(),
        request_id=texts,
    )
)
def test_whatever_a_worker_says_can_travel(event: Event) -> None:
    """One that couldn't would end the link each time that it is told."""
    sent = event_message(fit(event))
    assert sent.ByteSize() < 16 * 1024
    assert gate_pb2.OutpostEvent.FromString(sent.SerializeToString()) == sent
    assert fit(fit(event)) == fit(event)
