"""The programs that the interop tests and the benchmark drive, installed from Debian's packages.

scripts/peers.txt names the packages. Only Debian as root can install them; anywhere else this says so in one line and
fails, because a peer that is missing must never look like a test that passed. Those marked `apart` would change who may
sign in on this machine: they are unpacked beside the virtual environment and not installed.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.report import report
from scripts.tree import ROOT

PEERS = Path("scripts/peers.txt")
RELEASE = Path("/etc/os-release")
POLICY = Path("/usr/sbin/policy-rc.d")
FORBID_STARTING = "#!/bin/sh\nexit 101\n"
UNPACKED = Path(sys.prefix) / "peers"
APART = "apart"


def packages(path: Path) -> list[str]:
    """The packages that the file names, one a line, comments aside."""
    return list(_named(path))


def packages_apart(path: Path) -> list[str]:
    """Those of them that are to be unpacked only."""
    return [name for name, marks in _named(path).items() if APART in marks]


def _named(path: Path) -> dict[str, list[str]]:
    lines = (line.partition("#")[0].split() for line in path.read_text().splitlines())
    return {name: marks for name, *marks in filter(None, lines)}


def refusal() -> str | None:
    """Why peers can't be installed here, if they can't."""
    if not _is_debian():
        return "the programs to test with are installed by Debian's apt-get, and this isn't Debian"
    if os.geteuid() != 0:
        return "the programs to test with are installed by apt-get, which needs root"
    return None


def install(names: list[str]) -> None:
    """Install what is missing. Raises subprocess.CalledProcessError; apt-get has said why."""
    missing = [name for name in names if not _is_installed(name)]
    if missing:
        sys.stdout.write(f"peers: installing {' '.join(missing)}\n")
        sys.stdout.flush()
        with _services_left_alone():
            _apt("update")
            _apt("install", "--yes", "--no-install-recommends", *missing)


def unpack(names: list[str], folder: Path) -> None:
    """Have `folder/root` hold these packages and what they need beside those installed. Raises as `install` does."""
    stamp = folder / "names"
    if stamp.exists() and stamp.read_text().split() == names:
        return
    sys.stdout.write(f"peers: unpacking {' '.join(names)}\n")
    sys.stdout.flush()
    shutil.rmtree(folder, ignore_errors=True)
    archives, root = folder / "archives", folder / "root"
    (archives / "partial").mkdir(parents=True)
    _apt("update")
    _apt(
        "install",
        "--yes",
        "--no-install-recommends",
        "--download-only",
        "-o",
        f"Dir::Cache::archives={archives}",
        *names,
    )
    for archive in archives.glob("*.deb"):
        subprocess.run(["/usr/bin/dpkg-deb", "--extract", str(archive), str(root)], check=True)  # noqa: S603  ours
    for place in ("usr/lib", "etc", "var", "lib"):
        (root / place).mkdir(parents=True, exist_ok=True)
    # Debian's own root has /lib as a link to /usr/lib, packages still have files in both.
    shutil.copytree(root / "lib", root / "usr/lib", symlinks=True, dirs_exist_ok=True)
    shutil.rmtree(root / "lib")
    stamp.write_text(" ".join(names))


def _is_debian() -> bool:
    return RELEASE.exists() and "ID=debian" in RELEASE.read_text().splitlines()


def _is_installed(name: str) -> bool:
    command = ["/usr/bin/dpkg-query", "--show", "--showformat=${db:Status-Status}", name]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  our own arguments
    return result.stdout == "installed"


def _apt(*arguments: str) -> None:
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["/usr/bin/apt-get", "-qq", "-o", "Dpkg::Use-Pty=0", *arguments]
    subprocess.run(command, env=quiet, stdin=subprocess.DEVNULL, check=True)  # noqa: S603  our own arguments


@contextmanager
def _services_left_alone() -> Iterator[None]:
    """Debian starts a server as soon as it is installed; the tests start their own, on ports of their own."""
    ours = not POLICY.exists()
    if ours:
        POLICY.write_text(FORBID_STARTING)
        POLICY.chmod(0o755)
    try:
        yield
    finally:
        if ours:
            POLICY.unlink()


def main() -> int:
    """Install all peers."""
    reason = refusal()
    if reason:
        return report([reason])
    apart = packages_apart(ROOT / PEERS)
    install([name for name in packages(ROOT / PEERS) if name not in apart])
    unpack(apart, UNPACKED)
    return 0


if __name__ == "__main__":
    # dpkg calls helpers of /sbin, which a user's PATH may lack.
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    sys.exit(main() if shutil.which("apt-get") else report([refusal() or "there is no apt-get"]))
