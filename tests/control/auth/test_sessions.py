"""Sessions of the control plane: what opens one, what ends it, and what a planted cookie is worth."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from control.auth import sessions
from control.auth.sessions import Origin
from control.domain.errors import NotFound
from control.domain.factors import Method
from control.domain.identity import User
from control.domain.security import SIGN_IN_LIFETIME, Revocation
from tests.support.auth import World
from tests.support.stores import ADMIN, Clock


def sign_in(world: World, user: User, replaced: str = "") -> sessions.OpenedSession:
    with world.store.write(ADMIN) as unit:
        return sessions.open_session(unit, user.id, Origin(address="192.0.2.1", user_agent="x" * 999), replaced)


def find(world: World, secret: str) -> sessions.Session | None:
    with world.store.read() as unit:
        return sessions.find_session(unit, secret)


def ended(world: World) -> list[Revocation]:
    with world.store.read() as unit:
        return [found for found in unit.revocations.live() if found.sign_in is not None]


def test_a_secret_opens_its_session_and_lies_hashed(world: World, clock: Clock) -> None:
    opened = sign_in(world, world.alice)
    session = find(world, opened.secret)
    assert session is not None
    assert (session.person.user, session.person.group_names) == (world.alice, ("staff",))
    assert session.sign_in.expires == clock.now + SIGN_IN_LIFETIME
    assert (session.sign_in.address, len(session.sign_in.user_agent)) == ("192.0.2.1", 300)
    assert len(opened.secret) == 43
    assert opened.secret not in repr(session)
    assert opened.secret not in repr(opened)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=80)
@given(st.text(max_size=120))
def test_a_made_up_secret_opens_nothing(world: World, secret: str) -> None:
    assert find(world, secret) is None


def test_a_changed_secret_opens_nothing(world: World) -> None:
    secret = sign_in(world, world.alice).secret
    for wrong in (secret[:-1], secret + "A", secret.swapcase(), " " + secret, sessions.fingerprint(secret)):
        assert find(world, wrong) is None


def test_ghsa_f24x_5g9q_753f_a_planted_session_is_worth_nothing_after_sign_in(world: World) -> None:
    planted = sign_in(world, world.bob)
    opened = sign_in(world, world.alice, replaced=planted.secret)
    assert opened.secret != planted.secret
    assert opened.sign_in.id != planted.sign_in.id
    assert find(world, planted.secret) is None
    assert [found.sign_in for found in ended(world)] == [planted.sign_in.id]


def test_the_same_person_again_gets_a_new_secret_for_the_same_session(world: World, clock: Clock) -> None:
    before = sign_in(world, world.alice)
    clock.advance(hours=1)
    after = sign_in(world, world.alice, replaced=before.secret)
    assert after.secret != before.secret
    assert find(world, before.secret) is None
    session = find(world, after.secret)
    assert session is not None
    assert (session.sign_in.id, session.sign_in.authenticated) == (before.sign_in.id, clock.now)
    assert ended(world) == [], "applications she has open stay open"


def test_a_made_up_replaced_secret_changes_nothing(world: World) -> None:
    other = sign_in(world, world.alice)
    sign_in(world, world.alice, replaced="made-up")
    assert find(world, other.secret) is not None


def test_a_session_ends_by_itself_and_is_swept_at_the_next_sign_in(world: World, clock: Clock) -> None:
    opened = sign_in(world, world.alice)
    clock.now = opened.sign_in.expires
    assert find(world, opened.secret) is None
    clock.advance(seconds=1)
    sign_in(world, world.bob)
    with world.store.read() as unit:
        assert unit.sign_ins.find(opened.sign_in.id) is None
    assert ended(world) == []


def test_signing_out_ends_one_session_or_all(world: World) -> None:
    first, second, other = sign_in(world, world.alice), sign_in(world, world.alice), sign_in(world, world.bob)
    with world.store.write(ADMIN) as unit:
        sessions.end_session(unit, first.sign_in.id)
        sessions.end_session(unit, first.sign_in.id)
    assert find(world, first.secret) is None
    assert find(world, second.secret) is not None
    with world.store.write(ADMIN) as unit:
        sessions.end_all_sessions(unit, world.alice.id)
    assert find(world, second.secret) is None
    assert find(world, other.secret) is not None
    assert {found.sign_in for found in ended(world)} == {first.sign_in.id, second.sign_in.id}


def test_a_session_is_ended_as_somebodys_only_if_it_is(world: World) -> None:
    mine, other = sign_in(world, world.alice), sign_in(world, world.bob)
    with world.store.write(ADMIN) as unit:
        for wrong in (other.sign_in.id, uuid4()):
            with pytest.raises(NotFound):
                sessions.end_session_of(unit, world.alice.id, wrong)
        sessions.end_session_of(unit, world.alice.id, mine.sign_in.id)
    assert find(world, mine.secret) is None
    assert find(world, other.secret) is not None


def test_signing_out_everywhere_ends_what_outlived_its_sign_in(world: World, clock: Clock) -> None:
    opened = sign_in(world, world.alice)
    clock.now = opened.sign_in.expires
    with world.store.write(ADMIN) as unit:
        unit.sign_ins.drop_expired()
        sessions.sign_out_everywhere(unit, world.alice.id)
    with world.store.read() as unit:
        assert [each.user for each in unit.revocations.live() if each.user and not each.changed] == [world.alice.id]
        newest = unit.audit.latest(1)[0]
    assert (newest.action, newest.kind, newest.name) == ("removed", "all sessions", "alice")


def test_living_sessions_are_found_by_whose_they_are_and_where_from(world: World, clock: Clock) -> None:
    first = sign_in(world, world.alice)
    clock.advance(minutes=5)
    second = sign_in(world, world.bob)
    found = {text: searched(world, text) for text in ("", "ALI", "192.0.2.1", "xxx", "100%", "nobody", "a\0")}
    ids = [second.sign_in.id, first.sign_in.id]
    assert found == {"": ids, "ALI": ids[1:], "192.0.2.1": ids, "xxx": ids, "100%": [], "nobody": [], "a\0": []}
    clock.now = first.sign_in.expires
    assert searched(world, "") == ids[:1]
    with world.store.write(ADMIN) as unit:
        unit.users.update(replace(world.bob, active=False))
    assert searched(world, "") == []


def test_of_many_sessions_a_page_is_read(world: World, clock: Clock) -> None:
    opened = []
    for _ in range(3):
        clock.advance(minutes=1)
        opened.append(sign_in(world, world.alice).sign_in.id)
    with world.store.read() as unit:
        page, total = unit.sign_ins.search("", 1, 1)
    assert ([each.id for each in page], total) == (opened[1:2], 3)


def searched(world: World, text: str) -> list[UUID]:
    with world.store.read() as unit:
        found, total = unit.sign_ins.search(text, 0, 50)
    assert total == len(found)
    return [each.id for each in found]


@pytest.mark.parametrize(("age", "due"), [(timedelta(seconds=59), False), (timedelta(minutes=1), True)])
def test_the_last_use_is_written_once_a_minute(world: World, clock: Clock, age: timedelta, due: bool) -> None:
    opened = sign_in(world, world.alice)
    clock.now += age
    with world.store.read() as unit:
        assert sessions.needs_touch(unit, opened.sign_in) is due


def test_a_session_by_its_id_is_checked_alike(world: World, clock: Clock) -> None:
    opened = sign_in(world, world.alice)
    with world.store.write(ADMIN) as unit:
        assert sessions.find_session_by_id(unit, opened.sign_in.id) is not None
        unit.users.update(replace(world.alice, active=False))
        assert sessions.find_session_by_id(unit, opened.sign_in.id) is None
        unit.users.update(world.alice)
    clock.now = opened.sign_in.expires
    with world.store.read() as unit:
        assert sessions.find_session_by_id(unit, opened.sign_in.id) is None


def test_one_more_method_changes_the_secret_and_nothing_else(world: World, clock: Clock) -> None:
    opened = sign_in(world, world.alice)
    clock.advance(minutes=5)
    with world.store.write(ADMIN) as unit:
        stepped = sessions.step_up(unit, opened.sign_in.id, Method.ONE_TIME_CODE)
        again = sessions.step_up(unit, opened.sign_in.id, Method.ONE_TIME_CODE)
    assert len({opened.secret, stepped.secret, again.secret}) == 3
    assert find(world, opened.secret) is find(world, stepped.secret) is None
    session = find(world, again.secret)
    assert session is not None
    changed = {"methods": (Method.PASSWORD, Method.ONE_TIME_CODE), "fingerprint": sessions.fingerprint(again.secret)}
    assert session.sign_in == replace(opened.sign_in, **changed)  # type: ignore[arg-type] # by keyword
    assert ended(world) == []


def test_a_session_that_ended_gets_no_more_methods(world: World) -> None:
    opened = sign_in(world, world.alice)
    with world.store.write(ADMIN) as unit:
        sessions.end_session(unit, opened.sign_in.id)
    with pytest.raises(NotFound), world.store.write(ADMIN) as unit:
        sessions.step_up(unit, opened.sign_in.id, Method.ONE_TIME_CODE)
