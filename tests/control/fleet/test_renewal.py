"""Facts that are renewed are what reading everything would give, whatever was done meanwhile."""

import random
from dataclasses import fields, replace
from datetime import timedelta

import pytest

from control.fleet import renewal
from control.fleet.renewal import renew_facts
from control.fleet.snapshot import Facts, read_facts
from control.store import Store, Unit, recent
from tests.support import builders
from tests.support.databases import SQLITE
from tests.support.fleet import add_site, deploy
from tests.support.mutations import act
from tests.support.stores import ADMIN, Clock


def differing(one: Facts, other: Facts) -> list[str]:
    """The fields that differ, beside the time."""
    return [
        field.name
        for field in fields(Facts)
        if field.name != "at" and getattr(one, field.name) != getattr(other, field.name)
    ]


def read(store: Store) -> Facts:
    with store.read() as unit:
        return read_facts(unit)


def renew(store: Store, known: Facts) -> Facts:
    with store.read() as unit:
        return renew_facts(unit, known)


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """How often everything was read after all."""
    read_all: list[None] = []

    def counted(unit: Unit) -> Facts:
        read_all.append(None)
        return read_facts(unit)

    monkeypatch.setattr(renewal, "read_facts", counted)
    return read_all


@pytest.mark.parametrize("seed", range(4))
def test_renewed_facts_are_those_that_reading_everything_gives(
    store: Store, database_kind: str, often: list[None], seed: int
) -> None:
    dice = random.Random(seed)
    # What PostgreSQL could do otherwise is how rows are read, which shows early; the ways there are SQLite's to try.
    steps = 300 if database_kind == SQLITE else 120
    deploy(store)
    known = lagging = read(store)
    for step in range(steps):
        act(store, dice)
        known = renew(store, known)
        whole = read(store)
        assert differing(known, whole) == [], step
        if step % 7 == 0:
            # Somebody who was busy meanwhile.
            lagging = renew(store, lagging)
            assert differing(lagging, whole) == [], step
    assert not often
    # A good part of it could be done.
    assert known.revision > steps / 4


def test_what_is_as_before_is_the_same_object(store: Store) -> None:
    deploy(store, sites=("wiki", "blog"))
    known = read(store)
    with store.write(ADMIN) as unit:
        unit.users.add(builders.user())
    renewed = renew(store, known)
    assert renewed.revision == known.revision + 1
    groups = [field.name for field in fields(Facts) if isinstance(getattr(known, field.name), dict)]
    assert [group for group in groups if getattr(renewed, group) is not getattr(known, group)] == ["newest_tokens"]
    with store.write(ADMIN) as unit:
        wiki = unit.proxy_providers.get_named("wiki")
        unit.proxy_providers.update(replace(wiki, external_host="https://other.example.com"))
    again = renew(store, renewed)
    assert again.applications is renewed.applications
    assert [key for key in again.providers if again.providers[key] is not renewed.providers[key]] == [wiki.id]


def test_who_is_too_far_behind_reads_everything(
    store: Store, often: list[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent, "KEPT", 3)
    deploy(store)
    known = read(store)
    for username in "abcdef":
        with store.write(ADMIN) as unit:
            unit.users.add(builders.user(username))
    assert differing(renew(store, known), read(store)) == []
    assert len(often) == 1


def test_who_misses_a_great_deal_reads_everything(
    store: Store, often: list[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent, "MOST", 3)
    deploy(store)
    known = read(store)
    with store.write(ADMIN) as unit:
        for number in range(5):
            add_site(unit, f"site{number}")
    renewed = renew(store, known)
    assert differing(renewed, read(store)) == []
    assert len(often) == 1
    # And goes on with what it has.
    assert all(renewed.outposts[key] is each for key, each in known.outposts.items())


def test_what_has_run_out_is_dropped_when_everything_is_read(store: Store, clock: Clock) -> None:
    deploy(store)
    with store.write(ADMIN) as unit:
        alice = unit.users.add(builders.user())
        unit.users.update(replace(alice, active=False))
    known = read(store)
    assert len(known.revocations) == 1
    clock.advance(days=2)
    assert len(renew(store, known).revocations) == 1
    assert renewal.keep_same(known, read(store)).revocations == {}
    clock.advance(days=-2)
    assert timedelta() < next(iter(known.revocations.values())).until - clock.now
