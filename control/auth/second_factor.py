"""When a second factor is due: pure, and the same for the pages of ours, for applications and for every protocol."""

from collections.abc import Collection
from enum import StrEnum

from control.domain.application import Application
from control.domain.factors import SECOND_FACTORS, Method
from control.domain.identity import Person

# An app password stands for the session that made it: where that had used none (AppPassword.second_factor), a caller
# leaves it out.
_ENOUGH = SECOND_FACTORS | {Method.APP_PASSWORD}


class Due(StrEnum):
    """What is missing before the person may go on."""

    NOTHING = "nothing"
    CODE = "code"
    ENROLMENT = "enrolment"


def is_needed(person: Person, application: Application | None, has_one: bool) -> bool:
    """Whether the person has to use a second factor: has one, or a group or the application asks for it."""
    asked = application is not None and application.second_factor
    return has_one or person.needs_second_factor or asked


def is_due(person: Person, methods: Collection[Method], application: Application | None, has_one: bool) -> bool:
    """Whether one is needed that what the person proved to be by doesn't hold."""
    return is_needed(person, application, has_one) and not _ENOUGH & set(methods)


def due(person: Person, methods: Collection[Method], application: Application | None, has_one: bool) -> Due:
    """What is missing: a code, or first an authenticator app to make codes."""
    if not is_due(person, methods, application, has_one):
        return Due.NOTHING
    return Due.CODE if has_one else Due.ENROLMENT
