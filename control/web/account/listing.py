"""Reading for the pages about app passwords, of the own account and of the admin's user page."""

from dataclasses import dataclass
from uuid import UUID

from control.auth.app_passwords import is_expired
from control.domain.factors import AppPassword
from control.domain.identity import Person
from control.store import Unit
from control.web.portal.views import tiles_of


@dataclass(frozen=True, slots=True, kw_only=True)
class AppPasswordLine:
    """One app password with the names of what it is for; none where it is for everything."""

    made: AppPassword
    applications: tuple[str, ...]
    expired: bool


def list_app_passwords(unit: Unit, user: UUID) -> list[AppPasswordLine]:
    """Those of one user, the newest first, in a fixed number of queries."""
    made = unit.app_passwords.of_user(user)
    named = unit.applications.find_many({key for each in made for key in each.applications})
    return [
        AppPasswordLine(
            made=each,
            applications=tuple(sorted(named[key].name for key in each.applications if key in named)),
            expired=is_expired(each, unit.now),
        )
        for each in reversed(made)
    ]


def applications_to_choose(unit: Unit, person: Person) -> list[tuple[str, str, str]]:
    """What the person may use: id, name, host."""
    return [(str(tile.application.id), tile.application.name, tile.host) for tile in tiles_of(unit, person)]
