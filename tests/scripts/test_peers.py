"""Which packages are installed, and which are only unpacked, by what the file says."""

from pathlib import Path

from scripts.peers import PEERS, packages, packages_apart
from scripts.tree import ROOT


def test_packages_and_their_marks(tmp_path: Path) -> None:
    path = tmp_path / "peers.txt"
    path.write_text("# what for\ncurl\n\nsssd-ldap apart  # signs in\nwrk  # load, not apart\n")
    assert packages(path) == ["curl", "sssd-ldap", "wrk"]
    assert packages_apart(path) == ["sssd-ldap"]


def test_nothing_that_decides_who_signs_in_here_is_installed() -> None:
    apart = packages_apart(ROOT / PEERS)
    assert [name for name in packages(ROOT / PEERS) if name.startswith(("libnss-", "libpam-"))] == [
        name for name in apart if name.startswith(("libnss-", "libpam-"))
    ]
