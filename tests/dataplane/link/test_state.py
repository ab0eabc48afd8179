"""The sealed state: what is written comes back, and nothing else does any harm."""

import os
import resource as limits
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.link.endings import Ending
from dataplane.link.held import HeldResource
from dataplane.link.state import Saved, StateBusy, StateFolder, StateUnreadable, seal, unseal
from dataplane.link.target import Credentials

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


def test_a_broken_identity_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "instance").write_bytes(b"\xff not a uid")
    folder = StateFolder(tmp_path, os.urandom)
    assert (tmp_path / "instance").read_text().strip() == folder.instance
    folder.close()


def test_a_full_disk_keeps_the_previous_state(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path, os.urandom)
    folder.save(SAVED, ("new",))
    soft, hard = limits.getrlimit(limits.RLIMIT_FSIZE)
    large = Saved(revision=8, resources=(HeldResource(key="k", digest="d", data=b"x" * 100_000),))
    # Python ignores SIGXFSZ, so a write beyond the limit is an OSError like one to a full disk.
    limits.setrlimit(limits.RLIMIT_FSIZE, (10_000, hard))
    try:
        assert not folder.save(large, ("new",))
    finally:
        limits.setrlimit(limits.RLIMIT_FSIZE, (soft, hard))
    assert folder.failures == 1
    assert folder.load("new") == SAVED
    folder.close()
