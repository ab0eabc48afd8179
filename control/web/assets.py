"""Addresses of the built assets, and how long browsers may keep them.

`make web` writes static/dist with hashed names and manifest.json; it is read anew when it was built anew, as the files
of the build before are gone. Without it pages still work, unstyled, and the log says what to run.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from flask import Response, request, url_for
from markupsafe import Markup

log = logging.getLogger("control.web")

STATIC = Path(__file__).parent / "static"
A_YEAR = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Manifest:
    """From an asset's plain name to its hashed one, and when that was written."""

    names: Mapping[str, str]
    written: int = 0


class Assets:
    """The assets of the newest build; between two builds, those of the last one seen."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._manifest = Manifest({})
        if not self.names:
            log.error("no web assets: run make web", extra={"manifest": str(path)})

    @property
    def names(self) -> Mapping[str, str]:
        """What the manifest says."""
        try:
            written = self._path.stat().st_mtime_ns
            if written != self._manifest.written:
                self._manifest = Manifest(json.loads(self._path.read_text()), written)
        except FileNotFoundError:
            pass  # not built yet, or the moment in which one build takes the place of another
        return self._manifest.names

    def url(self, key: str) -> str:
        """The address of one asset."""
        return url_for("static", filename=f"dist/{self.names.get(key, key)}")

    def icon(self, name: str, class_: str = "") -> Markup:
        """An icon of the sprite, hidden from screen readers: words stand beside it."""
        return Markup('<svg class="icon {}" aria-hidden="true"><use href="{}#{}"/></svg>').format(
            class_, self.url("icons.svg"), name
        )


def load_assets(folder: Path = STATIC) -> Assets:
    """The assets that were built, or none of them with a line in the log."""
    return Assets(folder / "dist" / "manifest.json")


def cache_hashed(response: Response) -> Response:
    """Let browsers keep files whose name changes with their content; everything else is asked for again."""
    if request.endpoint == "static":
        name = (request.view_args or {}).get("filename", "")
        hashed = (
            name.startswith("dist/") and not name.endswith("manifest.json") and response.status_code == HTTPStatus.OK
        )
        response.headers["Cache-Control"] = A_YEAR if hashed else "no-cache"
    return response
