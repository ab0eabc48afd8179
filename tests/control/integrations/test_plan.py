"""Plans: nothing where all is as wanted, the least otherwise, and never anything of others."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.integrations.model import Change, Condition, Create, Found, Key, Remove, Replace, Revive, Wanted
from control.integrations.plan import plan
from control.integrations.reconcile import reconcile
from tests.support.model_engine import ModelEngine, as_found

MINE, THEIRS = UUID(int=1), UUID(int=2)
SPEC: dict[str, Any] = {"image": "i:1", "env": {"A": "1"}}


def wanted(component: str = "outpost", /, owner: UUID = MINE, **fields: Any) -> Wanted:
    given = {"name": component, "spec": SPEC, "in_place": frozenset({"name"}), **fields}
    return Wanted(key=Key(owner=owner, component=component), **given)


def found(key: str = "1", /, **fields: Any) -> Found:
    return replace(as_found(wanted(), key), **fields)


def differing(key: str = "1", /, **fields: Any) -> Found:
    return found(key, spec={**SPEC, "image": "i:0"}, fingerprint="before", **fields)


def done(observed: list[Found], *desired: Wanted, can_run_beside: bool = True) -> list[str]:
    """The plan in short: what is done to which object."""
    actions = plan(desired or [wanted()], observed, can_run_beside=can_run_beside)
    return [short(action) for action in actions]


def short(action: object) -> str:
    match action:
        case Create(wanted=wish):
            return f"create {wish.name}"
        case Change(found=there) | Revive(found=there) | Remove(found=there):
            return f"{type(action).__name__.lower()} {there.id}"
        case Replace(found=there, beside=beside):
            return f"replace {there.id}" + (" beside" if beside else "")
        case _:
            raise AssertionError(action)


STARTING, UNHEALTHY, STOPPED = Condition.STARTING, Condition.UNHEALTHY, Condition.STOPPED


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        ([], ["create outpost"]),
        ([found()], []),
        ([found(condition=STARTING)], []),
        ([found(condition=STOPPED)], ["revive 1"]),
        ([found(condition=UNHEALTHY)], ["revive 1"]),
        ([found(name="other")], ["change 1"]),
        ([found(name="other", condition=STOPPED)], ["change 1", "revive 1"]),
        ([found(fingerprint="")], ["replace 1 beside"]),
        ([found(name="other", fingerprint="before")], ["replace 1 beside"]),
        ([differing()], ["replace 1 beside"]),
        ([differing(condition=STOPPED)], ["replace 1 beside"]),
        # A copy by hand.
        ([found("1"), found("2", name="copy")], ["remove 2"]),
        ([found("1", condition=STOPPED), found("2", name="copy")], ["remove 1", "change 2"]),
        ([found("1", condition=STOPPED), found("2", name="copy", condition=STOPPED)], ["remove 2", "revive 1"]),
        # A replacement beside the old one that ended before, and after, the new one served.
        ([differing("1"), found("2", name="outpost-next", condition=STARTING)], ["remove 2", "replace 1 beside"]),
        ([differing("1"), found("2", name="outpost-next")], ["remove 1", "change 2"]),
        ([differing("1", name="outpost-old"), found("2", name="outpost-next")], ["remove 1", "change 2"]),
        ([differing("1", name="outpost-old"), found("2")], ["remove 1"]),
        # One that ended while nothing served: the old one is what there is to fall back to.
        ([differing("1", name="outpost-old", condition=STOPPED)], ["replace 1 beside"]),
        (
            [differing("1", name="outpost-old", condition=STOPPED), found("2", condition=STARTING)],
            ["remove 2", "replace 1 beside"],
        ),
        (
            [differing("1", name="outpost-old", condition=STOPPED), found("2", condition=UNHEALTHY)],
            ["remove 2", "replace 1 beside"],
        ),
        ([differing("1", name="outpost-old", condition=STOPPED), found("2")], ["remove 1"]),
    ],
)
def test_one_object(observed: list[Found], expected: list[str]) -> None:
    assert done(observed) == expected


@pytest.mark.parametrize(
    ("can_run_beside", "is_exclusive", "expected"),
    [(True, False, "replace 1 beside"), (True, True, "replace 1"), (False, False, "replace 1")],
)
def test_beside_where_both_can_be_there(can_run_beside: bool, is_exclusive: bool, expected: str) -> None:
    assert done([differing()], wanted(exclusive=is_exclusive), can_run_beside=can_run_beside) == [expected]


def test_without_renaming_another_name_is_another_object() -> None:
    assert done([found(name="other")], can_run_beside=False) == ["replace 1"]


def test_things_are_made_in_order_and_removed_in_the_opposite_one() -> None:
    first, second = wanted("first", order=1), wanted("second", order=2)
    gone = [as_found(wanted("third"), "3"), as_found(wanted("fourth"), "4")]
    assert done(gone, second, first) == ["create first", "create second", "remove 4", "remove 3"]
    assert [short(each) for each in plan([], gone, can_run_beside=True)] == ["remove 4", "remove 3"]


def test_what_has_the_name_that_is_wanted_goes_first() -> None:
    leaving = replace(as_found(wanted(owner=THEIRS), "9"), name="outpost")
    assert done([leaving]) == ["remove 9", "create outpost"]


KEYS = st.sampled_from([Key(owner=MINE, component=name) for name in ("a", "b", "c")])
SPECS = st.fixed_dictionaries(
    {"image": st.sampled_from(["1", "2"])},
    optional={"env": st.dictionaries(st.sampled_from("XY"), st.sampled_from("12")), "ports": st.just(["1"])},
)
OTHERS = [as_found(wanted(name, owner=THEIRS), f"theirs-{name}") for name in ("x", "y")]


@st.composite
def wishes(draw: st.DrawFn) -> list[Wanted]:
    keys = draw(st.sets(KEYS))
    return [
        Wanted(
            key=key,
            name=f"{key.component}-{draw(st.integers(1, 2))}",
            spec=draw(SPECS),
            in_place=frozenset(draw(st.sets(st.sampled_from(["name", "env", "image"])))),
            exclusive=draw(st.booleans()),
            order=draw(st.integers(0, 2)),
        )
        for key in sorted(keys)
    ]


@st.composite
def engines(draw: st.DrawFn) -> ModelEngine:
    """An engine that holds anything: copies, leftovers, what others made, in any condition."""
    keys = draw(st.lists(KEYS, max_size=5))
    objects = [
        Found(
            key=key,
            id=f"there-{place}",
            # No two have the same name; those of the same part have what is wanted and what isn't.
            name=f"{key.component}-{place + 1}",
            spec={**draw(SPECS), **draw(st.sampled_from([{}, {"image": "3"}, {"more": 1}]))},
            fingerprint=draw(st.sampled_from(["", "before"])),
            condition=draw(st.sampled_from(Condition)),
        )
        for place, key in enumerate(keys)
    ]
    return ModelEngine(can_run_beside=draw(st.booleans()), objects=[*OTHERS[:1], *objects, *OTHERS[1:]])


@given(wishes(), st.booleans())
def test_nothing_is_done_where_all_is_as_wanted(desired: list[Wanted], can_run_beside: bool) -> None:
    assert plan(desired, [as_found(each) for each in desired], can_run_beside=can_run_beside) == ()


@given(wishes(), engines())
def test_one_pass_leads_to_what_is_wanted_and_touches_nothing_of_others(
    desired: list[Wanted], engine: ModelEngine
) -> None:
    outcome = reconcile(engine, desired, frozenset({MINE}), lambda _: None)
    mine = engine.observe(frozenset({MINE}))
    assert outcome.failed == ()
    assert plan(desired, mine, can_run_beside=engine.can_run_beside) == ()
    assert sorted((each.key, each.name) for each in mine) == sorted((each.key, each.name) for each in desired)
    assert [each for each in engine.objects if each.key.owner == THEIRS] == OTHERS


@given(wishes(), engines(), st.integers(0, 6))
def test_whatever_ends_it_in_the_middle_the_next_pass_goes_on(
    desired: list[Wanted], engine: ModelEngine, most: int
) -> None:
    owners = frozenset({MINE})
    engine.refuses = lambda _: len(engine.applied) >= most
    reconcile(engine, desired, owners, lambda _: None)
    engine.refuses = lambda _: False
    assert reconcile(engine, desired, owners, lambda _: None).failed == ()
    assert plan(desired, engine.observe(owners), can_run_beside=engine.can_run_beside) == ()


@given(wishes(), engines(), st.integers(0, 6))
def test_what_serves_goes_only_when_something_else_serves_or_takes_its_place(
    desired: list[Wanted], engine: ModelEngine, most: int
) -> None:
    serving = {each.key for each in engine.objects if each.condition is Condition.RUNNING}
    engine.refuses = lambda _: len(engine.applied) >= most
    reconcile(engine, desired, frozenset({MINE}), lambda _: None)
    still = {each.key for each in engine.objects if each.condition is Condition.RUNNING}
    assert still >= serving & {each.key for each in desired}
