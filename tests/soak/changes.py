"""What an administrator's script changes meanwhile, in a thread of its own: some change each second, all kinds.

It writes through the product's own commands, as pages and `garrison apply` do, and keeps book of what each session is
worth by now. It never touches what a steady person's access hangs on, but for their names.
"""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from uuid import uuid4

from control.auth import people
from control.auth.people import GroupDraft, UserDraft
from control.domain.identity import User
from control.fleet.applications import create_application
from control.fleet.authority import rotate_authority
from control.fleet.certificates import generate_certificate
from control.fleet.outposts import update_outpost
from control.fleet.proxy_providers import create_proxy_provider, update_proxy_provider
from control.fleet.rotation import rotate_token
from control.store import Actor, DatabaseBusy, Unit
from tests.soak.fleet import Fleet, Group

SCRIPT = Actor(name="script")
PACE = (0.2, 1.0)
# Tokens that an outpost keeps besides its environment's; authorities that may be trusted at once.
ROTATIONS = 3
AUTHORITIES = 1


class Script(threading.Thread):
    """Changes things until `finish`. `counts` by name; `failures` are what should not have happened."""

    def __init__(self, fleet: Fleet, chance: random.Random) -> None:
        super().__init__(name="script", daemon=True)
        self._fleet = fleet
        self._chance = chance
        self._done = threading.Event()
        self._numbers = iter(range(1, 1_000_000))
        self._added: dict[str, list[str]] = {group.name: [] for group in fleet.groups}
        self._rotated: Counter[str] = Counter()
        self._notes: list[Callable[[], None]] = []
        self.counts: Counter[str] = Counter()
        self.failures: list[str] = []

    def finish(self) -> None:
        """Change nothing more."""
        self._done.set()
        self.join(60)
        assert not self.is_alive(), "the script hangs"

    def run(self) -> None:
        """Change one thing after the other."""
        while not self._done.wait(self._chance.uniform(*PACE)):
            change = self._chance.choice(self._kinds)
            self._notes = []
            try:
                with self._fleet.store.write(SCRIPT) as unit:
                    name = change(self, unit)
            except DatabaseBusy:
                self.counts["database busy"] += 1
            except Exception as error:  # noqa: BLE001 - whatever it is, the verdict tells of it
                self.failures.append(f"{change.__name__}: {error!r}")
            else:
                self.counts[name] += 1
                for note in self._notes:
                    note()

    # People. What is noted in the book counts once it is committed.

    def _rename(self, unit: Unit) -> str:
        person = self._chance.choice([*self._fleet.steady, *self._fleet.others])
        name = f"{person.username} {next(self._numbers)}"
        people.update_user(unit, replace(unit.users.get_named(person.username), name=name))
        self._notes.append(lambda: setattr(person, "name", name))
        return "renamed"

    def _lock_out(self, unit: Unit) -> str:
        person = self._chance.choice(self._fleet.others)
        user = unit.users.get_named(person.username)
        people.set_active(unit, user.id, active=not user.active)
        self._notes.append(lambda: setattr(person, "ended", True))
        return "locked out" if user.active else "let in again"

    def _move(self, unit: Unit) -> str:
        person = self._chance.choice(self._fleet.others)
        joins = not person.in_staff
        staff = unit.groups.get_named("staff").id
        people.set_user_groups(unit, unit.users.get_named(person.username).id, [staff] if joins else [])
        self._notes.append(lambda: setattr(person, "in_staff", joins))
        return "moved"

    def _hire(self, unit: Unit) -> str:
        group = people.create_group(unit, GroupDraft(name=f"group{next(self._numbers)}"))
        for _ in range(self._chance.choice((1, 1, 30))):
            name = f"extra{next(self._numbers)}"
            people.create_user(unit, UserDraft(username=name, name=name, groups=frozenset({group.id})))
        return "hired"

    def _dismiss(self, unit: Unit) -> str:
        extra = [user for user in unit.users.all() if user.username.startswith("extra")]
        for user in self._some(extra):
            people.remove_user(unit, user.id)
        return "dismissed"

    # Applications.

    def _add(self, unit: Unit) -> str:
        group = self._chance.choice(self._fleet.groups)
        name = f"{group.name}-more{next(self._numbers)}"
        fields = {"name": name, "mode": "forward_single", "external_host": f"https://{name}.example.test"}
        provider = create_proxy_provider(unit, fields, self._fleet.garrison.url)
        create_application(unit, {"slug": name, "name": name, "provider": provider.id})
        self._serve(unit, group, [*self._added[group.name], name])
        return "application added"

    def _remove(self, unit: Unit) -> str:
        group = self._chance.choice(self._fleet.groups)
        if not self._added[group.name]:
            return "no application removed"
        name, *others = self._added[group.name]
        self._serve(unit, group, others)
        provider = unit.proxy_providers.get_named(name)
        application = unit.applications.find_for_provider(provider.id)
        if application is not None:
            unit.applications.remove(application)
        unit.providers.remove(provider)
        return "application removed"

    def _alter(self, unit: Unit) -> str:
        provider = unit.proxy_providers.get_named(self._chance.choice(self._unwatched()))
        skip = f"^/public{next(self._numbers)}/"
        update_proxy_provider(unit, provider, {"skip_path_regex": skip}, self._fleet.garrison.url)
        return "application altered"

    def _bind(self, unit: Unit) -> str:
        """Not where people are signed in: it would end their sessions."""
        provider = unit.proxy_providers.get_named(self._chance.choice(self._unwatched()))
        application = unit.applications.find_for_provider(provider.id)
        assert application is not None
        first, *more = unit.bindings.of_application(application.id)
        for binding in more:
            unit.bindings.remove(binding)
        if not more:
            user = unit.users.get_named(self._chance.choice(self._fleet.others).username)
            unit.bindings.add(replace(first, id=uuid4(), group=None, user=user.id, order=1))
        return "bindings changed"

    def _certify(self, unit: Unit) -> str:
        group = self._chance.choice(self._fleet.groups)
        fields = {"name": f"certificate{next(self._numbers)}", "common_name": group.site.host}
        certificate = generate_certificate(unit, fields)
        provider = unit.proxy_providers.get_named(self._chance.choice(group.providers))
        update_proxy_provider(unit, provider, {"certificate": certificate.id}, self._fleet.garrison.url)
        return "certificate renewed"

    # Outposts.

    def _configure(self, unit: Unit) -> str:
        group = self._chance.choice(self._fleet.groups)
        level = self._chance.choice(("info", "debug", "warning"))
        refresh = f"seconds={self._chance.randint(5, 300)}"
        outpost = unit.outposts.get_named(group.name)
        update_outpost(unit, outpost, {"config": {"log_level": level, "refresh_interval": refresh}})
        return "options changed"

    def _rotate(self, unit: Unit) -> str:
        group = self._chance.choice(self._fleet.groups)
        if self._rotated[group.name] >= ROTATIONS:
            return "no token rotated"
        self._notes.append(lambda: self._rotated.update([group.name]))
        rotate_token(unit, unit.outposts.get_named(group.name))
        return "token rotated"

    def _rotate_authority(self, unit: Unit) -> str:
        if self._rotated["authority"] >= AUTHORITIES:
            return "no authority rotated"
        self._notes.append(lambda: self._rotated.update(["authority"]))
        rotate_authority(unit)
        return "authority rotated"

    _kinds: tuple[Callable[["Script", Unit], str], ...] = (
        *(_rename, _rename, _lock_out, _lock_out, _move, _move, _hire, _dismiss),
        *(_add, _add, _add, _remove, _remove, _alter, _alter, _bind, _certify, _configure, _rotate, _rotate_authority),
    )

    def _serve(self, unit: Unit, group: Group, added: list[str]) -> None:
        """Have the group serve its own providers and these."""
        served = [unit.proxy_providers.get_named(name).id for name in (*group.providers, *added)]
        update_outpost(unit, unit.outposts.get_named(group.name), {"providers": served})
        self._notes.append(lambda: self._added.update({group.name: added}))

    def _unwatched(self) -> list[str]:
        return [name for group in self._fleet.groups for name in group.providers[1:]]

    def _some(self, users: Iterable[User]) -> list[User]:
        return [user for user in users if self._chance.random() < 0.2][:10]
