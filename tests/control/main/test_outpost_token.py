"""When an outpost of this machine is started anew for its token, and when a rotation leaves it alone."""

from pathlib import Path
from uuid import uuid4

import pytest

from control.domain.outpost import Instance, InstanceState, Outpost, Token
from control.fleet.rotation import retire_tokens, rotate_token
from control.fleet.tokens import ensure_embedded, get_token, replace_token, revoke_token
from control.main.outpost_token import OutpostToken, find_embedded
from control.store import Store
from tests.support.stores import ADMIN

UID = "5b0c"


@pytest.fixture
def embedded(store: Store) -> Outpost:
    with store.write(ADMIN) as unit:
        return ensure_embedded(unit)


@pytest.fixture
def front_door(store: Store, tmp_path: Path) -> OutpostToken:
    (tmp_path / "instance").write_text(f"{UID}\n")
    return OutpostToken(store, tmp_path, find_embedded)


def rotate(store: Store, embedded: Outpost) -> Token:
    with store.write(ADMIN) as unit:
        return rotate_token(unit, embedded)


def retire(store: Store, embedded: Outpost) -> None:
    with store.write(ADMIN) as unit:
        retire_tokens(unit, embedded)


def holds(store: Store, embedded: Outpost, token: Token, uid: str = UID) -> None:
    """The link was told that the token lies in the state."""
    with store.write(ADMIN) as unit:
        known = next((each.id for each in unit.instances.of_outpost(embedded.id) if each.uid == uid), uuid4())
        instance = Instance(
            id=known,
            outpost=embedded.id,
            uid=uid,
            state=InstanceState.CONNECTED,
            last_seen=unit.now,
            held_token=token.fingerprint,
        )
        unit.instances.save([instance])


def test_each_start_gets_the_newest(store: Store, embedded: Outpost, front_door: OutpostToken) -> None:
    with store.read() as unit:
        assert front_door.take() == get_token(unit, embedded).secret
    new = rotate(store, embedded)
    assert front_door.take() == new.secret


def test_a_rotation_starts_nothing_anew(store: Store, embedded: Outpost, front_door: OutpostToken) -> None:
    before = front_door.version()
    front_door.take()
    for _ in range(3):
        token = rotate(store, embedded)
        assert front_door.version() == before
        holds(store, embedded, token)
        retire(store, embedded)
        assert front_door.version() == before


def test_a_start_for_another_reason_is_no_reason_for_one_more(
    store: Store, embedded: Outpost, front_door: OutpostToken
) -> None:
    front_door.take()
    before = front_door.version()
    rotate(store, embedded)
    front_door.take()
    assert front_door.version() == before
    retire(store, embedded)
    assert front_door.version() == before


def test_who_missed_the_rotation_is_started_anew_once(
    store: Store, embedded: Outpost, front_door: OutpostToken
) -> None:
    front_door.take()
    before = front_door.version()
    rotate(store, embedded)
    retire(store, embedded)
    missed = front_door.version()
    assert missed != before
    front_door.take()
    assert front_door.version() == missed


def test_that_another_front_door_holds_the_token_is_no_help(
    store: Store, embedded: Outpost, front_door: OutpostToken
) -> None:
    front_door.take()
    before = front_door.version()
    holds(store, embedded, rotate(store, embedded), uid="another")
    retire(store, embedded)
    assert front_door.version() != before


def test_a_replaced_token_starts_it_anew_though_it_held_one(
    store: Store, embedded: Outpost, front_door: OutpostToken
) -> None:
    front_door.take()
    before = front_door.version()
    holds(store, embedded, rotate(store, embedded))
    with store.write(ADMIN) as unit:
        new = replace_token(unit, embedded)
    assert front_door.version() not in {before, ""}
    assert front_door.take() == new.secret


def test_without_any_token_it_is_left_alone_until_there_is_one(
    store: Store, embedded: Outpost, front_door: OutpostToken
) -> None:
    front_door.take()
    before = front_door.version()
    with store.write(ADMIN) as unit:
        revoke_token(unit, get_token(unit, embedded))
    assert (front_door.version(), front_door.take()) == (before, None)
    rotate(store, embedded)
    assert front_door.version() != before


def test_before_there_is_an_embedded_outpost(store: Store, tmp_path: Path) -> None:
    front_door = OutpostToken(store, tmp_path / "none", find_embedded)
    assert (front_door.take(), front_door.version()) == (None, "")
