"""How an instance is, as the kernel tells it. Reads /proc; a process that has just ended counts as nothing."""

import os
from collections.abc import Iterable
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")


def memory_of(pids: Iterable[int]) -> int:
    """Resident bytes of the processes together."""
    return sum(_resident(pid) for pid in pids)


def load() -> float:
    """The load average of the last minute."""
    return os.getloadavg()[0]


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * _PAGE
    except OSError:
        return 0
