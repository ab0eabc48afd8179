"""Sessions as pages list them: whose, on what device, proved by what, and the applications that were opened from it.

A constant number of queries, however many sessions are listed.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from control.domain.application import Application
from control.domain.identity import User
from control.domain.security import SignIn
from control.store import Unit
from control.web.devices import Device, device_of


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLine:
    """One session. `applications` are those that got an identity by it, by name."""

    sign_in: SignIn
    user: User
    device: Device
    applications: Sequence[Application]


def read_lines(unit: Unit, sign_ins: Collection[SignIn]) -> list[SessionLine]:
    """These sessions in their order."""
    users = unit.users.find_many({each.user for each in sign_ins})
    opened = _opened(unit, sign_ins)
    return [
        SessionLine(
            sign_in=each,
            user=users[each.user],
            device=device_of(each.user_agent),
            applications=opened.get(str(each.id), ()),
        )
        for each in sign_ins
    ]


def lines_of_user(unit: Unit, user: User) -> list[SessionLine]:
    """The user's sessions that live, the latest used first."""
    living = [each for each in unit.sign_ins.of_user(user.id) if each.expires > unit.now]
    return read_lines(unit, sorted(living, key=lambda each: each.last_seen, reverse=True))


def _opened(unit: Unit, sign_ins: Collection[SignIn]) -> Mapping[str, Sequence[Application]]:
    """By session: the audit trail has "alice at wiki" for each code that was traded for an identity."""
    names = unit.audit.names_by_target("redeemed", [str(each.id) for each in sign_ins])
    by_slug = {each.slug: each for each in unit.applications.all()} if names else {}
    return {
        session: sorted(
            (by_slug[slug] for slug in {_slug(name) for name in redeemed} if slug in by_slug),
            key=lambda application: application.name.lower(),
        )
        for session, redeemed in names.items()
    }


def _slug(name: str) -> str:
    return name.rpartition(" at ")[2]
