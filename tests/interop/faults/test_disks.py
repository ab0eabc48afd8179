"""The disks that faults are about can be taken away, or the tests below would mend one that is in use."""

from pathlib import Path

import pytest

from tests.support.disks import small_disk
from tests.support.peers_program import Program, eventually, require

pytestmark = pytest.mark.interop


def test_whoever_has_copied_the_mounts_loses_a_disk_with_us(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 8) as disk:
        unshare = [require("unshare", "util-linux"), "--mount", "--propagation=slave", "sleep", "60"]
        program = Program("somebody with mounts of their own", unshare)
        seen = Path(f"/proc/{program.process.pid}")
        ours = Path("/proc/self/ns/mnt").readlink()
        eventually(lambda: (seen / "ns/mnt").readlink() != ours, "the mounts are copied", alive=program)
        assert str(disk.folder) in (seen / "mounts").read_text()
        disk.unmount()
        assert str(disk.folder) not in (seen / "mounts").read_text()
        disk.mount()
        program.kill()
