"""Events on disk: what was appended comes back whatever happens, in order, within bounds, and losses are told of."""

import os
import stat
import uuid
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.gate import Event, EventAction
from dataplane.link.events import DAMAGED, NO_ROOM, EventJournal
from tests.support.disks import written_at_most

KEY = b"k" * 32
NOW = 1_800_000_000.0


def journal(folder: Path, limit: int = 50 * 1024 * 1024, key: bytes = KEY) -> EventJournal:
    return EventJournal(folder, key, os.urandom, limit)


def event(number: int, name: str = "alice") -> Event:
    ident = str(uuid.UUID(int=number))
    return Event(id=ident, at=NOW + number, action=EventAction.ADMITTED, username=name, count=number + 1)


def events(*numbers: int) -> list[Event]:
    return [event(number) for number in numbers]


def drained(subject: EventJournal) -> list[Event]:
    """All that waits, as control gets it."""
    found: list[Event] = []
    while some := subject.first(NOW):
        found += some
        subject.remove(some)
    return found


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("events-*"))


def test_nothing_waits_at_first(tmp_path: Path) -> None:
    subject = journal(tmp_path / "new")
    assert (subject.empty, subject.count, subject.size, subject.first(NOW)) == (True, 0, 0, ())


def test_what_is_appended_comes_back_in_order_and_then_goes(tmp_path: Path) -> None:
    subject = journal(tmp_path)
    assert subject.append(events(1, 2), NOW)
    assert subject.append(events(3), NOW)
    assert subject.count == 3
    assert list(subject.first(NOW)) == events(1, 2, 3)
    # What comes while control is being told waits behind it.
    assert subject.append(events(4), NOW)
    assert list(subject.first(NOW)) == events(1, 2, 3)
    subject.remove(events(1, 2))
    assert (list(subject.first(NOW)), subject.count) == (events(3), 2)
    subject.remove(events(3))
    assert list(subject.first(NOW)) == events(4)
    subject.remove(events(4))
    assert (subject.empty, subject.count, files(tmp_path)) == (True, 0, [])


def test_the_next_process_finds_what_waits(tmp_path: Path) -> None:
    before = journal(tmp_path)
    before.append(events(1, 2), NOW)
    before.first(NOW)
    before.append(events(3), NOW)
    after = journal(tmp_path)
    assert (after.count, after.size) == (3, sum(file.stat().st_size for file in files(tmp_path)))
    # It appends to none of them.
    after.append(events(4), NOW)
    assert drained(after) == events(1, 2, 3, 4)
    assert drained(journal(tmp_path)) == []


def test_what_control_had_before_a_kill_is_told_once_more_with_its_id(tmp_path: Path) -> None:
    before = journal(tmp_path)
    before.append(events(1, 2), NOW)
    before.first(NOW)
    before.remove(events(1))
    assert drained(journal(tmp_path)) == events(1, 2)


def test_the_files_are_ours_alone_and_tell_nothing(tmp_path: Path) -> None:
    journal(tmp_path).append([event(1, "alice@example.com")], NOW)
    (file,) = files(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert b"alice" not in file.read_bytes()


def test_files_stay_small(tmp_path: Path) -> None:
    subject = journal(tmp_path, limit=80_000)
    for number in range(200):
        assert subject.append([event(number, "x" * 200)], NOW)
    sizes = [file.stat().st_size for file in files(tmp_path)]
    assert len(sizes) > 4
    assert max(sizes) < 11_000
    assert [each.id for each in drained(subject)] == [each.id for each in events(*range(200))]


class TestBounds:
    def fill(self, folder: Path, count: int) -> EventJournal:
        subject = journal(folder, limit=20_000)
        for number in range(count):
            assert subject.append([event(number, "x" * 200)], NOW)
            assert subject.size <= 20_500
            assert sum(file.stat().st_size for file in files(folder)) == subject.size
        return subject

    def test_the_oldest_go_and_an_event_says_how_many(self, tmp_path: Path) -> None:
        subject = self.fill(tmp_path, 500)
        found = drained(subject)
        kept = [each for each in found if each.action is EventAction.ADMITTED]
        losses = [each for each in found if each.action is EventAction.EVENTS_LOST]
        assert [each.id for each in kept] == [event(number).id for number in range(500 - len(kept), 500)]
        # Every event is told of or counted once: losses that were lost themselves count with the later ones.
        assert sum(loss.count for loss in losses) + len(kept) == 500
        assert {loss.reason for loss in losses} == {NO_ROOM}
        assert subject.lost >= 500 - len(kept)

    def test_what_is_on_its_way_stays(self, tmp_path: Path) -> None:
        subject = journal(tmp_path, limit=20_000)
        subject.append([event(0, "x" * 200)], NOW)
        first = subject.first(NOW)
        for number in range(1, 500):
            assert subject.append([event(number, "x" * 200)], NOW)
        assert subject.first(NOW) == first
        subject.remove(first)
        found = drained(subject)
        lost = sum(each.count for each in found if each.action is EventAction.EVENTS_LOST)
        assert lost + sum(each.action is EventAction.ADMITTED for each in found) == 499

    def test_a_loss_that_a_kill_came_into_is_the_same_loss(self, tmp_path: Path) -> None:
        """First the loss is told of, then the file goes: whoever is killed in between does both again."""
        subject = self.fill(tmp_path, 60)
        oldest = files(tmp_path)[0]
        data = oldest.read_bytes()
        number = 60
        while oldest.exists():
            subject.append([event(number, "x" * 200)], NOW)
            number += 1
        oldest.write_bytes(data)
        again = journal(tmp_path, limit=20_000)
        again.append([event(number, "x" * 200)], NOW)
        assert not oldest.exists()
        losses = [each for each in drained(again) if each.action is EventAction.EVENTS_LOST]
        assert len({loss.id for loss in losses}) == len(losses) - 1
        assert len({(loss.id, loss.count) for loss in losses}) == len(losses) - 1

    def test_more_at_once_than_there_is_room_for_is_kept_all_the_same(self, tmp_path: Path) -> None:
        subject = journal(tmp_path, limit=1_000)
        assert subject.append(events(*range(100)), NOW)
        assert subject.append(events(100), NOW)
        found = drained(subject)
        assert sum(each.count for each in found if each.action is EventAction.EVENTS_LOST) == 100
        assert found[-1].action is EventAction.EVENTS_LOST


def good() -> bytes:
    """A file of three records with nothing wrong."""
    with TemporaryDirectory() as name:
        subject = journal(Path(name))
        for numbers in ((1, 2), (3,), (4, 5)):
            subject.append(events(*numbers), NOW)
        (file,) = files(Path(name))
        return file.read_bytes()


GOOD = good()


class TestDamage:
    def saved(self, folder: Path) -> tuple[Path, list[int]]:
        """A file of three records with where each ends."""
        subject, ends = journal(folder), []
        for numbers in ((1, 2), (3,), (4, 5)):
            subject.append(events(*numbers), NOW)
            (file,) = files(folder)
            ends.append(file.stat().st_size)
        return file, ends

    @pytest.mark.parametrize("less", [1, 7, 60])
    def test_a_torn_end_costs_what_it_was_part_of_and_is_told_of(self, tmp_path: Path, less: int) -> None:
        file, _ = self.saved(tmp_path)
        file.write_bytes(file.read_bytes()[:-less])
        found = drained(journal(tmp_path))
        assert found[:-1] == events(1, 2, 3)
        assert (found[-1].action, found[-1].reason) == (EventAction.EVENTS_LOST, DAMAGED)

    def test_an_end_torn_between_records_can_not_be_told(self, tmp_path: Path) -> None:
        file, ends = self.saved(tmp_path)
        file.write_bytes(file.read_bytes()[: ends[1]])
        assert drained(journal(tmp_path)) == events(1, 2, 3)

    def test_it_is_told_of_once(self, tmp_path: Path) -> None:
        file, _ = self.saved(tmp_path)
        file.write_bytes(file.read_bytes()[:-1])
        one, other = (journal(tmp_path).first(NOW)[-1] for _ in range(2))
        assert one.id == other.id

    @pytest.mark.parametrize("left", [b"", b"garrison-outpost-directory 1\n" + b"n" * 99, b"\0" * 4096])
    def test_what_is_no_such_file_is_set_aside_and_told_of(self, tmp_path: Path, left: bytes) -> None:
        file, _ = self.saved(tmp_path)
        file.write_bytes(left)
        subject = journal(tmp_path)
        assert [each.reason for each in drained(subject)] == [DAMAGED]
        assert [each.name for each in tmp_path.iterdir()] == ["events.damaged"]
        assert subject.append(events(6), NOW)
        assert drained(subject) == events(6)

    def test_another_key_opens_nothing(self, tmp_path: Path) -> None:
        self.saved(tmp_path)
        assert [each.action for each in drained(journal(tmp_path, key=b"o" * 32))] == [EventAction.EVENTS_LOST]

    @pytest.mark.parametrize("kind", ["pipe", "link", "folder"])
    def test_what_is_no_file_is_neither_waited_for_nor_followed(self, tmp_path: Path, kind: str) -> None:
        file, _ = self.saved(tmp_path)
        moved = file.rename(tmp_path / "elsewhere")
        match kind:
            case "pipe":
                os.mkfifo(file)
            case "link":
                file.symlink_to(moved)
            case _:
                file.mkdir()
        assert [each.reason for each in drained(journal(tmp_path))] == [DAMAGED]
        assert moved.exists()

    # A disk under load may take as long as it likes.
    @given(st.integers(0, 10_000), st.binary(max_size=60))
    def test_any_end_is_events_or_damage(self, cut: int, more: bytes) -> None:
        with TemporaryDirectory() as name:
            file = Path(name, "events-0000000001")
            file.write_bytes(GOOD[: cut % (len(GOOD) + 1)] + more)
            found = [each for each in drained(journal(file.parent)) if each.action is EventAction.ADMITTED]
        assert found == events(1, 2, 3, 4, 5)[: len(found)]

    def test_others_files_are_left_alone(self, tmp_path: Path) -> None:
        foreign = ("state", "events-1", "events-0000000001x", "events-" + "\N{ARABIC-INDIC DIGIT ONE}" * 10)
        for name in (*foreign, ".events-0000000001.new"):
            (tmp_path / name).write_bytes(b"not ours")
        subject = journal(tmp_path)
        assert subject.empty
        assert subject.append(events(1), NOW)
        assert drained(subject) == events(1)
        assert {path.name for path in tmp_path.iterdir()} == {*foreign}


class TestDisks:
    def test_a_full_disk_takes_none_and_more_later(self, tmp_path: Path) -> None:
        subject = journal(tmp_path)
        assert subject.append(events(1), NOW)
        (file,) = files(tmp_path)
        size = file.stat().st_size
        with written_at_most(size + 10):
            assert not subject.append(events(2), NOW)
        assert subject.error
        assert file.stat().st_size == size
        with written_at_most(10):
            assert list(subject.first(NOW)) == events(1)
            assert not subject.append(events(2), NOW)
        assert files(tmp_path) == [file]
        assert subject.append(events(3), NOW)
        assert not subject.error
        assert drained(subject) == events(1, 3)

    def test_nothing_is_dropped_for_what_the_disk_does_not_take(self, tmp_path: Path) -> None:
        subject = journal(tmp_path, limit=2_000)
        for number in range(4):
            assert subject.append([event(number, "x" * 200)], NOW)
        with written_at_most(10):
            for number in range(4, 20):
                assert not subject.append([event(number, "x" * 200)], NOW)
        assert [each.id for each in drained(subject)] == [event(number).id for number in range(4)]
        assert subject.lost == 0

    def test_a_folder_that_went_away_comes_again(self, tmp_path: Path) -> None:
        folder = tmp_path / "state"
        subject = journal(folder)
        assert subject.append(events(1), NOW)
        for file in files(folder):
            file.unlink()
        folder.rmdir()
        assert not subject.append(events(2), NOW)
        assert subject.append(events(2), NOW)
        assert [each for each in drained(subject) if each.action is EventAction.ADMITTED] == events(2)

    def test_a_file_that_does_not_go_is_left_for_the_next_process(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As on a disk that takes no writes any more: nobody is told twice by the same process."""
        subject = journal(tmp_path)
        subject.append(events(1), NOW)

        def refuse(*_: object, **__: object) -> None:
            raise OSError(30, "Read-only file system")

        with monkeypatch.context() as patched:
            patched.setattr(Path, "unlink", refuse)
            assert drained(subject) == events(1)
            assert drained(subject) == []
        assert drained(journal(tmp_path)) == events(1)
