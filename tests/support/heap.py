"""What is there before the first test is no garbage: nobody need look through it for some, hundreds of times."""

import gc


def pytest_collection_finish() -> None:
    """Leave the modules and all the tests that were found to themselves. Import this into the root's conftest."""
    gc.collect()
    gc.freeze()
