"""A wall clock that is wrong, and can be set while programs run by it; their monotonic clock goes on as it does.

Made of tests/support/clock.c, which programs load before libc. Debian's libfaketime can't do it: it either shifts the
monotonic clock too, by which locks wait, or breaks time.sleep of Python.
"""

import subprocess
from pathlib import Path

from tests.support.peers_program import require

SOURCE = Path(__file__).with_name("clock.c")


class Clock:
    """A clock that is `ahead` so many seconds of the true one, negative for behind. Its files lie in `folder`."""

    def __init__(self, folder: Path, ahead: float = 0.0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._ahead, self._library = folder / "ahead", folder / "clock.so"
        self.set(ahead)
        gcc = require("gcc", "gcc")
        options = ["-O2", "-Wall", "-Werror", "-ffreestanding", "-fno-builtin", "-fPIC", "-shared", "-nostdlib"]
        subprocess.run([gcc, *options, "-o", str(self._library), str(SOURCE)], check=True)

    def set(self, ahead: float) -> None:
        """Be so much ahead from now on."""
        # In place, since programs have mapped the file.
        with self._ahead.open("r+b" if self._ahead.exists() else "wb") as file:
            file.write(int(ahead * 1e9).to_bytes(8, "little", signed=True))

    @property
    def environment(self) -> dict[str, str]:
        """What makes a program go by this clock."""
        return {"LD_PRELOAD": str(self._library), "WALL_CLOCK_AHEAD": str(self._ahead)}
