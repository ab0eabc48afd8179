"""A small disk of its own, ext4 in a file: to be filled, and to fail so that Linux makes it read-only.

A disk in use can't be mended, and whoever makes a copy of this machine's mounts (unshare(1), containers) uses all that
is mounted by then. So the place of a disk is shared: what is unmounted here is unmounted in all copies that follow
(mount_namespaces(7)).
"""

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.peers_program import require

BLOCK = 4096
SMALL_BLOCK = 1024


@dataclass
class Disk:
    """A mounted disk; what is to be kept lies in `folder`."""

    image: Path
    folder: Path

    def mount(self) -> None:
        """Have it in the tree, writable."""
        options = "loop,errors=remount-ro"
        subprocess.run([require("mount", "mount"), "-o", options, str(self.image), str(self.folder)], check=True)

    def unmount(self) -> None:
        """Take it out; nothing may use it."""
        subprocess.run([require("umount", "mount"), str(self.folder)], check=True)

    def fill(self) -> None:
        """Leave no block free."""
        # Blocks of a small ext4 have 1 KiB, and some that were set aside for writes to come are free again after these.
        for size in (BLOCK, BLOCK, SMALL_BLOCK):
            with self._filler.open("ab", buffering=0) as file:
                with suppress(OSError):
                    while True:
                        file.write(bytes(size))
                os.fsync(file.fileno())

    def free(self) -> None:
        """Give back what `fill` took."""
        self._filler.unlink(missing_ok=True)

    def fail(self) -> None:
        """Report an error as a failing disk does (Linux, fs/ext4/sysfs.c): the kernel makes it read-only.

        What was written is on it by then: without a journal blocks could be lost, or claimed twice.
        """
        subprocess.run([require("sync", "coreutils"), "--file-system", str(self.folder)], check=True)
        device = subprocess.run(
            [require("findmnt", "util-linux"), "--noheadings", "--output", "SOURCE", str(self.folder)],
            capture_output=True, text=True, check=True,
        ).stdout.strip()  # fmt: skip
        Path("/sys/fs/ext4", Path(device).name, "trigger_fs_error").write_text("1")

    def mend(self) -> None:
        """Check it and have it writable again; nothing may use it."""
        self.unmount()
        # Whatever it finds: what was cut off in the middle of a write isn't always what -p would mend.
        check = [require("e2fsck", "e2fsprogs"), "-f", "-y", str(self.image)]
        subprocess.run(check, check=False, stdout=subprocess.DEVNULL)
        self.mount()

    @property
    def _filler(self) -> Path:
        return self.folder / "filler"


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Disk]:
    """A disk of that size, mounted on the folder until the block ends."""
    disk = Disk(image=folder.with_suffix(".img"), folder=folder)
    disk.folder.mkdir(parents=True)
    with disk.image.open("wb") as file:
        file.truncate(megabytes << 20)
    # All of it is root's, without blocks kept back, and its structures are there from the beginning.
    options = ["-q", "-m", "0", "-O", "^has_journal", "-E", "lazy_itable_init=0"]
    subprocess.run([require("mkfs.ext4", "e2fsprogs"), *options, str(disk.image)], check=True)
    with _shared(folder.parent):
        disk.mount()
        try:
            yield disk
        finally:
            disk.unmount()


@contextmanager
def _shared(folder: Path) -> Iterator[None]:
    """Have mounts below the folder come and go in copies of this machine's mounts as they do here."""
    mount = require("mount", "mount")
    subprocess.run([mount, "--bind", str(folder), str(folder)], check=True)
    try:
        subprocess.run([mount, "--make-shared", str(folder)], check=True)
        yield
    finally:
        # Lazily, as somebody may just stand there: it is no disk.
        subprocess.run([require("umount", "mount"), "--lazy", str(folder)], check=True)


@contextmanager
def written_at_most(size: int) -> Iterator[None]:
    """Python ignores SIGXFSZ, so a write beyond the limit is an OSError like one to a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
