"""The link checks real certificates, so its clock begins with the real one."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from control.store import Store
from tests.support.databases import BOTH
from tests.support.links import Control
from tests.support.stores import Clock, Wakes


@pytest.fixture(params=BOTH)
def database_kind(request: pytest.FixtureRequest) -> str:
    """The link serves from every database."""
    return str(request.param)


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime.now(UTC))


@pytest.fixture
def control(store: Store, clock: Clock, wakes: Wakes, tmp_path: Path) -> Control:
    return Control(store, clock, wakes, tmp_path)
