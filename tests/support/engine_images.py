"""Images that do nothing but fare well or badly, for tests of what is done with containers: Debian's busybox alone."""

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

from tests.support.engine import Engine
from tests.support.peers_program import require

# Ends at once when asked to, as an outpost does.
_SERVE = "trap 'exit 0' TERM; while :; do sleep 0.05; done"
_WELL = "HEALTHCHECK --interval=100ms --timeout=5s CMD exit 0"
# What `docker import --change` says of each.
_IMAGES: Mapping[str, tuple[str, ...]] = {
    "well:1": (_SERVE, _WELL),
    "well:2": (_SERVE, _WELL, "LABEL made=later"),
    "sick:1": (_SERVE, "HEALTHCHECK --interval=100ms --retries=1 CMD echo no luck; exit 1"),
    "crash:1": ("exit 3",),
    "plain:1": (_SERVE,),
    "volume:1": (_SERVE, _WELL, "VOLUME /data"),
    "stubborn:1": ("trap '' TERM; while :; do sleep 0.05; done", _WELL),
}


def import_images(engine: Engine, folder: Path) -> None:
    """Have all of them on an engine."""
    archive = folder / "busybox.tar"
    _pack(archive)
    for name, (script, *more) in _IMAGES.items():
        entry = f'ENTRYPOINT ["/bin/sh", "-c", "{script}"]'
        changes = [word for change in (entry, *more) for word in ("--change", change)]
        engine.run("docker", "import", *changes, str(archive), name)


def _pack(archive: Path) -> None:
    busybox = Path(require("busybox", "busybox-static")).read_bytes()
    with tarfile.open(archive, "w") as tar:
        program = tarfile.TarInfo("bin/busybox")
        program.mode, program.size = 0o755, len(busybox)
        tar.addfile(program, io.BytesIO(busybox))
        for name in ("sh", "sleep", "echo", "touch"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
