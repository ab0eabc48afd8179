"""Fixtures of the tests of mode proxy."""

from collections.abc import Iterator

import pytest

from tests.interop.proxy.world import ProxyWorld, build
from tests.support.garrison import short_folder


@pytest.fixture(scope="session")
def world() -> Iterator[ProxyWorld]:
    """The shared installation."""
    with short_folder() as folder:
        world = build(folder)
        yield world
        world.close()


@pytest.fixture
def scripted(world: ProxyWorld) -> Iterator[ProxyWorld]:
    """The same, with the application that does what the test says; it says so by `scripted.answer`."""
    yield world
    world.scripted.answer = lambda call: call.answer(b"well")
