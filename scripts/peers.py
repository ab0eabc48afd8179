"""The programs that the interop tests and the benchmark drive, installed from Debian's packages.

scripts/peers.txt names the packages. Only Debian as root can install them; anywhere else this says so in one line and
fails, because a peer that is missing must never look like a test that passed.
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


def packages(path: Path) -> list[str]:
    """The packages that the file names, one a line, comments aside."""
    lines = (line.partition("#")[0].strip() for line in path.read_text().splitlines())
    return [line for line in lines if line]


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
    install(packages(ROOT / PEERS))
    return 0


if __name__ == "__main__":
    # dpkg calls helpers of /sbin, which a user's PATH may lack.
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    sys.exit(main() if shutil.which("apt-get") else report([refusal() or "there is no apt-get"]))
