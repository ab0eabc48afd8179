"""The queue is tested on every database."""

import pytest

from tests.support.databases import BOTH


@pytest.fixture(params=BOTH)
def database_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)
