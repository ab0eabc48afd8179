"""Runs a command as a process that gets SIGTERM when its parent dies: `tether.py PARENT-PID COMMAND…`.

A program of its own, so that the parent (which has threads) needs no code between fork and exec. The wish to be told
survives the exec (prctl(2), PR_SET_PDEATHSIG). Started without site packages: it costs some 10 ms.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Tie this process to its parent, then become the command."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before we could ask
        sys.exit(1)
    os.execv(command[0], command)  # noqa: S606 - the supervisor names it, and no shell is wanted


if __name__ == "__main__":
    main()
