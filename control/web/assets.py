"""Addresses of the built assets, and how long browsers may keep them.

`make web` writes static/dist with hashed names and manifest.json. Without it pages still work, unstyled, and the log
says what to run.
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
class Assets:
    """The manifest: from an asset's plain name to its hashed one."""

    names: Mapping[str, str]

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
    manifest = folder / "dist" / "manifest.json"
    if manifest.exists():
        return Assets(json.loads(manifest.read_text()))
    log.error("no web assets: run make web", extra={"manifest": str(manifest)})
    return Assets({})


def cache_hashed(response: Response) -> Response:
    """Let browsers keep files whose name changes with their content; everything else is asked for again."""
    if request.endpoint == "static":
        name = (request.view_args or {}).get("filename", "")
        hashed = (
            name.startswith("dist/") and not name.endswith("manifest.json") and response.status_code == HTTPStatus.OK
        )
        response.headers["Cache-Control"] = A_YEAR if hashed else "no-cache"
    return response
