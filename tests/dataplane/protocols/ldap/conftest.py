"""Tests of the codec run on both its forms."""

import pytest

from tests.support.ldap_forms import Codec, compiled, interpreted


@pytest.fixture(params=["interpreted", "compiled"])
def codec(request: pytest.FixtureRequest) -> Codec:
    """The codec's modules in one form."""
    return interpreted() if request.param == "interpreted" else compiled()
