"""What a worker counts: once per like happening, bounded whatever strangers do, and told in words that harm nobody."""

import itertools
import uuid
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.gate import Event, EventAction
from dataplane.ledger import (
    LUMPED,
    MAX_ENTRIES,
    MAX_MISCONFIGURED,
    MAX_OF_PERSON,
    MAX_OF_STRANGERS,
    MAX_TEXT,
    QUIET,
    Happening,
    Ledger,
    printable,
)
from tests.dataplane.protocols.proxy.builders import NOW, Clock

ALICE = Happening(
    action=EventAction.ADMITTED, provider="wiki", subject="u1", username="alice", client_address="192.0.2.7"
)


def ledger(clock: Clock | None = None) -> Ledger:
    numbers = itertools.count(1)
    return Ledger(clock or Clock(), lambda size: next(numbers).to_bytes(size, "big"))


def test_like_happenings_are_one_event() -> None:
    subject, clock = ledger(), Clock()
    subject = ledger(clock)
    subject.record(ALICE, "r1")
    clock.now += 5
    subject.record(ALICE, "r2")
    assert subject.untold == 2
    subject.record(Happening(action=EventAction.SIGNED_OUT, provider="wiki", subject="u1"), "r3")
    clock.now += 5
    first, second = subject.take()
    assert (first.action, first.count, first.at, first.request_id) == (EventAction.ADMITTED, 2, NOW + 5, "")
    assert (first.username, first.client_address) == ("alice", "192.0.2.7")
    assert (second.action, second.count, second.request_id) == (EventAction.SIGNED_OUT, 1, "r3")
    assert uuid.UUID(first.id).version == uuid.UUID(second.id).version == 4
    assert first.id != second.id
    assert (subject.take(), subject.untold) == ((), 0)


def test_an_entry_is_counted_without_the_time() -> None:
    clock = Clock()
    subject = ledger(clock)
    subject.entry(ALICE).count += 41
    subject.entry(ALICE).count += 1
    clock.now += 60
    (event,) = subject.take()
    assert (event.count, event.at) == (42, NOW + 60)


def test_what_nobody_added_to_is_no_event() -> None:
    subject = ledger()
    subject.entry(ALICE)
    assert subject.take() == ()


@pytest.mark.parametrize(("subject_id", "most"), [("u{}", MAX_ENTRIES), ("", MAX_OF_STRANGERS)])
def test_ever_new_addresses_are_lumped_together(subject_id: str, most: int) -> None:
    subject = ledger()
    for number in range(most + 500):
        address, person = f"2001:db8::{number:x}", subject_id.format(number)
        who = Happening(action=EventAction.TURNED_AWAY, provider="wiki", subject=person, client_address=address)
        subject.record(who)
    *told, last = subject.take()
    assert len(told) == most
    assert (last.count, last.reason, last.provider, last.client_address) == (500, LUMPED, "wiki", "")
    # And the next minute begins anew.
    subject.record(ALICE)
    assert [event.username for event in subject.take()] == ["alice"]


def test_nobody_hides_others_or_himself_behind_many_addresses() -> None:
    subject = ledger()
    bob = replace(ALICE, subject="u2", username="bob")
    for _ in range(2):
        for number in range(MAX_ENTRIES + 500):
            subject.record(replace(ALICE, client_address=f"2001:db8::{number:x}"))
        subject.record(bob)
        subject.record(replace(ALICE, client_address="2001:db8::0"))
        *told, lumped, of_bob = subject.take()
        assert len(told) == MAX_OF_PERSON
        assert (told[0].count, lumped.count, of_bob.count) == (2, MAX_ENTRIES + 500 - MAX_OF_PERSON, 1)
        assert (lumped.username, lumped.subject, lumped.client_address) == ("alice", "u1", "")
        assert (lumped.action, lumped.provider, lumped.reason) == (EventAction.ADMITTED, "wiki", LUMPED)
        assert (of_bob.username, of_bob.client_address) == ("bob", "192.0.2.7")


def test_cycling_hosts_costs_few_events_an_hour() -> None:
    clock = Clock()
    subject = ledger(clock)
    events: list[Event] = []
    for minute in range(60):
        for number in range(100):
            subject.record(Happening(action=EventAction.MISCONFIGURED, reason=f"no host h{minute}-{number}"))
        clock.now += QUIET / 60 - 0.01
        events += subject.take()
    assert len(events) == MAX_MISCONFIGURED + 1
    assert events[-1].reason == LUMPED
    clock.now += QUIET
    rest = subject.take_all()
    assert sum(event.count for event in [*events, *rest]) == 6000


def test_what_stays_configured_wrongly_is_told_of_once_an_hour_with_its_count() -> None:
    clock = Clock()
    subject = ledger(clock)
    wrong = Happening(action=EventAction.MISCONFIGURED, reason="no application has the host x")
    counts = []
    for _ in range(61):
        subject.record(wrong)
        counts += [event.count for event in subject.take()]
        clock.now += 60
    assert counts == [1, 60]


def test_at_the_end_nothing_waits() -> None:
    subject = ledger()
    wrong = Happening(action=EventAction.MISCONFIGURED, reason="no application has the host x")
    subject.record(wrong)
    assert len(subject.take()) == 1
    subject.record(wrong)
    assert subject.take() == ()
    assert [event.count for event in subject.take_all()] == [1]


@pytest.mark.parametrize("field", ["username", "client_address", "reason", "subject"])
def test_what_strangers_say_is_cut_before_it_is_kept(field: str) -> None:
    subject = ledger()
    long = Happening(action=EventAction.TURNED_AWAY, **{field: "x" * 30_000})
    assert len(getattr(subject.entry(long).happening, field)) == MAX_TEXT
    # The same again is the same again.
    subject.record(long)
    subject.record(long)
    (event,) = subject.take()
    assert event.count == 2


def test_names_can_not_forge_lines() -> None:
    subject = ledger()
    forged = 'eve\r\n{"event": "signed in"}\x1b[2J\x00\u202e\ud800'
    subject.record(Happening(action=EventAction.TURNED_AWAY, username=forged, reason=forged, client_address=forged))
    (event,) = subject.take()
    for text in (event.username, event.reason, event.client_address):
        assert text.isprintable()
        assert text.startswith("eve")
        text.encode()


@given(st.text(alphabet=st.characters(codec=None)))
def test_whatever_is_typed_can_be_shown(text: str) -> None:
    shown = printable(text)
    assert len(shown) == len(text)
    assert shown.isprintable()
    shown.encode()
