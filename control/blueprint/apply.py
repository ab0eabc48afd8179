"""Applying blueprint files: read and parse all of them, hash what has to be hashed, then act in one unit of work."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from control.auth.passwords import Passwords
from control.blueprint.parse import MOST_BYTES, Entry, parse, refuse_doubles
from control.blueprint.perform import Means, Outcome, perform, settle
from control.blueprint.secrets import hashes_of
from control.blueprint.strings import Surroundings
from control.domain.errors import Invalid, Problem
from control.fleet.fields import problem
from control.store import Actor, Store


class _RollBack(Exception):
    """Ends a dry run's unit of work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One application of files: which, what they may refer to, who acts, and whether it is for good."""

    files: Sequence[Path]
    own_url: str
    actor: Actor
    environment: Mapping[str, str]
    dry_run: bool = False


def apply_files(store: Store, run: Run) -> list[Outcome]:
    """Carry out what the files say, all or nothing; nothing at all in a dry run. Raises Invalid with every problem."""
    entries = read_files(run.files, run.environment)
    means = Means(own_url=run.own_url, password_hashes=hashes_of(entries, store, Passwords()))
    # Who writes holds up sign-ins and everybody else who does, with many thousand entries for seconds.
    with store.read() as unit:
        means = replace(means, settled=settle(unit, entries, means))
    is_settled = len(means.settled) == len(entries)
    outcomes: list[Outcome] = []
    with suppress(_RollBack), store.read() if is_settled else store.write(run.actor) as unit:
        outcomes = perform(unit, entries, means)
        _end(dry_run=run.dry_run)
    return outcomes


def _end(*, dry_run: bool) -> None:
    if dry_run:
        raise _RollBack


def read_files(files: Sequence[Path], environment: Mapping[str, str]) -> list[Entry]:
    """The entries of all files. Raises Invalid with every problem of every file."""
    entries: list[Entry] = []
    problems: list[Problem] = []
    for file in files:
        try:
            around = Surroundings(folder=file.parent, environment=environment)
            entries.extend(parse(_text(file), str(file), around))
        except Invalid as error:
            problems.extend(error.problems)
    if problems:
        raise Invalid(problems)
    refuse_doubles(entries)
    return entries


def _text(file: Path) -> str:
    try:
        # A pipe is welcome here: `garrison apply /dev/stdin`.
        with file.open("rb") as opened:
            data = opened.read(MOST_BYTES + 1)
    except OSError as error:
        expected = f"a file that can be read ({error.strerror})"
        raise Invalid([problem(str(file), "file_unreadable", "", expected)]) from error
    if len(data) > MOST_BYTES:
        raise Invalid([problem(str(file), "too_long", "", f"at most {MOST_BYTES} bytes")])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Invalid([problem(str(file), "not_utf8", f"byte {error.start}", "UTF-8 text")]) from None
