"""The web app on a small world."""

import pytest

from control.store import Store
from tests.support.site import Site, make_site
from tests.support.stores import Clock


@pytest.fixture
def site(store: Store, clock: Clock) -> Site:
    return make_site(store, clock)
