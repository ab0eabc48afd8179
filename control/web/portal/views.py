"""The start page: tiles of the applications that the policies let this person use."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Blueprint, Flask, render_template
from flask.typing import ResponseReturnValue

from control.domain.application import Application, LdapProvider, Provider
from control.domain.decision import Allow
from control.domain.identity import Person
from control.domain.policy import decide
from control.fleet.applications import launch_url_of
from control.store import Unit
from control.web.context import web
from control.web.guards import signed_in
from control.web.identity import get_person
from control.web.lookups import bindings_by_application
from control.web.pages import search_text

blueprint = Blueprint("portal", __name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One application on the start page. `url` is "" when there is nowhere to go.

    `for_programs`: people don't go there, as programs ask a directory for them.
    """

    application: Application
    url: str
    for_programs: bool = False

    @property
    def host(self) -> str:
        """Where it leads, for the eye."""
        return urlsplit(self.url).netloc or ("LDAP" if self.for_programs else "")


@blueprint.get("/")
@signed_in
def index() -> ResponseReturnValue:
    """The applications of the person who is signed in."""
    query = search_text()
    with web().store.read() as unit:
        tiles = [tile for tile in tiles_of(unit, get_person()) if not tile.for_programs]
        is_empty_system = unit.applications.count() == 0
    shown = [tile for tile in tiles if query.lower() in f"{tile.application.name} {tile.application.category}".lower()]
    return render_template(
        "portal/index.html",
        categories=by_category(shown),
        query=query,
        total=len(tiles),
        is_empty_system=is_empty_system,
    )


def tiles_of(unit: Unit, person: Person) -> list[Tile]:
    """The applications that the person may use, by name; also those that only programs ask."""
    providers = {provider.id: provider for provider in unit.providers.all()}
    bindings = bindings_by_application(unit.bindings.all())
    return [
        _tile(each, providers.get(each.provider) if each.provider else None)
        for each in unit.applications.all()
        if isinstance(decide(person, each, bindings.get(each.id, ())), Allow)
    ]


def _tile(application: Application, provider: Provider | None) -> Tile:
    url = launch_url_of(application, provider)
    return Tile(application=application, url=url, for_programs=isinstance(provider, LdapProvider) and not url)


def by_category(tiles: list[Tile]) -> Mapping[str, list[Tile]]:
    """The tiles of each category, in order; those without one first."""
    found: dict[str, list[Tile]] = defaultdict(list)
    for tile in sorted(tiles, key=lambda tile: (tile.application.category.lower(), tile.application.name.lower())):
        found[tile.application.category].append(tile)
    return found


def register(app: Flask) -> None:
    """Add the start page."""
    app.register_blueprint(blueprint)
