"""App passwords: for one user, for what they name, until they end."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from control.auth import app_passwords, people
from control.auth.app_passwords import AppPasswordDraft
from control.auth.codes import grouped
from control.auth.people import UserDraft
from control.domain.errors import Invalid, NotFound
from control.domain.factors import AppPassword
from control.domain.identity import UserKind
from tests.support.auth import World
from tests.support.stores import ADMIN, Clock


def create(world: World, **fields: Any) -> tuple[AppPassword, str]:
    usual: dict[str, Any] = {"user": world.alice.id, "name": "Mail", "everywhere": True}
    with world.store.write(ADMIN) as unit:
        return app_passwords.create(unit, AppPasswordDraft(**{**usual, **fields}))


def find(world: World, secret: str, user: UUID | None = None, application: UUID | None = None) -> AppPassword | None:
    with world.store.read() as unit:
        return app_passwords.find_valid(unit, secret, user, application or world.wiki_application.id)


def wrong(world: World, **fields: Any) -> list[str]:
    with pytest.raises(Invalid) as caught:
        create(world, **fields)
    return [problem.code for problem in caught.value.problems]


def test_the_secret_finds_it_as_people_type_it(world: World) -> None:
    made, secret = create(world)
    for typed in (secret, secret.upper(), grouped(secret), grouped(secret, "-"), f" {secret} "):
        assert find(world, typed) == made
    for no_longer in (secret[:-1], secret + "a", secret[::-1], "", "x" * 500):
        assert find(world, no_longer) is None


def test_it_lies_hashed_with_a_key(world: World) -> None:
    made, secret = create(world)
    assert secret not in repr(made)
    assert len(made.fingerprint) == 64
    assert ";" not in secret


def test_it_is_its_users_alone(world: World) -> None:
    made, secret = create(world)
    assert find(world, secret, world.alice.id) == made
    assert find(world, secret, world.bob.id) is None


def test_it_is_for_the_applications_it_names(world: World) -> None:
    wiki, paste = world.wiki_application.id, world.paste_application.id
    made, secret = create(world, everywhere=False, applications=frozenset({wiki}))
    assert find(world, secret, None, wiki) == made
    assert find(world, secret, None, paste) is None
    everywhere, secret = create(world, name="All", everywhere=True, applications=frozenset({wiki}))
    assert everywhere.applications == frozenset()
    assert find(world, secret, None, paste) == everywhere


def test_a_removed_application_doesnt_widen_it(world: World) -> None:
    _, secret = create(world, everywhere=False, applications=frozenset({world.wiki_application.id}))
    with world.store.write(ADMIN) as unit:
        unit.applications.remove(unit.applications.get(world.wiki_application.id))
    assert find(world, secret, None, world.paste_application.id) is None


def test_it_ends_when_its_time_is_over(world: World, clock: Clock) -> None:
    made, secret = create(world, expires=clock.now + timedelta(days=30))
    clock.advance(days=30, seconds=-1)
    assert find(world, secret) == made
    clock.advance(seconds=1)
    assert find(world, secret) is None


def test_a_revoked_one_is_worth_nothing_and_its_sessions_end(world: World) -> None:
    made, secret = create(world)
    with world.store.write(ADMIN) as unit:
        app_passwords.revoke(unit, world.alice.id, made.id)
    assert find(world, secret) is None
    with world.store.read() as unit:
        assert made.id in {each.sign_in for each in unit.revocations.live()}
        event = unit.audit.latest(1)[0]
    assert (event.action, event.kind, event.name) == ("removed", "app password", "Mail")


def test_nobody_revokes_that_of_another(world: World) -> None:
    made, secret = create(world)
    for key in (made.id, uuid4()):
        with pytest.raises(NotFound), world.store.write(ADMIN) as unit:
            app_passwords.revoke(unit, world.bob.id, key)
    assert find(world, secret) == made


def test_what_is_wrong_is_told(world: World, clock: Clock) -> None:
    create(world)
    assert wrong(world) == ["already_taken"]
    assert wrong(world, name=" ") == ["required"]
    assert wrong(world, name="a\tb") == ["unprintable"]
    assert wrong(world, name="Now", expires=clock.now) == ["not_in_future"]
    assert wrong(world, name="None", everywhere=False) == ["none_chosen"]
    assert wrong(world, name="Gone", everywhere=False, applications=frozenset({uuid4()})) == ["not_found"]
    create(world, user=world.bob.id)


def test_outposts_have_none_but_service_accounts_may(world: World) -> None:
    with world.store.write(ADMIN) as unit:
        robot = people.create_user(unit, UserDraft(username="robot", kind=UserKind.SERVICE))
        outpost = people.create_user(unit, UserDraft(username="ak-outpost-x", kind=UserKind.OUTPOST))
    made, secret = create(world, user=robot.id)
    assert find(world, secret, robot.id) == made
    assert wrong(world, user=outpost.id) == ["not_a_choice"]


def test_there_is_an_end_to_how_many_somebody_has(world: World) -> None:
    for number in range(app_passwords.MOST_APP_PASSWORDS):
        create(world, name=f"Device {number}")
    assert wrong(world, name="One more") == ["too_many"]
