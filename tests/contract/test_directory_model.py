"""Whatever happens to control's directory, its database, the stream, the outpost and its disk: in the end the outpost
holds what control has.

Both ends are real, and so are their messages; there is no network between them, so that each step can be chosen.
"""

import asyncio
import itertools
import os
import random
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from control.domain.application import AttributeMapping
from control.domain.identity import User, UserKind
from control.fleet import directory as fleet_directory
from control.link import translate as control_words
from control.link.course import Course, Source
from control.link.messages import Hello
from control.link.metrics import Metrics
from control.link.reading import read_watch
from control.store import Store, Unit
from control.store import directory as log_module
from dataplane.link import translate as outpost_words
from dataplane.link.directory import DirectoryAssembly
from dataplane.link.held import Held
from dataplane.link.journal import Journal
from dataplane.link.messages import DirectoryPart, Standing
from dataplane.link.target import Instance
from dataplane.link.world import World
from dataplane.runtime.directory import HeldDirectory
from protos.outpost.v1 import directory_pb2, link_pb2
from tests.support import builders
from tests.support.databases import sqlite_database
from tests.support.directories import directory_of
from tests.support.fleet import deploy_ldap
from tests.support.stores import ADMIN, Clock

INSTANCE = Instance(uid="u", type="ldap", hostname="h", version="v", build="", started=1.0)
KEY = b"k" * 32
Item = TypeVar("Item")
Change = Callable[[Unit, random.Random], object]
ATTRIBUTES = {"a": 1, "b": 2, "c": 3}
_numbers = itertools.count()
"""For names that nobody has yet."""


def some(items: list[Item], chance: random.Random) -> list[Item]:
    return chance.sample(items, chance.randint(0, min(3, len(items))))


def add_user(unit: Unit, chance: random.Random) -> None:
    kind = chance.choice(list(UserKind))
    user = unit.users.add(builders.user(f"u{next(_numbers)}", kind=kind, attributes=ATTRIBUTES))
    unit.memberships.set_groups(user.id, [group.id for group in some(unit.groups.all(), chance)])


def people(unit: Unit) -> list[User]:
    """All but the accounts of the outposts that there are."""
    return [user for user in unit.users.all() if user.username.startswith("u")]


def edit_user(unit: Unit, chance: random.Random) -> None:
    for user in some(people(unit), chance):
        fields: dict[str, Any] = {
            "name": str(chance.random()),
            "kind": chance.choice(list(UserKind)),
            "password_hash": "$x",
        }
        unit.users.update(replace(user, **{name: fields[name] for name in some(list(fields), chance)}))


def remove_users(unit: Unit, chance: random.Random) -> None:
    for user in some(people(unit), chance):
        unit.users.remove(user)


def add_group(unit: Unit, chance: random.Random) -> None:
    parents = frozenset(group.id for group in some(unit.groups.all(), chance))
    unit.groups.add(builders.group(f"g{next(_numbers)}", parents=parents))


def edit_groups(unit: Unit, chance: random.Random) -> None:
    groups = unit.groups.all()
    for group in some(groups, chance):
        parents = frozenset(each.id for each in some(groups, chance))
        unit.groups.update(replace(group, superuser=chance.random() < 0.5, parents=parents))


def remove_group(unit: Unit, _chance: random.Random) -> None:
    """The one with the most members."""
    groups = sorted(unit.groups.all(), key=lambda group: len(unit.memberships.users_in(group.id)))
    for group in groups[-1:]:
        unit.groups.remove(group)


def move_people(unit: Unit, chance: random.Random) -> None:
    users = [user.id for user in unit.users.all()]
    for group in some(unit.groups.all(), chance):
        unit.memberships.set_users(group.id, some(users, chance))
    for user in some(users, chance):
        unit.memberships.set_groups(user, [group.id for group in some(unit.groups.all(), chance)])


def something_else(unit: Unit, chance: random.Random) -> None:
    unit.applications.add(builders.application(f"a{next(_numbers)}"))
    for user in some(unit.users.all(), chance):
        unit.users.touch_sign_in(user.id)


def show_others(unit: Unit, chance: random.Random) -> None:
    for provider in some(unit.ldap_providers.all(), chance):
        shown = tuple(AttributeMapping(attribute=each, source=each) for each in some(list(ATTRIBUTES), chance))
        unit.ldap_providers.update(replace(provider, user_attributes=shown))


def serve_others(unit: Unit, chance: random.Random) -> None:
    """One at least: who serves none is left with nothing, which is the stream's matter."""
    providers = [provider.id for provider in unit.ldap_providers.all()]
    served = frozenset(chance.sample(providers, chance.randint(1, len(providers))))
    unit.outposts.update(replace(unit.outposts.get_named("ldap"), providers=served))


CHANGES = [
    *(add_user, edit_user, remove_users, add_group, edit_groups, remove_group, move_people, something_else),
    *(show_others, serve_others),
]
SEEDS = st.integers(0, 2**32)
SOME_CHANGES = st.lists(st.sampled_from(CHANGES), min_size=1, max_size=3)
Round = tuple[list[Change], int, int]
ROUNDS: st.SearchStrategy[list[Round]] = st.lists(
    st.tuples(SOME_CHANGES, SEEDS, st.integers(0, 20)), min_size=1, max_size=4
)


class Feeding(RuleBasedStateMachine):
    """Control with its database, and one outpost with its disk."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        # Small, so that few changes are many pages, parts and trimmed logs.
        for target, name, value in (
            (fleet_directory, "PAGE", 3),
            (control_words, "DIRECTORY_PART_BYTES", 300),
            (log_module, "KEPT_CHANGES", 6),
        ):
            self.stack.enter_context(mock.patch.object(target, name, value))
        # In memory: what is on a disk is there sooner or later, and that is not the question.
        memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
        self.folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory(dir=memory)))
        self.backup: bytes | None = None
        self.start_control()
        self.outpost = deploy_ldap(self.store, "ldap").outpost.id
        deploy_ldap(self.store, "other")
        self.change([*[add_group] * 4, *[add_user] * 6, edit_groups], 0)
        self.start_outpost()

    # Control and its database.

    def start_control(self) -> None:
        file = self.folder / "garrison.db"
        migrated = not file.exists()
        self.database = self.stack.enter_context(sqlite_database(file, migrated=migrated))
        self.store: Store = self.database.store(Clock())
        self.source = Source(self.store, Metrics())
        self.source.begin()
        self.disconnect()

    @rule(changes=SOME_CHANGES, seed=SEEDS)
    def change(self, changes: list[Change], seed: int) -> None:
        chance = random.Random(seed)
        with self.store.write(ADMIN) as unit:
            for each in changes:
                each(unit, chance)

    @rule(rounds=ROUNDS)
    def trim(self, rounds: list[Round]) -> None:
        """After changes, of which a stream that is in the middle of something has heard little."""
        for changes, seed, _ in rounds:
            self.change(changes, seed)
        with self.store.write(ADMIN) as unit:
            unit.directory.trim()

    @rule()
    def restart_control(self) -> None:
        self.database.close()
        self.start_control()

    @rule()
    def back_up(self) -> None:
        file = self.folder / "backup.db"
        with sqlite3.connect(self.folder / "garrison.db") as live, sqlite3.connect(file) as copy:
            live.backup(copy)
        live.close()
        copy.close()
        self.backup = file.read_bytes()

    @precondition(lambda self: self.backup is not None)
    @rule(changes=st.integers(0, 4), seed=SEEDS)
    def restore_backup(self, changes: int, seed: int) -> None:
        """And so much happens before any outpost is there again."""
        assert self.backup is not None
        self.database.close()
        for suffix in ("-wal", "-shm"):
            (self.folder / f"garrison.db{suffix}").unlink(missing_ok=True)
        (self.folder / "garrison.db").write_bytes(self.backup)
        self.start_control()
        for number in range(changes):
            self.change([add_user], seed + number)

    @rule(rounds=ROUNDS, changes=st.integers(0, 4), seed=SEEDS)
    def lose_history(self, rounds: list[Round], changes: int, seed: int) -> None:
        """What an outpost may know of never happened."""
        self.back_up()
        self.live(rounds)
        self.restore_backup(changes, seed)

    # The stream.

    @rule()
    def disconnect(self) -> None:
        self.steps: Iterator[link_pb2.WatchResponse] | None = None

    @rule(messages=st.integers(1, 40))
    def deliver(self, messages: int) -> None:
        """Messages arrive, over a new stream where there is none."""
        for _ in range(messages):
            if not self.deliver_one():
                return

    @rule(rounds=ROUNDS)
    def live(self, rounds: list[Round]) -> None:
        """Changes while messages arrive."""
        for changes, seed, messages in rounds:
            self.change(changes, seed)
            self.deliver(messages)

    def deliver_one(self) -> bool:
        if self.steps is None:
            self.connect()
        assert self.steps is not None
        message = next(self.steps, None)
        if message is None:
            # All was said, until more happens.
            self.steps = self.course.lead_on()
            return False
        part = outpost_words.pushed(link_pb2.WatchResponse.FromString(message.SerializeToString()))
        assert isinstance(part, DirectoryPart)
        change = self.assembly.add(part, self.directory.position)
        if change:
            self.directory.apply(change)
        return True

    def connect(self) -> None:
        (said,) = outpost_words.hello(INSTANCE, Held(), 1.0, Standing(directory=self.directory.position))
        hello = read_watch(said)
        assert isinstance(hello, Hello)
        self.assembly = DirectoryAssembly()
        self.course = Course(self.source, self.outpost, hello.directory)
        self.steps = self.course.lead_on()

    def shown(self) -> set[str]:
        with self.store.read() as unit:
            served = unit.ldap_providers.find_many(unit.outposts.get(self.outpost).providers)
        return {each.source for provider in served.values() for each in provider.user_attributes}

    # The outpost and its disk.

    def start_outpost(self) -> None:
        journal = Journal(self.folder / "directory", KEY, os.urandom)
        self.directory = HeldDirectory(journal, World())
        self.mirror: dict[str, bytes] = {}
        self.directory.observe(self.observe)
        self.disconnect()

    def observe(self, changed: Mapping[str, bytes], removed: frozenset[str]) -> None:
        self.mirror.update(changed)
        for key in removed:
            del self.mirror[key]

    @rule()
    def save(self) -> None:
        asyncio.run(self.directory.finish())

    @rule(torn=st.integers(0, 200))
    def crash(self, torn: int) -> None:
        """The outpost is killed, and some of what it wrote last never reached the disk."""
        file = self.folder / "directory"
        if file.exists():
            os.truncate(file, max(0, file.stat().st_size - torn))
        self.start_outpost()

    @rule()
    def stop(self) -> None:
        self.save()
        held = dict(self.directory.entries)
        self.start_outpost()
        assert self.directory.entries == held

    @invariant()
    def observers_know_what_is_held(self) -> None:
        assert self.mirror == self.directory.entries

    def teardown(self) -> None:
        try:
            # What leads on goes to where the present was when that began; one that begins now must have nothing to say.
            while self.deliver_one() or self.deliver_one():
                pass
            held = {key: directory_pb2.DirectoryEntry.FromString(data) for key, data in self.directory.entries.items()}
            assert held == directory_of(self.store, self.shown())
            self.stop()
            assert not self.deliver_one()
        finally:
            self.stack.close()


Feeding.TestCase.settings = settings(max_examples=40, stateful_step_count=20)
TestFeeding = Feeding.TestCase
