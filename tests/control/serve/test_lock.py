"""One server a folder."""

import os
from pathlib import Path

import pytest

from control.serve.lock import AlreadyRunning, FolderLock


def test_the_second_is_told_who_is_first(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    first = FolderLock(tmp_path)
    with pytest.raises(AlreadyRunning, match=rf"already serves {tmp_path} \(process {os.getpid()}\)"):
        FolderLock(tmp_path)
    first.release()
    FolderLock(tmp_path).release()
