"""The row of those who read hostile bytes, started once."""

from collections.abc import Iterator

import pytest

from tests.support.garrison import short_folder
from tests.support.hostile_parsers import Aiohttp
from tests.support.hostile_subjects import Row


@pytest.fixture(scope="session")
def row() -> Iterator[Row]:
    """Our worker, nginx, HAProxy and Caddy, each before a recorder."""
    with short_folder() as folder:
        row = Row(folder)
        yield row
        row.close()


@pytest.fixture(scope="session")
def aiohttp() -> Iterator[Aiohttp]:
    """aiohttp's parser."""
    parser = Aiohttp()
    yield parser
    parser.close()
