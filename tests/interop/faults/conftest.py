"""What the fault tests share, and where they put what they measured."""

from collections.abc import Callable, Iterator
from dataclasses import asdict

import pytest

from tests.interop.faults.stage import Healing, Stage, staged
from tests.support.garrison import short_folder
from tests.support.healings import HEALING


@pytest.fixture
def healings(record_property: Callable[[str, object], None]) -> Iterator[list[Healing]]:
    """Where a test puts its figures."""
    measured: list[Healing] = []
    yield measured
    for each in measured:
        record_property(HEALING, asdict(each))


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """An installation without edges."""
    with short_folder() as folder, staged(folder) as stage:
        yield stage
