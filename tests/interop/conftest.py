"""Fixtures of the interop tests, and the logs of every program beside a failure."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.world import World, build
from tests.support.garrison import short_folder
from tests.support.peers_report import pytest_runtest_makereport
from tests.support.peers_sites import Site

__all__ = ["folder", "pytest_runtest_makereport", "site", "world"]


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    """The shared installation."""
    with short_folder() as folder:
        world = build(folder)
        yield world
        world.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for an installation of the test's own."""
    with short_folder() as folder:
        yield folder


@pytest.fixture(params=["nginx", "domain", "caddy", "traefik", "envoy"])
def site(world: World, request: pytest.FixtureRequest) -> Site:
    """Each front in turn."""
    found: Site = world.sites[request.param]
    return found
