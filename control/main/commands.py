"""The commands that work on the database, with or without a running server."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version

from control.blueprint import Run, apply_files
from control.domain.outpost import Instance, Outpost, Token
from control.fleet.authority import authorities_status, ensure_authority, rotate_authority
from control.fleet.instances import fleet_health
from control.fleet.rotation import retire_tokens, rotate_token, token_status
from control.fleet.tokens import get_token, replace_token
from control.main.arguments import Arguments
from control.serve.first_start import prepare
from control.settings import Given, Settings, read_settings
from control.settings.opening import expect_database, open_store
from control.store import Actor, Store, Unit

CLI = Actor(name="cli")


def apply(arguments: Arguments) -> int:
    """Apply blueprints; one line for each object on stdout, one for each problem on stderr."""
    settings = _settings(arguments)
    store = open_store(settings, migrate=True)
    _prepare(settings, store)
    run = Run(
        files=arguments.blueprints,
        own_url=settings.url,
        actor=CLI,
        environment=os.environ,
        dry_run=arguments.dry_run,
    )
    sys.stdout.writelines(f"{outcome}\n" for outcome in apply_files(store, run))
    return 0


def token(arguments: Arguments) -> int:
    """Print the token of an outpost and nothing else, after it was changed as told."""
    store = existing_store(arguments)
    if arguments.change:
        with store.write(CLI) as unit:
            _CHANGES[arguments.change](unit, unit.outposts.get_named(arguments.outpost))
    with store.read() as unit:
        outpost = unit.outposts.get_named(arguments.outpost)
        secret = get_token(unit, outpost).secret
        left = _left_behind(unit, outpost) if arguments.change == "retire" else ()
    sys.stdout.write(secret + "\n")
    sys.stderr.writelines(f"garrison: {line}\n" for line in left)
    return 0


def _left_behind(unit: Unit, outpost: Outpost) -> tuple[str, ...]:
    """A line for each instance that only its state folder lets in, or nothing at all."""
    status = token_status(unit, outpost)
    silent = [each for each in unit.instances.of_outpost(outpost.id) if not each.environment_token]
    return (
        *(f"{_named(each)} {_fate(each, status.current)}" for each in status.holdouts),
        *(
            f"{_named(each)} is of an older version: it is turned away unless it was started with the new token"
            for each in silent
        ),
    )


def _named(instance: Instance) -> str:
    return f"{instance.hostname} ({instance.uid})"


def _fate(instance: Instance, newest: Token) -> str:
    if instance.held_token != newest.fingerprint:
        return "doesn't have the new token at all: it is turned away"
    return "is started with another token: without its state folder it could not come back"


_CHANGES: dict[str, Callable[[Unit, Outpost], object]] = {
    "rotate": rotate_token,
    "retire": retire_tokens,
    "replace": replace_token,
}


def authority(arguments: Arguments) -> int:
    """Rotate the link's authority, and list those that are trusted."""
    store = existing_store(arguments)
    with store.write(CLI) as unit:
        ensure_authority(unit)
        rotate_authority(unit)
        views = authorities_status(unit)
    sys.stdout.writelines(
        f"{view.fingerprint}  {'signs' if view.signs else 'retires'}  {view.trusted_until:%Y-%m-%d %H:%M} UTC\n"
        for view in views
    )
    return 0


def outposts(arguments: Arguments) -> int:
    """List the instances of all outposts."""
    store = existing_store(arguments)
    with store.read() as unit:
        rows = [
            _row(health.outpost, view.instance)
            for health in fleet_health(unit, version("garrison"))
            for view in health.instances
        ]
    if arguments.json:
        sys.stdout.write(json.dumps(rows, indent=1) + "\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in _table(rows))
    return 0


def _settings(arguments: Arguments) -> Settings:
    return read_settings(Given(data=arguments.data, url=arguments.url), os.environ)


def existing_store(arguments: Arguments) -> Store:
    """The database of an installation that is there already."""
    settings = _settings(arguments)
    expect_database(settings)
    return open_store(settings, migrate=True)


def _prepare(settings: Settings, store: Store) -> None:
    """Make what a new database needs; stdout is for the outcomes."""
    admin = prepare(store, settings.bootstrap_password)
    if admin is not None and admin.password is not None:
        sys.stderr.write(f"First administrator: {admin.username}, initial password: {admin.password}\n")


def _row(outpost: Outpost, instance: Instance) -> dict[str, object]:
    return {
        "outpost": outpost.name,
        "instance": instance.uid,
        "state": instance.state,
        "applied_revision": instance.applied_revision,
        "wanted_revision": instance.wanted_revision,
        "version": instance.version,
        "last_seen": instance.last_seen.isoformat(),
        "last_error": instance.last_error,
    }


def _table(rows: Sequence[dict[str, object]]) -> list[str]:
    names = (
        "outpost",
        "instance",
        "state",
        "applied_revision",
        "wanted_revision",
        "version",
        "last_seen",
        "last_error",
    )
    lines = [[name.replace("_", " ").upper() for name in names], *[[str(row[name]) for name in names] for row in rows]]
    widths = [max(len(line[place]) for line in lines) for place in range(len(names))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
