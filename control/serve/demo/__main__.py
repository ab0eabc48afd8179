"""`python -m control.serve.demo LISTEN OUTPOST APPLICATION`: the demo's process.

At LISTEN the reverse proxy before OUTPOST, at APPLICATION the application alone, which outposts in mode proxy stand
before.
"""

import signal
import sys
from collections.abc import Sequence
from threading import Thread
from types import FrameType

from control.serve.demo import application, reverse_proxy


def main(arguments: Sequence[str]) -> int:
    """Serve until SIGTERM."""
    listen, outpost, alone = arguments
    proxy, page = reverse_proxy.make_server(_address(listen), outpost), application.make_server(_address(alone))

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        Thread(target=proxy.shutdown).start()  # it waits for the loop that this handler interrupted

    signal.signal(signal.SIGTERM, stop)
    Thread(target=page.serve_forever, daemon=True).start()
    proxy.serve_forever(poll_interval=0.1)
    return 0


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host, int(port)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
