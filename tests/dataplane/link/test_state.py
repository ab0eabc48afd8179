"""The sealed state: what is written comes back, and nothing else does any harm."""

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.link.endings import Ending
from dataplane.link.held import HeldResource
from dataplane.link.state import Saved, StateBusy, StateFolder, StateUnreadable, seal, unseal
from dataplane.link.target import Credentials
from tests.support.disks import written_at_most

CREDENTIALS = Credentials(
    certificate="C",
    private_key="K",
    authority="A",
    addresses=("a:1", "b:2"),
    outpost="o",
    name="edge",
    issued=1.0,
    expires=2.0,
)
SAVED = Saved(
    revision=7,
    resources=(HeldResource(key="options", digest="d", data=b"\x00\xff"),),
    credentials=CREDENTIALS,
    endings=(Ending(provider="p", session="s", at=1.5),),
)
SEALED = seal(SAVED, ("old", "new"), os.urandom)


@pytest.mark.parametrize("token", ["old", "new"])
def test_every_known_token_opens_it(token: str) -> None:
    assert unseal(SEALED, token) == SAVED


def test_another_token_does_not() -> None:
    with pytest.raises(StateUnreadable, match="another token"):
        unseal(SEALED, "foreign")


@given(st.binary(max_size=300))
def test_garbage_is_unreadable_and_nothing_else(data: bytes) -> None:
    with pytest.raises(StateUnreadable):
        unseal(data, "new")
    with pytest.raises(StateUnreadable):
        unseal(b"garrison-outpost-state 1\n" + data, "new")


@given(st.integers(0, len(SEALED) - 1), st.integers(1, 255))
def test_a_flipped_byte_is_noticed(position: int, mask: int) -> None:
    data = bytearray(SEALED)
    data[position] ^= mask
    try:
        # Only the entry of the other token may be damaged unnoticed.
        assert unseal(bytes(data), "new") == SAVED
    except StateUnreadable:
        pass
    else:
        with pytest.raises(StateUnreadable):
            unseal(bytes(data), "old")


@pytest.mark.parametrize("length", range(0, len(SEALED), 7))
def test_a_cut_file_is_unreadable(length: int) -> None:
    with pytest.raises(StateUnreadable):
        unseal(SEALED[:length], "new")


def test_two_seals_of_the_same_state_differ() -> None:
    assert seal(SAVED, ("new",), os.urandom) != seal(SAVED, ("new",), os.urandom)


def test_a_folder_keeps_state_and_identity(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path / "a" / "b", os.urandom)
    assert folder.save(SAVED, ("new",))
    folder.close()
    again = StateFolder(tmp_path / "a" / "b", os.urandom)
    assert again.load("new") == SAVED
    assert again.instance == folder.instance
    assert sorted(path.name for path in (tmp_path / "a" / "b").iterdir()) == ["instance", "lock", "state"]
    again.close()


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_what_we_make_is_ours_and_what_others_made_stays_theirs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    StateFolder(tmp_path / "own", os.urandom).close()
    assert mode(tmp_path / "own") == 0o700
    assert not caplog.records
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    folder = StateFolder(shared, os.urandom)
    folder.save(SAVED, ("new",))
    folder.close()
    assert mode(shared) == 0o1777
    assert {mode(file) for file in shared.iterdir()} == {0o600}
    assert "others may write in the state folder" in caplog.text


def test_a_link_that_somebody_laid_is_not_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / ".state.new").symlink_to(victim)
    (shared / ".instance.new").symlink_to(victim)
    folder = StateFolder(shared, os.urandom)
    assert folder.save(SAVED, ("new",))
    folder.close()
    assert victim.read_text() == "untouched"
    assert not (shared / "state").is_symlink()


def test_a_folder_serves_one_process_at_a_time(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path, os.urandom)
    with pytest.raises(StateBusy):
        StateFolder(tmp_path, os.urandom)
    folder.close()
    StateFolder(tmp_path, os.urandom).close()


def test_damaged_states_are_kept_but_not_without_end(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path, os.urandom)
    for number in range(8):
        (tmp_path / "state").write_bytes(b"%d" % number)
        assert folder.load("new") is None
    kept = sorted(path.name for path in tmp_path.glob("state.damaged-*"))
    assert kept == [f"state.damaged-{number}" for number in range(1, 6)]
    assert (tmp_path / "state.damaged-5").read_bytes() == b"7"
    folder.close()


def test_a_state_of_a_later_version_is_named_as_such_and_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    later = SEALED.replace(b"state 1\n", b"state 2\n", 1)
    (tmp_path / "state").write_bytes(later)
    folder = StateFolder(tmp_path, os.urandom)
    assert folder.load("new") is None
    assert folder.save(SAVED, ("new",))
    assert (tmp_path / "state.damaged-1").read_bytes() == later
    (record,) = caplog.records
    assert vars(record)["reason"] == "it was written by a later version (format 2, expected 1)"
    folder.close()


def test_a_broken_identity_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "instance").write_bytes(b"\xff not a uid")
    folder = StateFolder(tmp_path, os.urandom)
    assert (tmp_path / "instance").read_text().strip() == folder.instance
    folder.close()


def test_a_full_disk_keeps_the_previous_state(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path, os.urandom)
    folder.save(SAVED, ("new",))
    large = Saved(revision=8, resources=(HeldResource(key="k", digest="d", data=b"x" * 100_000),))
    with written_at_most(10_000):
        assert not folder.save(large, ("new",))
    assert folder.failures == 1
    assert folder.load("new") == SAVED
    folder.close()


class Trouble:
    """A folder whose disk takes nothing: the process runs as root, so what stops it is a file in its place."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("in the way")

    def end(self) -> None:
        self.path.unlink()


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelname == "WARNING"]


def test_a_disk_that_takes_nothing_is_said_once_and_so_is_its_recovery(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    trouble = Trouble(tmp_path / "state-folder")
    folder = StateFolder(trouble.path, os.urandom)
    for _ in range(3):
        assert not folder.save(SAVED, ("new",))
    assert warnings(caplog) == ["the last good state can't be saved"]
    # The lock, the identity, and three times the state.
    assert folder.failures == 5
    assert "Not a directory" in folder.error
    trouble.end()
    assert folder.save(SAVED, ("new",))
    assert folder.error == ""
    assert [record.message for record in caplog.records][1:] == ["the last good state is saved again"]
    # Identity and lock have come too.
    with pytest.raises(StateBusy):
        StateFolder(trouble.path, os.urandom)
    folder.close()
    again = StateFolder(trouble.path, os.urandom)
    assert again.instance == folder.instance
    assert again.load("new") == SAVED
    again.close()


def test_a_folder_that_vanishes_is_made_anew_and_ours_again(tmp_path: Path) -> None:
    path = tmp_path / "state"
    folder = StateFolder(path, os.urandom)
    shutil.rmtree(path)
    assert folder.save(SAVED, ("new",))
    with pytest.raises(StateBusy):
        StateFolder(path, os.urandom)
    folder.close()
    again = StateFolder(path, os.urandom)
    assert again.instance == folder.instance
    again.close()


def test_a_folder_that_somebody_else_has_taken_meanwhile_is_left_to_them(tmp_path: Path) -> None:
    path = tmp_path / "state"
    folder = StateFolder(path, os.urandom)
    shutil.rmtree(path)
    other = StateFolder(path, os.urandom)
    assert not folder.save(SAVED, ("new",))
    assert "in use by another outpost process" in folder.error
    assert other.load("new") is None
    other.close()
    assert folder.save(SAVED, ("new",))
    folder.close()


def test_a_lock_that_cannot_be_taken_stops_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    folder = StateFolder(tmp_path, os.urandom)
    assert folder.failures == 1
    assert folder.save(SAVED, ("new",))
    assert "lock" in folder.error
    assert folder.load("new") == SAVED
    (tmp_path / "lock").rmdir()
    assert folder.save(SAVED, ("new",))
    assert folder.error == ""
    folder.close()


def test_what_could_not_be_written_whole_takes_no_room(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path, os.urandom)
    with written_at_most(100):
        assert not folder.save(SAVED, ("new",))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["instance", "lock"]
    folder.close()
