"""What the last revisions changed, for whoever keeps the database in memory."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from control.domain.identity import User
from control.store import Store
from control.store import recent as module
from control.store.recent import Mark
from tests.support import builders
from tests.support.stores import ADMIN


def mark(store: Store) -> Mark:
    with store.read() as unit:
        found = unit.recent.find_mark()
    assert found is not None
    return found


def since(store: Store, known: Mark) -> Mapping[str, frozenset[str]] | None:
    with store.read() as unit:
        return unit.recent.find_since(known)


def add(store: Store, *names: str) -> list[User]:
    with store.write(ADMIN) as unit:
        return [unit.users.add(builders.user(name)) for name in names]


def test_before_anything_was_written_there_is_no_mark(store: Store) -> None:
    with store.read() as unit:
        assert unit.recent.find_mark() is None


def test_what_changed_since_is_told_by_kind(store: Store) -> None:
    (alice,) = add(store, "alice")
    known = mark(store)
    assert since(store, known) == {}
    (bob,) = add(store, "bob")
    with store.write(ADMIN) as unit:
        provider = unit.providers.add(builders.provider())
        unit.users.remove(alice)
    assert since(store, known) == {
        "user": frozenset({str(alice.id), str(bob.id)}),
        "provider": frozenset({str(provider.id)}),
        # Of the one who is gone.
        "revocation": frozenset(str(each) for each in revocations(store)),
    }


def revocations(store: Store) -> list[object]:
    with store.read() as unit:
        return [each.id for each in unit.revocations.all()]


def test_many_of_a_kind_are_not_told_one_by_one(store: Store) -> None:
    known = mark_after_something(store)
    add(store, *(f"u{number}" for number in range(module.MOST + 1)))
    assert since(store, known) == {"user": frozenset({module.MANY})}


def mark_after_something(store: Store) -> Mark:
    add(store, "somebody")
    return mark(store)


def test_who_is_too_far_behind_is_not_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 5)
    known = mark_after_something(store)
    with store.read() as unit:
        revision = unit.revision()
    assert known.revision == revision
    users = add(store, "alice")
    for number in range(module.KEPT):
        with store.write(ADMIN) as unit:
            unit.users.update(replace(users[0], name=str(number)))
    assert since(store, known) is None
    with store.read() as unit:
        assert unit.recent.find_since(mark(store)) == {}


def test_another_history_with_the_same_numbers_is_another(store: Store) -> None:
    known = mark_after_something(store)
    assert since(store, replace(known, unit="of a database that was restored")) is None
    assert since(store, replace(known, revision=known.revision + 5)) is None


def test_a_unit_that_fails_leaves_no_mark(store: Store) -> None:
    known = mark_after_something(store)
    with pytest.raises(ZeroDivisionError), store.write(ADMIN) as unit:
        unit.users.add(builders.user("alice"))
        _ = 1 / 0
    assert since(store, known) == {}
    assert mark(store) == known
