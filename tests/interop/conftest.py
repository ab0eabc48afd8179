"""Fixtures of the interop tests, and the logs of every program beside a failure."""

from collections.abc import Iterator

import pytest

from tests.interop.world import World, build
from tests.support.peers_report import pytest_runtest_makereport
from tests.support.peers_sites import Site

__all__ = ["pytest_runtest_makereport", "site", "world"]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The shared installation."""
    world = build(tmp_path_factory.mktemp("world"))
    yield world
    world.close()


@pytest.fixture(params=["nginx", "domain", "caddy", "traefik", "envoy"])
def site(world: World, request: pytest.FixtureRequest) -> Site:
    """Each front in turn."""
    found: Site = world.sites[request.param]
    return found
