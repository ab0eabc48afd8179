"""Control's link in a process of its own, with a clock on its event loop.

Run with a file that says which database, folder and port. Each line on its standard input asks how late the loop was
since the last one; the answer is one line of JSON: milliseconds of every look, of which there is one every 5 ms.
"""

import asyncio
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from control.link import LinkSettings
from control.link.server import serving, settle
from control.store import Sealer, Store, open_engine
from tests.support.databases import KEY
from tests.support.links import FakeGatekeeper

EVERY = 0.005


async def main(given: dict[str, Any]) -> None:
    """Serve until the standard input ends."""
    folder = Path(given["folder"])
    store = Store(open_engine(given["database"]), Sealer(KEY), lambda: datetime.now(UTC), lambda: None)
    settings = LinkSettings(
        address=f"127.0.0.1:{given['port']}",
        wake_socket=folder / "wake.sock",
        metrics_socket=folder / "link.metrics.sock",
        url="http://localhost:9000",
    )
    late: list[float] = []
    async with serving(store, FakeGatekeeper(), settings):
        settle()
        probing = asyncio.create_task(_probe(late))
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        _say([])
        while await reader.readline():
            _say(late)
            late.clear()
        probing.cancel()


async def _probe(late: list[float]) -> NoReturn:
    while True:
        before = time.monotonic()
        await asyncio.sleep(EVERY)
        late.append((time.monotonic() - before - EVERY) * 1000)


def _say(late: list[float]) -> None:
    sys.stdout.write(json.dumps(late) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text())))
