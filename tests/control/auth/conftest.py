"""The usual people and applications."""

import pytest

from control.store import Store
from tests.support.auth import World, make_world


@pytest.fixture
def world(store: Store) -> World:
    return make_world(store)
