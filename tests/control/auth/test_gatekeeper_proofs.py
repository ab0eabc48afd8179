"""Sessions that control is asked about again: it tells those that it made from those that are made up."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from control.auth.gatekeeper import SessionClaim
from control.domain.grant import IssuedSession
from tests.control.auth.test_gatekeeper import ENDED, change, claim, issued
from tests.support import builders
from tests.support.auth import World
from tests.support.stores import Clock

FORGED: list[dict[str, Any]] = [
    {"session": uuid4()},
    {"proof": "A" * 22},
    {"proof": "é"},
    {"expires": timedelta(microseconds=1)},
    {"authenticated": timedelta(microseconds=1)},
]


@pytest.mark.parametrize("forged", FORGED, ids=["session", "proof", "no ASCII", "expires", "authenticated"])
def test_an_outpost_cannot_make_up_a_session_nor_prolong_one(world: World, forged: dict[str, Any]) -> None:
    session = issued(world)
    moved = {
        name: getattr(session, name) + value if isinstance(value, timedelta) else value
        for name, value in forged.items()
    }
    assert world.gatekeeper.look_up_session(claim(session, world, **moved)) == ENDED


def test_a_proof_of_one_provider_is_none_at_another(world: World) -> None:
    session = issued(world)
    other = builders.provider("paste-2")
    change(world, lambda unit: unit.providers.add(other))
    assert world.gatekeeper.look_up_session(claim(session, world, provider=other.id)) == ENDED


def test_who_has_not_signed_in_cannot_be_looked_up_by_a_session_that_is_made_up(world: World, clock: Clock) -> None:
    """The attack: read who somebody is who may use the provider, of whom only the id is known."""
    made_up = SessionClaim(
        provider=world.wiki.id,
        session=uuid4(),
        subject=world.alice.id,
        authenticated=clock.now,
        expires=clock.now + timedelta(hours=1),
    )
    assert world.gatekeeper.look_up_session(made_up) == ENDED


def test_an_older_outpost_is_believed_while_the_sign_in_goes_on(world: World, clock: Clock) -> None:
    change(
        world, lambda unit: unit.proxy_providers.update(replace(world.wiki, access_token_validity=timedelta(days=30)))
    )
    session = issued(world)
    look = world.gatekeeper.look_up_session
    assert isinstance(look(claim(session, world, proof="")), IssuedSession)
    assert look(claim(session, world, proof="", subject=world.bob.id)) == ENDED
    clock.advance(hours=24)
    assert isinstance(look(claim(session, world)), IssuedSession)
    assert look(claim(session, world, proof="")) == ENDED


def test_a_proof_is_not_shown(world: World) -> None:
    session = issued(world)
    assert len(session.proof) == 22
    assert session.proof not in repr(session) + repr(claim(session, world))
