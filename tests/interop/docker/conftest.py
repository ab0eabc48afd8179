"""One engine for all tests of this folder, and one build of each image; whoever needs neither image waits for none."""

from collections.abc import Iterator

import pytest

from tests.support.engine import Engine, running_engine
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
