"""Where the compiled form of modules lies: in a folder named by the very sources it was made of.

Some modules run from several times to ten times as fast compiled by mypyc, and mean the same. setup.py makes that form
where a compiler is at hand. A package that lists such modules puts the folder before its own, so compiled modules are
found while their sources are these, and the sources otherwise: what is stale is never found, and never in the way.
With GARRISON_PURE=1 in the environment nothing is compiled, and nothing compiled is run.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

FOLDER = "_compiled"
PURE = "GARRISON_PURE"


def folder(package: Path, modules: Iterable[str]) -> Path:
    """The folder of the compiled form of these modules of the package; it need not be there."""
    digest = hashlib.sha256()
    for name in modules:
        source = (package / f"{name}.py").read_bytes()
        digest.update(f"{name} {len(source)}\n".encode() + source)
    return package / FOLDER / f"of_{digest.hexdigest()[:16]}"


def search_path(package: str, modules: Iterable[str]) -> list[str]:
    """The `__path__` of the package in this folder."""
    if is_pure():
        return [package]
    made = folder(Path(package), modules)
    return [str(made), package] if made.is_dir() else [package]


def is_pure() -> bool:
    """Whether Python alone is wanted."""
    return os.environ.get(PURE) == "1"
