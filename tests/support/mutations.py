"""Things that may happen to the database, done at random: for tests of what keeps it in memory."""

import random
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar
from uuid import UUID, uuid4

from control.domain.application import Binding, PolicyMode, ProxyMode
from control.domain.errors import InUse, Invalid, NotFound
from control.domain.outpost import OutpostType
from control.domain.security import Certificate
from control.fleet.authority import ensure_authority
from control.fleet.instances import ask_drain
from control.fleet.outposts import remove_outpost
from control.fleet.session_keys import replace_cookie_key
from control.fleet.tokens import create_deployment_identity, replace_token
from control.store import Store, Unit
from tests.support import builders
from tests.support.fleet import add_directory, add_outpost, add_site
from tests.support.stores import ADMIN

Thing = TypeVar("Thing")
Act = Callable[[Unit, random.Random], None]


def some(dice: random.Random, things: Iterable[Thing]) -> Thing:
    """One of them; NotFound where there is none."""
    everything = list(things)
    if not everything:
        raise NotFound("thing", "any")
    return dice.choice(everything)


def name(dice: random.Random) -> str:
    return f"n{dice.randrange(10**12)}"


def add_application(unit: Unit, dice: random.Random) -> None:
    add_site(unit, name(dice))


def change_provider(unit: Unit, dice: random.Random) -> None:
    provider = some(dice, unit.proxy_providers.all())
    unit.proxy_providers.update(replace(provider, external_host=f"https://{name(dice)}.example.com"))


def add_a_directory(unit: Unit, dice: random.Random) -> None:
    add_directory(unit, name(dice))


def change_directory(unit: Unit, dice: random.Random) -> None:
    provider = some(dice, unit.ldap_providers.all())
    group, certificate = (
        dice.choice([None, *ids(unit.groups.all())]),
        dice.choice([None, *ids(unit.certificates.all())]),
    )
    shown = dice.sample(provider.user_attributes, k=dice.randint(0, len(provider.user_attributes)))
    changed = replace(provider, search_group=group, certificate=certificate, user_attributes=tuple(shown))
    unit.ldap_providers.update(changed)


def remove_provider(unit: Unit, dice: random.Random) -> None:
    provider = some(dice, unit.providers.all())
    application = unit.applications.find_for_provider(provider.id)
    if application is not None and dice.random() < 0.8:
        unit.applications.remove(application)
    unit.providers.remove(provider)


def remove_application(unit: Unit, dice: random.Random) -> None:
    unit.applications.remove(some(dice, unit.applications.all()))


def change_application(unit: Unit, dice: random.Random) -> None:
    application = some(dice, unit.applications.all())
    free = [each.id for each in unit.providers.all() if unit.applications.find_for_provider(each.id) is None]
    provider = dice.choice([None, application.provider, *free])
    mode = dice.choice(list(PolicyMode))
    unit.applications.update(replace(application, provider=provider, policy_mode=mode))


def add_person(unit: Unit, dice: random.Random) -> None:
    user = unit.users.add(builders.user(name(dice)))
    unit.memberships.set_groups(user.id, frozenset(dice.sample(ids(unit.groups.all()), k=min(2, unit.groups.count()))))


def ids(things: Iterable[Any]) -> list[UUID]:
    return [each.id for each in things]


def change_person(unit: Unit, dice: random.Random) -> None:
    unit.users.update(replace(some(dice, people(unit)), name=name(dice), active=dice.random() < 0.7))


def people(unit: Unit) -> list[Any]:
    return [user for user in unit.users.all() if user.username.startswith("n")]


def remove_person(unit: Unit, dice: random.Random) -> None:
    unit.users.remove(some(dice, people(unit)))


def change_groups_of(unit: Unit, dice: random.Random) -> None:
    user = some(dice, people(unit))
    chosen = dice.sample(ids(unit.groups.all()), k=dice.randint(0, min(2, unit.groups.count())))
    unit.memberships.set_groups(user.id, frozenset(chosen))


def add_group(unit: Unit, dice: random.Random) -> None:
    parents = frozenset(dice.sample(ids(unit.groups.all()), k=min(1, unit.groups.count())))
    unit.groups.add(builders.group(name(dice), parents=parents))


def change_group(unit: Unit, dice: random.Random) -> None:
    unit.groups.update(replace(some(dice, unit.groups.all()), attributes={"n": name(dice)}))


def remove_group(unit: Unit, dice: random.Random) -> None:
    unit.groups.remove(some(dice, unit.groups.all()))


def add_binding(unit: Unit, dice: random.Random) -> None:
    application = some(dice, unit.applications.all())
    groups, users = ids(unit.groups.all()), ids(people(unit))
    blank = Binding(id=uuid4(), application=application.id, order=dice.randrange(5), group=None)
    bound = replace(blank, group=some(dice, groups)) if dice.random() < 0.5 else replace(blank, user=some(dice, users))
    unit.bindings.add(bound)


def remove_binding(unit: Unit, dice: random.Random) -> None:
    unit.bindings.remove(some(dice, unit.bindings.all()))


def change_binding(unit: Unit, dice: random.Random) -> None:
    unit.bindings.update(replace(some(dice, unit.bindings.all()), negate=dice.random() < 0.5))


def add_an_outpost(unit: Unit, dice: random.Random) -> None:
    add_outpost(unit, name(dice), embedded=False, type=dice.choice(list(OutpostType)))


def change_outpost(unit: Unit, dice: random.Random) -> None:
    providers = ids(unit.providers.all())
    chosen = frozenset(dice.sample(providers, k=dice.randint(0, len(providers))))
    unit.outposts.update(replace(some(dice, unit.outposts.all()), providers=chosen))


def take_outpost_away(unit: Unit, dice: random.Random) -> None:
    remove_outpost(unit, some(dice, unit.outposts.all()))


def another_token(unit: Unit, dice: random.Random) -> None:
    replace_token(unit, some(dice, unit.outposts.all()))


def another_account(unit: Unit, dice: random.Random) -> None:
    outpost = some(dice, unit.outposts.all())
    account = create_deployment_identity(unit, uuid4(), name(dice)).account
    unit.outposts.update(replace(outpost, service_account=account.id))


def another_key(unit: Unit, dice: random.Random) -> None:
    replace_cookie_key(unit, some(dice, unit.proxy_providers.all()).id)


def add_certificate(unit: Unit, dice: random.Random) -> None:
    key = dice.choice([None, "key"])
    found = unit.certificates.add(
        Certificate(id=uuid4(), name=name(dice), chain="c", private_key=key, created=unit.now)
    )
    unit.proxy_providers.update(replace(some(dice, unit.proxy_providers.all()), certificate=found.id))


def proxy_through(unit: Unit, dice: random.Random) -> None:
    certificates = [None, *ids(unit.certificates.all())]
    changed = replace(
        some(dice, unit.proxy_providers.all()),
        mode=dice.choice([*ProxyMode]),
        internal_host="https://127.0.0.1",
        internal_host_authorities=dice.choice(certificates),
        internal_host_certificate=dice.choice(certificates),
    )
    unit.proxy_providers.update(changed)


def renew_certificate(unit: Unit, dice: random.Random) -> None:
    unit.certificates.update(replace(some(dice, unit.certificates.all()), chain=name(dice)))


def remove_certificate(unit: Unit, dice: random.Random) -> None:
    unit.certificates.remove(some(dice, unit.certificates.all()))


def make_authority(unit: Unit, _: random.Random) -> None:
    ensure_authority(unit)


def drain(unit: Unit, dice: random.Random) -> None:
    outpost = some(dice, unit.outposts.all())
    ask_drain(unit, outpost, some(dice, unit.instances.of_outpost(outpost.id)).uid)


ACTS: tuple[Act, ...] = (
    add_application,
    change_provider,
    add_a_directory,
    change_directory,
    remove_provider,
    remove_application,
    change_application,
    add_person,
    add_person,
    change_person,
    remove_person,
    change_groups_of,
    add_group,
    change_group,
    remove_group,
    add_binding,
    add_binding,
    remove_binding,
    change_binding,
    add_an_outpost,
    change_outpost,
    change_outpost,
    take_outpost_away,
    another_token,
    another_account,
    another_key,
    add_certificate,
    proxy_through,
    renew_certificate,
    remove_certificate,
    make_authority,
    drain,
)


def act(store: Store, dice: random.Random) -> None:
    """One unit of work of a few acts; what can't be done is not."""
    with suppress(InUse, Invalid, NotFound), store.write(ADMIN) as unit:
        for _ in range(dice.choice((1, 1, 2))):
            dice.choice(ACTS)(unit, dice)
