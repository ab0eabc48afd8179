"""The usual people and applications."""

import pytest

from control.store import Store
from tests.support.attempts import Door
from tests.support.auth import World, make_world
from tests.support.databases import BOTH
from tests.support.stores import Clock


@pytest.fixture(params=BOTH)
def database_kind(request: pytest.FixtureRequest) -> str:
    """The rules for people and sessions hold on every database."""
    return str(request.param)


@pytest.fixture
def world(store: Store) -> World:
    return make_world(store)


@pytest.fixture
def door(world: World, clock: Clock) -> Door:
    return Door(world, clock)
