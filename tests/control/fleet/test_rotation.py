"""Rotation of tokens: by button, by schedule, and what is left to do."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from control.domain.errors import NotFound
from control.domain.outpost import Instance, InstanceState, Outpost, Token
from control.fleet.rotation import (
    TokenStatus,
    keep_rotating,
    retire_tokens,
    rotate_token,
    rotation_period,
    token_status,
)
from control.fleet.tokens import TokenState, ensure_embedded, get_token, replace_token, revoke_token, token_state
from control.store import Store, Unit
from tests.support import builders
from tests.support.fleet import Deployed, add_outpost, deploy
from tests.support.stores import ADMIN, Clock


@pytest.fixture
def deployed(store: Store) -> Deployed:
    return deploy(store)


def rotate(store: Store, outpost: Outpost) -> Token:
    with store.write(ADMIN) as unit:
        return rotate_token(unit, outpost)


def status(store: Store, outpost: Outpost) -> TokenStatus:
    with store.read() as unit:
        return token_status(unit, outpost)


def keep(store: Store) -> None:
    with store.write(ADMIN) as unit:
        keep_rotating(unit)


def seen(unit: Unit, outpost: Outpost, **fields: Any) -> Instance:
    """An instance as the link would have written it."""
    defaults = {"id": uuid4(), "uid": uuid4().hex, "state": InstanceState.CONNECTED, "last_seen": unit.now}
    instance = Instance(outpost=outpost.id, **{**defaults, **fields})
    unit.instances.save([instance])
    return instance


def test_a_new_token_stands_beside_the_old(store: Store, deployed: Deployed) -> None:
    new = rotate(store, deployed.outpost)
    found = status(store, deployed.outpost)
    assert (found.current, [token.id for token in found.retiring]) == (new, [deployed.token.id])
    assert new.identifier == deployed.token.identifier
    with store.read() as unit:
        assert get_token(unit, deployed.outpost) == new
        assert {token_state(token, unit.now) for token in unit.tokens.all()} == {TokenState.VALID}


def test_the_newest_is_the_newest_whatever_the_clock_says(store: Store, deployed: Deployed, clock: Clock) -> None:
    made = []
    for minutes in (0, -5, 0):
        clock.advance(minutes=minutes)
        made.append(rotate(store, deployed.outpost))
        assert status(store, deployed.outpost).current == made[-1]
    found = status(store, deployed.outpost)
    assert [token.id for token in found.retiring] == [made[1].id, made[0].id, deployed.token.id]


def test_retiring_leaves_the_newest_alone(store: Store, deployed: Deployed) -> None:
    rotate(store, deployed.outpost)
    new = rotate(store, deployed.outpost)
    with store.write(ADMIN) as unit:
        assert len(retire_tokens(unit, deployed.outpost)) == 2
        assert retire_tokens(unit, deployed.outpost) == ()
        assert token_status(unit, deployed.outpost).retiring == ()
        assert get_token(unit, deployed.outpost) == new


def test_a_replaced_token_leaves_no_older_one_valid(store: Store, deployed: Deployed) -> None:
    rotate(store, deployed.outpost)
    with store.write(ADMIN) as unit:
        new = replace_token(unit, deployed.outpost)
    assert status(store, deployed.outpost) == TokenStatus(current=new, retiring=(), holdouts=(), rotates=None)


def test_without_a_token_there_is_no_status(store: Store, deployed: Deployed) -> None:
    with store.write(ADMIN) as unit:
        revoke_token(unit, deployed.token)
        with pytest.raises(NotFound, match="no token 'edge'"):
            token_status(unit, deployed.outpost)


def test_rotation_and_retirement_are_audited_and_tell_no_secret(store: Store, deployed: Deployed) -> None:
    new = rotate(store, deployed.outpost)
    with store.write(ADMIN) as unit:
        retire_tokens(unit, deployed.outpost)
    with store.read() as unit:
        events = unit.audit.all()
    told = [(each.actor, each.action, each.name) for each in events if each.action.startswith("token")]
    assert sorted(told) == [("akadmin", "token rotated", "edge"), ("akadmin", "tokens retired", "edge")]
    assert not any(secret in repr(events) for secret in (new.secret, deployed.token.secret))


def by_hand(unit: Unit) -> Outpost:
    return add_outpost(unit, "edge").outpost


def on_an_engine(unit: Unit) -> Outpost:
    return add_outpost(unit, "edge", integration=unit.integrations.add(builders.integration()).id).outpost


@pytest.mark.parametrize(
    ("environment", "held", "holds_out"),
    [("old", "", True), ("old", "old", True), ("old", "new", True), ("new", "", False), ("new", "old", False)],
)
@pytest.mark.parametrize("make", [by_hand, ensure_embedded, on_an_engine])
def test_who_holds_out(
    store: Store, environment: str, held: str, make: Callable[[Unit], Outpost], *, holds_out: bool
) -> None:
    """A managed one whose state has the new token gets it into its environment with its next start."""
    managed = make is not by_hand
    with store.write(ADMIN) as unit:
        outpost = make(unit)
        old = get_token(unit, outpost)
        new = rotate_token(unit, outpost)
        names = {"": "", "old": old.fingerprint, "new": new.fingerprint}
        instance = seen(unit, outpost, environment_token=names[environment], held_token=names[held])
        expected = holds_out and not (managed and held == "new")
        assert token_status(unit, outpost).holdouts == ((instance,) if expected else ())


def test_who_holds_out_is_listed_after_the_old_token_was_retired_too(store: Store, deployed: Deployed) -> None:
    """It lives on what lies in its state: without that it would be locked out."""
    rotate(store, deployed.outpost)
    with store.write(ADMIN) as unit:
        instance = seen(unit, deployed.outpost, environment_token=deployed.token.fingerprint)
        retire_tokens(unit, deployed.outpost)
        assert token_status(unit, deployed.outpost).holdouts == (instance,)


@pytest.mark.parametrize(("days", "listed"), [(6.9, True), (7.1, False)])
def test_who_has_been_away_for_a_week_holds_out_no_more(
    store: Store, deployed: Deployed, clock: Clock, days: float, *, listed: bool
) -> None:
    rotate(store, deployed.outpost)
    with store.write(ADMIN) as unit:
        old = deployed.token.fingerprint
        seen(unit, deployed.outpost, state=InstanceState.DISCONNECTED, environment_token=old)
    clock.advance(days=days)
    assert bool(status(store, deployed.outpost).holdouts) == listed


PERIODS = [
    ({}, False, None),
    ({}, True, timedelta(days=30)),
    ({"garrison_token_rotation": ""}, True, None),
    ({"garrison_token_rotation": "days=7"}, True, timedelta(days=7)),
    ({"garrison_token_rotation": "days=7"}, False, timedelta(days=7)),
    ({"garrison_token_rotation": "seconds=1"}, False, timedelta(hours=1)),
    ({"no_such_option": 1}, True, None),
]


@pytest.mark.parametrize("managed", [{"embedded": True}, {"integration": uuid4()}])
@pytest.mark.parametrize(("config", "is_managed", "period"), PERIODS)
def test_how_often(
    deployed: Deployed,
    config: dict[str, object],
    period: timedelta | None,
    managed: dict[str, Any],
    *,
    is_managed: bool,
) -> None:
    fields = managed if is_managed else {}
    assert rotation_period(replace(deployed.outpost, config=config, **fields)) == period


def test_a_schedule_rotates_once_the_token_is_old_enough(store: Store, clock: Clock) -> None:
    deployed = deploy(store, config={"garrison_token_rotation": "days=30"})
    assert status(store, deployed.outpost).rotates == clock.now + timedelta(days=30)
    clock.advance(days=30, microseconds=-1)
    keep(store)
    assert status(store, deployed.outpost).current.id == deployed.token.id
    clock.advance(microseconds=1)
    keep(store)
    found = status(store, deployed.outpost)
    assert ([token.id for token in found.retiring], found.rotates) == (
        [deployed.token.id],
        clock.now + timedelta(days=30),
    )


def test_a_schedule_waits_for_the_admin_to_retire_the_old_token(store: Store, clock: Clock) -> None:
    deployed = deploy(store, config={"garrison_token_rotation": "days=30"})
    clock.advance(days=31)
    keep(store)
    clock.advance(days=31)
    keep(store)
    found = status(store, deployed.outpost)
    assert (len(found.retiring), found.rotates) == (1, clock.now)
    with store.write(ADMIN) as unit:
        retire_tokens(unit, deployed.outpost)
    keep(store)
    assert status(store, deployed.outpost).current != found.current


def test_without_a_schedule_nothing_rotates(store: Store, deployed: Deployed, clock: Clock) -> None:
    clock.advance(days=3000)
    keep(store)
    assert status(store, deployed.outpost) == TokenStatus(
        current=deployed.token, retiring=(), holdouts=(), rotates=None
    )


def test_a_revoked_token_is_not_followed_by_another(store: Store, clock: Clock) -> None:
    deployed = deploy(store, config={"garrison_token_rotation": "days=1"})
    with store.write(ADMIN) as unit:
        revoke_token(unit, deployed.token)
    clock.advance(days=5)
    keep(store)
    with store.read() as unit:
        assert len(unit.tokens.all()) == 1


@pytest.mark.parametrize("make", [ensure_embedded, on_an_engine])
def test_a_managed_outpost_retires_its_old_token_once_nobody_needs_it(
    store: Store, clock: Clock, make: Callable[[Unit], Outpost]
) -> None:
    with store.write(ADMIN) as unit:
        outpost = make(unit)
        old = get_token(unit, outpost)
        instance = seen(unit, outpost, environment_token=old.fingerprint)
    clock.advance(days=30)
    keep(store)
    keep(store)
    found = status(store, outpost)
    assert ([token.id for token in found.retiring], len(found.holdouts)) == ([old.id], 1)
    with store.write(ADMIN) as unit:
        unit.instances.save([replace(instance, held_token=found.current.fingerprint, last_seen=unit.now)])
    keep(store)
    assert status(store, outpost).retiring == ()
    assert status(store, outpost).current == found.current


def test_two_processes_rotate_once(store: Store, clock: Clock) -> None:
    deployed = deploy(store, config={"garrison_token_rotation": "days=1"})
    clock.advance(days=2)
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(keep, store) for _ in range(4)]:
            done.result()
    assert len(status(store, deployed.outpost).retiring) == 1
