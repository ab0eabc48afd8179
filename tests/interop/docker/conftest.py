"""One engine for all tests of this folder, and one build of each image; whoever needs neither image waits for none."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.engine import Engine, running_engine
from tests.support.engine_images import import_images
from tests.support.garrison import short_folder
from tests.support.garrison_docs import ROOT

CONTROL, OUTPOST = "garrison-control:0.1.0", "garrison-outpost:0.1.0"


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """A running engine with the base image alone."""
    with short_folder() as folder, running_engine(folder) as engine:
        yield engine


@pytest.fixture(scope="session")
def outpost_image(engine: Engine) -> str:
    """The name of the outpost's image, which the engine has."""
    engine.run("make", "image", f"ARGS=--quiet {engine.build_arguments()}", folder=ROOT)
    return OUTPOST


@pytest.fixture(scope="session")
def control_image(engine: Engine) -> str:
    """The name of control's image, which the engine has beside the outpost's."""
    engine.run("make", "images", f"ARGS=--quiet {engine.build_arguments()}", folder=ROOT)
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
