"""The service accounts by which programs search an LDAP provider, and what each still lacks."""

from collections.abc import Sequence
from dataclasses import dataclass

from control.auth.app_passwords import is_expired
from control.domain.application import Application, LdapProvider
from control.domain.decision import Allow
from control.domain.identity import User, UserKind, descendants
from control.domain.policy import decide
from control.store import Unit

SHOWN = 10
_LOOKED_AT = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Searcher:
    """A service account in the search group: whether it has an app password, and whether the rules let it in."""

    user: User
    has_password: bool
    is_let_in: bool


def read_searchers(unit: Unit, provider: LdapProvider, application: Application | None) -> Sequence[Searcher]:
    """The first of them by username."""
    if provider.search_group is None:
        return ()
    accounts, _ = unit.users.search("", (UserKind.SERVICE,), 0, _LOOKED_AT)
    wanted = descendants(provider.search_group, unit.groups.by_id())
    groups = unit.memberships.groups_of_each([account.id for account in accounts])
    found = [account for account in accounts if account.active and groups.get(account.id, frozenset()) & wanted]
    return [_searcher(unit, account, application) for account in found[:SHOWN]]


def _searcher(unit: Unit, user: User, application: Application | None) -> Searcher:
    made = unit.app_passwords.of_user(user.id)
    is_let_in = application is not None and isinstance(
        decide(unit.memberships.person(user), application, unit.bindings.of_application(application.id)), Allow
    )
    good = [
        each
        for each in made
        if not is_expired(each, unit.now)
        and (each.everywhere or (application is not None and application.id in each.applications))
    ]
    return Searcher(user=user, has_password=bool(good), is_let_in=is_let_in)
