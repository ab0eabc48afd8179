"""How an instance is, as the kernel tells it. Reads /proc; a process that has just ended counts as nothing."""

import os
from collections.abc import Iterable
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")


def memory_of(pids: Iterable[int]) -> int:
    """Resident bytes of the processes together."""
    return sum(_resident(pid) for pid in pids)


def processor_seconds(pid: int) -> float:
    """How long a process has been at work, of all its threads."""
    try:
        # Behind the name, which may hold anything, stand state, parent and ten more; then user and system time.
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS
    except OSError:
        return 0.0


def load() -> float:
    """The load average of the last minute."""
    return os.getloadavg()[0]


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * _PAGE
    except OSError:
        return 0
