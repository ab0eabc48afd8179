"""One `garrison serve` per data folder: a lock that the kernel drops with the process, however it ends."""

import fcntl
import os
from pathlib import Path


class AlreadyRunning(Exception):
    """Another `garrison serve` has the folder."""

    def __init__(self, folder: Path, pid: str) -> None:
        super().__init__(f"garrison already serves {folder} (process {pid or 'unknown'}); stop it first")


class FolderLock:
    """Holds the lock of a data folder as long as it lives. Raises AlreadyRunning."""

    def __init__(self, folder: Path) -> None:
        path = folder / "run" / "serve.lock"
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._descriptor, 32).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            raise AlreadyRunning(folder, holder) from None
        os.truncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Give the folder free."""
        os.close(self._descriptor)
