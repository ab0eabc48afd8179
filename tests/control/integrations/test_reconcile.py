"""Reconciling: what is done, what is left when something fails, and what whoever asked is told."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from control.integrations.model import (
    Action,
    Cancelled,
    Condition,
    Found,
    Key,
    Remove,
    Replace,
    Report,
    Said,
    TargetAway,
    Wanted,
)
from control.integrations.reconcile import Outcome, as_json, dry_run, owner_of, reconcile
from tests.support.model_engine import ModelEngine, as_found

ONE, TWO, OTHER = UUID(int=1), UUID(int=2), UUID(int=3)


def quiet(_: Said) -> None:
    """Nobody follows."""


def wanted(name: str = "a", owner: UUID = ONE, **fields: Any) -> Wanted:
    given = {"spec": {"image": "1"}, "in_place": frozenset({"name"}), **fields}
    return Wanted(key=Key(owner=owner, component=name), name=f"{name}-{owner.int}", **given)


def engine(*objects: Found) -> ModelEngine:
    return ModelEngine(objects=[*objects])


def run(target: ModelEngine, *desired: Wanted, holds: Callable[[Action], bool] = lambda _: False) -> Outcome:
    return reconcile(target, desired, frozenset({ONE, TWO}), quiet, holds)


def test_what_was_done_is_told_in_order() -> None:
    target = engine(as_found(wanted("old"), "9"))
    outcome = run(target, wanted("b", order=2), wanted("a", order=1))
    assert list(outcome.applied) == target.applied
    assert [each["action"] + " " + each["name"] for each in as_json(outcome.applied)] == [
        "create a-1",
        "create b-1",
        "remove old-1",
    ]
    assert run(target, wanted("b"), wanted("a")) == Outcome()


def test_after_a_failure_the_rest_of_that_owner_is_left_and_others_are_not() -> None:
    leaving = [as_found(wanted("old", owner), f"old-{owner.int}") for owner in (ONE, TWO)]
    target = engine(*leaving)
    target.refuses = lambda action: owner_of(action) == ONE
    outcome = run(target, wanted("a"), wanted("b"), wanted("a", TWO))
    assert [(each.code, each.detail, each.restored) for each in outcome.failed] == [("refused", "by the test", False)]
    assert [owner_of(each) for each in outcome.applied] == [TWO, TWO]
    assert target.objects == [leaving[0], as_found(wanted("a", TWO), "made-1")]


def test_what_is_held_is_left_and_what_follows_is_done() -> None:
    old = replace(as_found(wanted("a"), "1"), spec={"image": "0"}, fingerprint="before")
    target = engine(old)
    outcome = run(target, wanted("a"), wanted("b"), holds=lambda action: isinstance(action, Replace))
    assert [each["action"] for each in as_json(outcome.applied)] == ["create"]
    assert (outcome.failed, target.objects[0]) == ((), old)


def test_what_starts_is_worth_another_look_soon() -> None:
    target = engine(as_found(wanted(), "1", Condition.STARTING))
    assert run(target, wanted()).retry_after == timedelta(seconds=30)
    target.objects[0] = replace(target.objects[0], condition=Condition.RUNNING)
    assert run(target, wanted()).retry_after is None


def test_where_nothing_is_to_be_done_one_look_is_enough() -> None:
    looks: list[frozenset[UUID]] = []

    class Watched(ModelEngine):
        def observe(self, owners: frozenset[UUID]) -> tuple[Found, ...]:
            looks.append(owners)
            return ModelEngine.observe(self, owners)

    assert run(Watched(objects=[as_found(wanted(), "1")]), wanted()) == Outcome()
    assert looks == [frozenset({ONE, TWO})]


def test_objects_of_others_are_nobodys_business_whatever_a_target_tells() -> None:
    class Talkative(ModelEngine):
        def observe(self, owners: frozenset[UUID]) -> tuple[Found, ...]:  # noqa: ARG002 - tells of all
            return tuple(self.objects)

    theirs = as_found(wanted("x", OTHER), "9")
    target = Talkative(objects=[theirs])
    assert dry_run(target, [], frozenset({ONE})) == ()
    run(target, wanted())
    assert theirs in target.objects


def test_an_owner_of_what_is_wanted_is_looked_at_though_nobody_named_him() -> None:
    assert dry_run(engine(as_found(wanted(owner=OTHER), "1")), [wanted(owner=OTHER)], frozenset()) == ()


@pytest.mark.parametrize("error", [TargetAway("engine_away", "gone"), Cancelled()])
def test_who_is_away_or_no_longer_asks_ends_it(error: Exception) -> None:
    class Interrupted(ModelEngine):
        def apply(self, action: Action, report: Report) -> None:  # noqa: ARG002 - whatever it is
            raise error

    with pytest.raises(type(error)):
        run(Interrupted(), wanted())


def test_a_dry_run_does_nothing() -> None:
    old = replace(as_found(wanted("a"), "1", Condition.STOPPED), name="other")
    target = engine(old, as_found(wanted("gone"), "2"))
    told = as_json(dry_run(target, [wanted("a"), wanted("b")], frozenset({ONE})))
    assert [(each["action"], each["component"], each["name"], each["beside"]) for each in told] == [
        ("change", "a", "a-1", False),
        ("revive", "a", "a-1", False),
        ("create", "b", "b-1", False),
        ("remove", "gone", "gone-1", False),
    ]
    assert told[0]["differences"] == [{"path": "name", "wanted": "a-1", "found": "other"}]
    assert target.applied == []


def test_whether_something_serves_meanwhile_is_told() -> None:
    old = replace(as_found(wanted("a"), "1"), spec={"image": "0"}, fingerprint="before")
    for is_exclusive in (True, False):
        (told,) = as_json(dry_run(engine(old), [wanted("a", exclusive=is_exclusive)], frozenset({ONE})))
        assert (told["action"], told["beside"]) == ("replace", not is_exclusive)
        assert told["differences"] == [{"path": "image", "wanted": "1", "found": "0"}]


def test_whose_an_action_is() -> None:
    assert owner_of(Remove(found=as_found(wanted(owner=TWO)))) == TWO
