"""Migrations: they lead to today's tables, once, whoever starts at the same moment."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from control.domain.errors import InUse
from control.store import migrate, tables
from control.store.engine import Begin, beginning
from control.store.migrate import UnfitDatabase, differences, is_in_use, upgrade
from tests.support import builders
from tests.support.databases import Database
from tests.support.postgres import PostgresServer
from tests.support.stores import ADMIN, Clock


def test_migrations_lead_to_the_tables(empty_database: Database) -> None:
    engine = empty_database.engine()
    upgrade(engine)
    assert differences(engine) == []


def test_migrating_twice_changes_nothing(database: Database, clock: Clock) -> None:
    with database.store(clock).write(ADMIN) as unit:
        unit.groups.add(builders.group())
    upgrade(database.engine())
    with database.store(clock).read() as unit:
        assert (unit.revision(), unit.groups.count()) == (2, 1)


def test_four_that_start_at_once_migrate_once(empty_database: Database) -> None:
    engines = [empty_database.engine() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(upgrade, engines))
    with engines[0].connect() as connection:
        assert connection.execute(sa.text("SELECT n FROM revision")).scalars().all() == [1]


def test_a_database_is_in_use_once_something_was_written(empty_database: Database, clock: Clock) -> None:
    engine = empty_database.engine()
    assert not is_in_use(engine)
    upgrade(engine)
    assert not is_in_use(engine)
    with empty_database.store(clock).write(ADMIN) as unit:
        unit.groups.add(builders.group())
    assert is_in_use(engine)


@pytest.fixture(params=["LATIN1", "SQL_ASCII"])
def unfit(request: pytest.FixtureRequest, postgres: PostgresServer) -> Iterator[Database]:
    """A database that can't hold every letter."""
    with postgres.empty_database(f"ENCODING '{request.param}' LOCALE 'C'") as name:
        database = Database(postgres.url(name))
        yield database
        database.close()


@pytest.mark.interop
def test_a_database_that_cannot_hold_every_letter_is_refused(unfit: Database) -> None:
    with pytest.raises(UnfitDatabase, match=r"found a database in (LATIN1|SQL_ASCII); expected one in UTF8"):
        upgrade(unfit.engine())


@pytest.mark.interop
def test_text_is_ordered_by_code_point_whatever_the_database_was_made_for(postgres: PostgresServer) -> None:
    with postgres.empty_database("LOCALE_PROVIDER icu ICU_LOCALE 'de-DE' LOCALE 'C.UTF-8'") as name:
        database = Database(postgres.url(name))
        engine = database.engine()
        upgrade(engine)
        assert differences(engine) == []
        with engine.connect() as connection:
            question = (
                "SELECT collation_name, count(*) FROM information_schema.columns"
                " WHERE table_schema = 'public' AND data_type IN ('character varying', 'text') GROUP BY 1"
            )
            ((collation, count),) = connection.execute(sa.text(question)).all()
        assert (collation, count > 50) == ("C", True)
        database.close()


def upgrade_to(engine: sa.Engine, revision: str) -> None:
    """The database as an earlier version had it."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    with beginning(engine, Begin.MIGRATING).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


PEOPLE = ("bob", "zoe", "al")


def fill_0003(engine: sa.Engine) -> dict[str, UUID]:
    """Three users, of whom al is in one of two groups and in the directory's log; their ids by name."""
    keys = {name: uuid4() for name in (*PEOPLE, "staff", "all")}
    stored = {name: key if engine.dialect.name == "postgresql" else key.hex for name, key in keys.items()}
    # In another order than they came in, so that theirs is seen.
    for name, day, hashed in (("bob", 2, None), ("zoe", 1, "hash"), ("al", 2, "hash")):
        at = datetime(2026, 1, day, 12, tzinfo=UTC)
        row: dict[str, object] = {"id": stored[name], "username": name, "name": name, "email": "", "kind": "internal"}
        row |= {"active": True, "attributes": {}, "password_hash": hashed}
        insert(engine, "users", {**row, "created": at, "updated": at + timedelta(hours=1)})
    for name in ("staff", "all"):
        flags = {"superuser": False, "second_factor": False}
        insert(engine, "groups", {"id": stored[name], "name": name, "attributes": {}, **flags})
    insert(engine, "memberships", {"user": stored["al"], "group": stored["staff"]})
    insert(engine, "directory_epochs", {"revision": 1, "epoch": stored["al"]})
    insert(engine, "directory_changes", {"revision": 1, "target": stored["al"], "kind": "user"})
    return keys


def insert(engine: sa.Engine, name: str, row: dict[str, object]) -> None:
    """A row, by the columns that there are just now."""
    with beginning(engine, Begin.WRITING).begin() as connection:
        table = sa.Table(name, sa.MetaData(), autoload_with=connection, resolve_fks=False)
        connection.execute(sa.insert(table).values(**row))


def test_who_was_there_before_numbers_gets_one(empty_database: Database, clock: Clock) -> None:
    engine = empty_database.engine()
    upgrade_to(engine, "0003")
    keys = fill_0003(engine)
    upgrade(engine)
    assert differences(engine) == []
    with empty_database.store(clock).write(ADMIN) as unit:
        assert {user.username: user.number for user in unit.users.all()} == {"zoe": 1, "al": 2, "bob": 3}
        assert {group.name: group.number for group in unit.groups.all()} == {"all": 1_000_000, "staff": 1_000_001}
        assert unit.memberships.groups_of(keys["al"]) == {keys["staff"]}
        assert unit.users.add(builders.user("new")).number == 4
        assert unit.groups.add(builders.group("new")).number == 1_000_002


def test_since_when_things_are_so_is_told_as_well_as_it_is_known(empty_database: Database, clock: Clock) -> None:
    engine = empty_database.engine()
    upgrade_to(engine, "0003")
    fill_0003(engine)
    upgrade(engine)
    with empty_database.store(clock).read() as unit:
        changed = {user.username: user.password_changed for user in unit.users.all()}
        zoe, al = (datetime(2026, 1, day, 13, tzinfo=UTC) for day in (1, 2))
        assert changed == {"zoe": zoe, "al": al, "bob": None}
        assert all(group.created == group.updated > datetime(2026, 1, 3, tzinfo=UTC) for group in unit.groups.all())


def test_the_directory_begins_a_new_history_with_numbers(empty_database: Database, clock: Clock) -> None:
    engine = empty_database.engine()
    upgrade_to(engine, "0003")
    keys = fill_0003(engine)
    upgrade(engine)
    with empty_database.store(clock).write(ADMIN) as unit:
        assert unit.users.context.rows(sa.text("SELECT 1 FROM directory_changes")) == []
        unit.directory.begin()
        (begun,) = unit.users.context.rows(sa.select(tables.directory_epochs.c.epoch))
        assert begun.epoch != keys["al"]


def test_outposts_of_an_earlier_version_are_deployed_by_hand(empty_database: Database, clock: Clock) -> None:
    engine = empty_database.engine()
    upgrade_to(engine, "0003")
    keys = fill_0003(engine)
    account = keys["al"] if engine.dialect.name == "postgresql" else keys["al"].hex
    at = datetime(2026, 1, 1, 12, tzinfo=UTC)
    row = {"id": account, "name": "edge", "type": "proxy", "service_account": account, "created": at}
    insert(engine, "outposts", {**row, "config": {"docker_network": "web"}, "embedded": False, "manual": False})
    upgrade(engine)
    with empty_database.store(clock).write(ADMIN) as unit:
        edge = unit.outposts.get_named("edge")
        assert (edge.integration, edge.config) == (None, {"docker_network": "web"})
        local = unit.integrations.add(builders.integration())
        unit.outposts.update(replace(edge, integration=local.id))
    with empty_database.store(clock).read() as unit:
        assert unit.outposts.get_named("edge").integration == local.id


def test_a_provider_of_an_earlier_version_gets_the_times_of_today(empty_database: Database, clock: Clock) -> None:
    engine = empty_database.engine()
    upgrade_to(engine, "0005")
    key = uuid4()
    is_postgresql = engine.dialect.name == "postgresql"
    stored = key if is_postgresql else key.hex
    # As SQLAlchemy keeps an Interval where a database has none.
    a_day = timedelta(days=1) if is_postgresql else datetime(1970, 1, 2)  # noqa: DTZ001 - of no zone, as it lies there
    insert(
        engine, "certificates", {"id": stored, "name": "web", "chain": "", "created": datetime(2026, 1, 1, tzinfo=UTC)}
    )
    insert(engine, "providers", {"id": stored, "name": "wiki", "type": "proxy"})
    insert(engine, "applications", {**_APPLICATION, "id": stored, "provider": stored})
    insert(
        engine,
        "cookie_keys",
        {"id": stored, "provider": stored, "secret": b"", "created": datetime(2026, 1, 1, tzinfo=UTC)},
    )
    insert(
        engine, "proxy_providers", {**_PROVIDER, "id": stored, "certificate": stored, "access_token_validity": a_day}
    )
    upgrade(engine)
    assert differences(engine) == []
    wanted = builders.provider(id=key, certificate=key, internal_host="http://127.0.0.1:3000")
    with empty_database.store(clock).write(ADMIN) as unit:
        assert unit.proxy_providers.get(key) == wanted
        assert (unit.applications.get(key).provider, unit.cookie_keys.count()) == (key, 1)
        with pytest.raises(InUse):
            unit.certificates.remove(unit.certificates.get(key))
        changed = replace(
            wanted, certificate=None, internal_host_certificate=key, internal_host_idle_timeout=timedelta(1)
        )
        unit.proxy_providers.update(changed)
    with empty_database.store(clock).read() as unit:
        assert unit.proxy_providers.get(key) == changed


_PROVIDER = {
    "client_id": "client-wiki",
    "mode": "forward_single",
    "external_host": "https://wiki.example.com",
    "internal_host": "http://127.0.0.1:3000",
    "internal_host_ssl_validation": True,
    "cookie_domain": "",
    "skip_path_regex": "",
    "intercept_header_auth": True,
    "basic_auth_enabled": False,
    "basic_auth_user_attribute": "",
    "basic_auth_password_attribute": "",
}
_APPLICATION = {
    "slug": "wiki",
    "name": "Wiki",
    "policy_mode": "any",
    "second_factor": False,
    "category": "",
    "description": "",
    "publisher": "",
    "launch_url": "",
}
