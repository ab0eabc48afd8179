"""Files come to the same on every database."""

from pathlib import Path

import pytest

from control.store import Store
from tests.support.applying import Applier
from tests.support.auth import cheap_passwords
from tests.support.databases import BOTH


@pytest.fixture(params=BOTH)
def database_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def _cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("control.blueprint.apply.Passwords", cheap_passwords)


@pytest.fixture
def apply(store: Store, tmp_path: Path) -> Applier:
    return Applier(store, tmp_path)
