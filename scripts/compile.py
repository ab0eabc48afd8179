"""`make setup`: builds the compiled modules (setup.py) unless those of these sources are there.

Without a compiler all works as well, only slower, so that is said and no failure.
"""

import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from dataplane.compiled import folder
from dataplane.protocols import ldap
from scripts.tree import ROOT

MOST_SHOWN = 500
PACKAGE = Path("dataplane/protocols/ldap")


def is_built(root: Path) -> bool:
    """Whether the modules as they are now are there, compiled for this Python."""
    made = folder(root / PACKAGE, ldap.COMPILED)
    return all((made / f"{name}{EXTENSION_SUFFIXES[0]}").exists() for name in ldap.COMPILED)


def main() -> int:
    """Build them, and say so; once more where somebody has changed them meanwhile."""
    if is_built(ROOT):
        return 0
    sys.stdout.write("setup: compiled modules (setup.py)\n")
    sys.stdout.flush()
    begun, said = Path(), ""
    while not is_built(ROOT) and begun != (now := folder(ROOT / PACKAGE, ldap.COMPILED)):
        begun, said = now, _build()
    if not is_built(ROOT):
        sys.stdout.write(f"setup: the LDAP outpost stays uncompiled, and is slower:\n{said}\n")
    return 0


def _build() -> str:
    """Run setup.py; the end of what it said."""
    finished = subprocess.run(
        [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return finished.stdout.decode(errors="replace").strip()[-MOST_SHOWN:]


if __name__ == "__main__":
    sys.exit(main())
