"""How long a warm start takes: from the command to a sign-in page, on a database that is there already."""

import time
from pathlib import Path

from tests.support.browser_http import Visitor
from tests.support.garrison import Garrison, short_folder

STARTS = 7


def warm_starts() -> list[float]:
    """Milliseconds of each start; the first one, which makes the database, doesn't count."""
    with short_folder() as folder:
        garrison = Garrison(Path(folder) / "garrison")
        return [start(garrison) for _ in range(STARTS + 1)][1:]


def start(garrison: Garrison) -> float:
    """One start and a clean stop."""
    began = time.monotonic()
    garrison.start()
    Visitor().get(garrison.url + "/").form("username", "password")
    took = (time.monotonic() - began) * 1000
    garrison.stop()
    return took
