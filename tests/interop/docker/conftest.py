"""One engine for all tests of this folder, and one build of each image; whoever needs neither image waits for none.

Images are built beside the tests that need none, which come first. All tests are in the engine's network, not in the
machine's: a browser of another test would have to start again with each container.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.support.engine import Engine, import_base, running_engine
from tests.support.engine_images import import_images
from tests.support.garrison import short_folder
from tests.support.garrison_docs import ROOT
from tests.support.networks import Network, new_network

CONTROL, OUTPOST = "garrison-control:0.1.0", "garrison-outpost:0.1.0"
# Whoever asks for one of these waits for a build, in the order in which they are built.
BUILT = ("outpost_image", "control_image")


def built_for(test: pytest.Item) -> int:
    """How many images have to be built before a test."""
    asked = getattr(test, "fixturenames", ())
    return max((number for number, name in enumerate(BUILT, 1) if name in asked), default=0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put tests of this folder in the order of what has to be built for them."""
    places = [place for place, test in enumerate(items) if test.path.is_relative_to(Path(__file__).parent)]
    for place, test in zip(places, sorted((items[place] for place in places), key=built_for), strict=True):
        items[place] = test


@dataclass(frozen=True, slots=True, kw_only=True)
class Building:
    """The engine, and the images that are built on it, as far as any test asks for them."""

    engine: Engine
    images: Sequence[Future[None]]


@pytest.fixture(scope="session")
def network() -> Iterator[Network]:
    """The engine's."""
    with new_network() as network:
        yield network


@pytest.fixture(scope="module", autouse=True)
def inside(network: Network) -> Iterator[None]:
    """Every test of this folder, and all that it starts, is in the engine's network."""
    with network.entered():
        yield


@pytest.fixture(scope="session")
def building(request: pytest.FixtureRequest, network: Network) -> Iterator[Building]:
    """A running engine on which the images are being built."""
    count = max(built_for(test) for test in request.session.items)
    # Ended in this order: the engine, what is built there, the folder.
    with short_folder() as folder, ThreadPoolExecutor(1) as builder, running_engine(folder, network) as engine:
        if count:
            base = builder.submit(import_base, engine, folder / "base.tar")
        images = [builder.submit(partial(_build, engine, base, goal)) for goal in ("image", "images")[:count]]
        yield Building(engine=engine, images=images)


def _build(engine: Engine, base: Future[None], goal: str) -> None:
    base.result()
    engine.run("make", goal, f"ARGS=--quiet {engine.build_arguments()}", folder=ROOT)


@pytest.fixture(scope="session")
def engine(building: Building) -> Engine:
    """A running engine, on which there may be no image yet."""
    return building.engine


@pytest.fixture(scope="session")
def outpost_image(building: Building) -> str:
    """The name of the outpost's image, which the engine has."""
    building.images[0].result()
    return OUTPOST


@pytest.fixture(scope="session")
def control_image(building: Building) -> str:
    """The name of control's image, which the engine has beside the outpost's."""
    building.images[1].result()
    return CONTROL


@pytest.fixture(scope="session")
def tiny_images(engine: Engine) -> None:
    """Images that take no time to start (tests/support/engine_images.py), which the engine has."""
    with short_folder() as folder:
        import_images(engine, folder)


@pytest.fixture(scope="session")
def engine_socket(engine: Engine) -> Path:
    """Where the engine listens."""
    return Path(engine.environment["DOCKER_HOST"].removeprefix("unix://"))
