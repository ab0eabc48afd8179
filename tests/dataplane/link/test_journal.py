"""The directory on disk: what was saved comes back, whatever happened to the end of the file or all of it."""

import os
import stat
from itertools import pairwise
from os.path import commonprefix
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dataplane.link import journal as journal_module
from dataplane.link import sealed
from dataplane.link.directory import DirectoryChange
from dataplane.link.journal import MAGIC, Journal, Record, read
from dataplane.link.messages import Position
from dataplane.link.sealed import Unreadable
from tests.support.disks import written_at_most

KEY = b"k" * 32
ENTRIES = {f"user/{number}": bytes([number]) * 40 for number in range(20)}


def at(revision: int) -> Position:
    return Position("epoch", revision)


def journal(folder: Path, key: bytes = KEY) -> Journal:
    return Journal(folder / "directory", key, os.urandom)


def saved(folder: Path) -> tuple[Position | None, dict[str, bytes]]:
    """What the next process finds."""
    directory = journal(folder).load()
    return directory.position, directory.entries


def change(revision: int, changed: dict[str, bytes], *removed: str) -> DirectoryChange:
    return DirectoryChange(position=at(revision), changed=changed, removed=frozenset(removed))


def test_nothing_is_there_at_first(tmp_path: Path) -> None:
    assert saved(tmp_path) == (None, {})
    assert journal(tmp_path).wants_all


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    written = journal(tmp_path)
    assert written.rewrite(at(1), ENTRIES)
    assert saved(tmp_path) == (at(1), ENTRIES)
    assert not written.wants_all
    assert written.append(change(2, {"user/3": b"new", "group/1": b"staff"}, "user/4"))
    assert written.append(change(3, {}))
    wanted = {**ENTRIES, "user/3": b"new", "group/1": b"staff"}
    del wanted["user/4"]
    assert saved(tmp_path) == (at(3), wanted)


def test_another_process_goes_on_where_one_ended(tmp_path: Path) -> None:
    journal(tmp_path).rewrite(at(1), ENTRIES)
    for revision in (2, 3, 4):
        going_on = journal(tmp_path)
        going_on.load()
        assert going_on.append(change(revision, {"user/0": bytes([revision])}))
    assert saved(tmp_path) == (at(4), {**ENTRIES, "user/0": b"\x04"})


def test_the_file_is_ours_alone_and_tells_nothing(tmp_path: Path) -> None:
    written = journal(tmp_path)
    written.rewrite(at(1), {"user/alice": b"alice@example.com"})
    written.append(change(2, {"user/bob": b"bob@example.com"}))
    file = tmp_path / "directory"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert b"alice" not in file.read_bytes()
    assert b"bob" not in file.read_bytes()
    assert [each.name for each in tmp_path.iterdir()] == ["directory"]


def test_small_changes_write_little_and_the_file_stays_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "_LEAST_APPENDED", 1000)
    written = journal(tmp_path)
    entries = dict(ENTRIES)
    written.rewrite(at(0), entries)
    first = (tmp_path / "directory").stat().st_size
    inodes, sizes = set(), []
    for revision in range(1, 200):
        entries["user/1"] = str(revision).encode()
        if written.wants_all:
            written.rewrite(at(revision), entries)
        else:
            written.append(change(revision, {"user/1": entries["user/1"]}))
        found = (tmp_path / "directory").stat()
        inodes.add(found.st_ino)
        sizes.append(found.st_size)
    assert saved(tmp_path) == (at(199), entries)
    assert max(sizes) < 3 * first + 1000
    # Not once per change, and the bound holds over restarts too.
    assert len(inodes) < 30
    for revision in range(200, 400):
        again = journal(tmp_path)
        again.load()
        (again.rewrite(at(revision), entries) if again.wants_all else again.append(change(revision, {"user/1": b"x"})))
        assert (tmp_path / "directory").stat().st_size < 3 * first + 1000


def test_much_is_cut_into_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "_RECORD_BYTES", 100)
    written = journal(tmp_path)
    written.rewrite(at(1), ENTRIES)
    data = (tmp_path / "directory").read_bytes()
    assert read(data, KEY).records == 10
    many = dict.fromkeys(ENTRIES, b"!" * 50)
    written.append(change(2, many))
    assert saved(tmp_path) == (at(2), many)
    # Half of a change is none of it.
    (tmp_path / "directory").write_bytes((tmp_path / "directory").read_bytes()[:-1])
    assert saved(tmp_path) == (at(1), ENTRIES)


def history() -> tuple[bytes, list[tuple[int, Position, dict[str, bytes]]]]:
    """A file, and after how many bytes it holds what."""
    beginning = MAGIC + b"n" * 16
    data, entries, states = beginning, dict(ENTRIES), []
    records = [Record(None, ENTRIES, []), Record(at(1), {}, [])]
    records += [Record(at(2 + n), {f"user/{n}": b"changed"}, [f"user/{n + 10}"]) for n in range(5)]
    for number, record in enumerate(records):
        data += sealed.seal(msgspec.msgpack.encode(record), KEY, (beginning, number), os.urandom(12))
        entries.update(record.changed)
        for key in record.removed:
            entries.pop(key)
        if record.position:
            states.append((len(data), record.position, dict(entries)))
    return data, states


DATA, STATES = history()


def before(byte: int) -> tuple[Position, dict[str, bytes]] | None:
    """What a file holds that is good up to that byte."""
    return next(((position, entries) for end, position, entries in reversed(STATES) if end <= byte), None)


def read_state(data: bytes) -> tuple[Position | None, dict[str, bytes]] | None:
    try:
        contents = read(data, KEY)
    except Unreadable:
        return None
    return contents.directory.position, contents.directory.entries


@given(st.integers(0, len(DATA)), st.binary(max_size=40))
@example(STATES[1][0] - 1, DATA[STATES[1][0] - 1 :][:1])
def test_a_torn_end_costs_what_it_was_part_of(length: int, garbage: bytes) -> None:
    """Garbage follows where a disk had made room before the bytes came; it may begin with what was torn off."""
    data = DATA[:length] + garbage
    assert read_state(data) == before(len(commonprefix([data, DATA])))  # noqa: RUF071 - of bytes, not of paths


@given(st.integers(0, len(DATA) - 1), st.integers(1, 255))
def test_damage_costs_what_comes_after_it(position: int, mask: int) -> None:
    data = bytearray(DATA)
    data[position] ^= mask
    assert read_state(bytes(data)) == before(position)


def test_records_can_not_be_exchanged_doubled_or_left_out() -> None:
    ends = [end for end, _, _ in STATES]
    pieces = [DATA[begin:end] for begin, end in pairwise(ends)]
    head, (one, two, *_) = DATA[: ends[0]], pieces
    assert read_state(head + two + one) == before(ends[0])
    assert read_state(head + two) == before(ends[0])
    assert read_state(head + one + one) == before(ends[1])
    other = MAGIC + b"m" * 16 + DATA[sealed.head(MAGIC) :]
    assert read_state(other) is None


@given(st.binary(max_size=200))
def test_garbage_is_unreadable_and_nothing_else(data: bytes) -> None:
    for garbage in (data, MAGIC + b"n" * 16 + data):
        with pytest.raises(Unreadable):
            read(garbage, KEY)


def test_a_torn_end_is_overwritten(tmp_path: Path) -> None:
    written = journal(tmp_path)
    written.rewrite(at(1), ENTRIES)
    written.append(change(2, {"user/1": b"two" * 100}))
    file = tmp_path / "directory"
    file.write_bytes(file.read_bytes()[:-7])
    going_on = journal(tmp_path)
    assert going_on.load().position == at(1)
    assert going_on.append(change(3, {"user/1": b"3"}))
    assert saved(tmp_path) == (at(3), {**ENTRIES, "user/1": b"3"})


@pytest.mark.parametrize("left", [b"something else", DATA[:60], b""], ids=["foreign", "cut", "empty"])
def test_a_file_of_which_nothing_is_left_is_set_aside(tmp_path: Path, left: bytes) -> None:
    (tmp_path / "directory").write_bytes(left)
    found = journal(tmp_path)
    assert found.load().position is None
    assert found.wants_all
    assert sorted(each.name for each in tmp_path.iterdir()) == ["directory.damaged"]
    assert found.rewrite(at(2), ENTRIES)
    assert saved(tmp_path) == (at(2), ENTRIES)


def test_a_file_under_another_key_is_set_aside(tmp_path: Path) -> None:
    journal(tmp_path, b"o" * 32).rewrite(at(1), ENTRIES)
    assert saved(tmp_path) == (None, {})
    assert (tmp_path / "directory.damaged").exists()


@pytest.mark.parametrize("kind", ["pipe", "link", "folder"])
def test_what_is_no_file_is_neither_waited_for_nor_followed(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "directory"
    match kind:
        case "pipe":
            os.mkfifo(file)
        case "link":
            (tmp_path / "elsewhere").write_bytes(DATA)
            file.symlink_to(tmp_path / "elsewhere")
        case _:
            file.mkdir()
    found = journal(tmp_path)
    assert found.load().position is None
    assert found.wants_all


def test_a_disk_that_takes_nothing_is_said_and_tried_again(tmp_path: Path) -> None:
    folder = tmp_path / "away"
    written = journal(folder)
    assert written.load().position is None
    assert not written.rewrite(at(1), ENTRIES)
    assert not written.rewrite(at(1), ENTRIES)
    assert "No such file" in written.error
    folder.mkdir()
    assert written.rewrite(at(1), ENTRIES)
    assert written.error == ""


def test_a_file_that_went_away_is_written_anew(tmp_path: Path) -> None:
    written = journal(tmp_path)
    written.rewrite(at(1), ENTRIES)
    (tmp_path / "directory").unlink()
    assert not written.append(change(2, {"user/1": b"x"}))
    assert written.wants_all


def test_a_file_that_somebody_else_wrote_is_not_appended_to(tmp_path: Path) -> None:
    written = journal(tmp_path)
    written.rewrite(at(1), ENTRIES)
    journal(tmp_path).rewrite(at(9), {})
    assert not written.append(change(2, {"user/1": b"x"}))
    assert "somebody else" in written.error
    assert written.wants_all
    assert saved(tmp_path) == (at(9), {})


def test_a_full_disk_keeps_what_was_saved_and_takes_more_later(tmp_path: Path) -> None:
    written = journal(tmp_path)
    written.rewrite(at(1), ENTRIES)
    file = tmp_path / "directory"
    size = file.stat().st_size
    with written_at_most(size + 100):
        assert not written.append(change(2, {"user/1": b"x" * 1000}))
    assert file.stat().st_size == size
    with written_at_most(100):
        assert not written.rewrite(at(2), ENTRIES)
    assert [each.name for each in tmp_path.iterdir()] == ["directory"]
    assert saved(tmp_path) == (at(1), ENTRIES)
    assert written.wants_all
    assert written.rewrite(at(3), ENTRIES)
    assert saved(tmp_path) == (at(3), ENTRIES)
