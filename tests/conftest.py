"""Fixtures that every test may use."""

from pathlib import Path

import pytest

from control.store import Store
from tests.support.stores import Clock, Wakes, make_store


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def wakes() -> Wakes:
    return Wakes()


@pytest.fixture
def store(tmp_path: Path, clock: Clock, wakes: Wakes) -> Store:
    return make_store(tmp_path / "garrison.db", clock, wakes)
