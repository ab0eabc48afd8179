"""`python -m control.serve.demo LISTEN OUTPOST`: the demo's process."""

import signal
import sys
from collections.abc import Sequence
from threading import Thread
from types import FrameType

from control.serve.demo.reverse_proxy import make_server


def main(arguments: Sequence[str]) -> int:
    """Serve until SIGTERM."""
    listen, outpost = arguments
    host, _, port = listen.rpartition(":")
    server = make_server((host, int(port)), outpost)

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        Thread(target=server.shutdown).start()  # it waits for the loop that this handler interrupted

    signal.signal(signal.SIGTERM, stop)
    server.serve_forever(poll_interval=0.1)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
