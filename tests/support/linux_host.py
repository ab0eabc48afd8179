"""A Linux machine of its own as far as files go: this one's, with other packages, /etc and /var laid over it.

For programs that belong to who may sign in on a machine (sssd, PAM modules): nothing they change outlives the block,
and nobody else sees it. The network is shared. Needs root.
"""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.outpost_process import children
from tests.support.peers_program import Program, eventually, plain_environment, require

PACKAGES = Path(sys.prefix) / "peers/root"
NOBODY = 65534
SECRET = ("sssd.conf", "nslcd.conf")
_SETUP = """
set -eu
mount -t tmpfs tmpfs "$MEMORY"
for place in usr etc var; do
    mkdir "$MEMORY/$place" "$MEMORY/$place.work"
    options="lowerdir=$PACKAGES/$place:/$place,upperdir=$MEMORY/$place,workdir=$MEMORY/$place.work"
    mount -t overlay overlay -o "$options" "/$place"
done
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /home
cp -a "$FILES/." /
chown -R root:root /etc/sssd
# A machine has one of them.
for profile in sss ldap; do
    [ "$profile" = "$PROFILE" ] || rm "/usr/share/pam-configs/$profile"
done
ldconfig
DEBIAN_FRONTEND=noninteractive pam-auth-update --package --force
# Two seconds after each wrong password.
sed -i 's/pam_unix.so nullok/& nodelay/' /etc/pam.d/common-auth
touch "$READY"
exec "$@"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How a command ended."""

    code: int
    output: str
    errors: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LinuxHost:
    """The running machine: what `linux_host` was told to run, and whatever else is run there."""

    program: Program

    def run(self, *command: str, given: str = "", user: int = 0) -> Done:
        """Run a command there as root or as somebody; what is given is its standard input."""
        enter = [require("nsenter", "util-linux"), "--target", str(self._first()), "--mount", "--pid"]
        somebody = [require("setpriv", "util-linux"), f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        done = subprocess.run(
            [*enter, *(somebody if user else []), *command],
            input=given,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
            env=plain_environment() | {"LC_ALL": "C.UTF-8", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
            cwd="/",
        )
        return Done(code=done.returncode, output=done.stdout, errors=done.stderr)

    def _first(self) -> int:
        (first,) = children(self.program.process.pid)
        return first


@contextmanager
def linux_host(folder: Path, profile: str, files: Mapping[str, str], command: Sequence[str]) -> Iterator[LinuxHost]:
    """A machine with a profile of PAM (sss or ldap) and these files (absolute paths) that runs the command.

    Everybody may read the files but those that hold passwords.
    """
    assert PACKAGES.exists(), f"{PACKAGES} is missing: python -m scripts.peers unpacks it"
    memory, own, ready = folder / "memory", folder / "files", folder / "ready"
    for made in (memory, own):
        made.mkdir(parents=True)
    for name, text in files.items():
        path = own / name.removeprefix("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600 if name.endswith(SECRET) else 0o644)
    apart = ["--mount", "--propagation=slave", "--pid", "--fork", "--mount-proc", "--kill-child=SIGTERM"]
    program = Program(
        "linux host",
        [require("unshare", "util-linux"), *apart, "sh", "-c", _SETUP, "sh", *command],
        {"PACKAGES": str(PACKAGES), "MEMORY": str(memory), "FILES": str(own), "READY": str(ready), "PROFILE": profile},
    )
    try:
        eventually(ready.exists, "the host is there", alive=program)
        yield LinuxHost(program=program)
    finally:
        program.kill()
