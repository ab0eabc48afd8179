"""The installation that the tests of LDAP share, and slapd with the same entries."""

from collections.abc import Iterator

import pytest

from tests.support.garrison import short_folder
from tests.support.ldap_site import LdapSite, ldap_site


@pytest.fixture(scope="session")
def directory() -> Iterator[LdapSite]:
    """The shared installation."""
    with short_folder() as folder, ldap_site(folder) as site:
        yield site
