"""The files of the repository as its checks see them: what one writes, not what is installed, built or generated."""

import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SKIPPED = frozenset({"node_modules", "__pycache__", "dist", "data", "build", "_compiled"})
HIDDEN_BUT_OURS = frozenset({".ci"})


def sources(root: Path, *suffixes: str) -> Iterator[Path]:
    """Every file below root with one of the suffixes, in order; with no suffix given, every file."""
    for folder, names, files in os.walk(root):
        names[:] = sorted(name for name in names if _is_ours(name))
        for file in sorted(files):
            if not suffixes or file.endswith(suffixes):
                yield Path(folder) / file


def _is_ours(folder: str) -> bool:
    hidden = folder.startswith(".") and folder not in HIDDEN_BUT_OURS
    return not (hidden or folder in SKIPPED or folder.endswith(".egg-info"))
