"""The outpost's disk is read-only, or full: it serves on, says so once and to all who look, and heals with its disk."""

import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.cookies import ask, cookie_for
from tests.support.disks import Disk, small_disk
from tests.support.fake_control import FakeControl, eventually, options, provider
from tests.support.outpost_process import OutpostProcess
from tests.support.peers_program import require

pytestmark = pytest.mark.interop
MEGABYTES = 8
EVERY_SECOND = {"GARRISON_EVENT_INTERVAL": "1"}


@dataclass
class Place:
    """An outpost whose state folder is a small disk of its own."""

    control: FakeControl
    outpost: OutpostProcess
    disk: Disk
    changes: int = 0

    def change(self) -> None:
        """Another provider, which is served."""
        self.changes += 1
        name = f"app{self.changes}"
        assert not self.control.settled(self.control.hold(provider(name, f"https://{name}.example.com"))).rejected

    def remount(self, option: str) -> None:
        subprocess.run([require("mount", "mount"), "-o", f"remount,{option}", str(self.disk.folder)], check=True)

    def freeze(self, option: str) -> None:
        """Let nothing be made or removed in the state folder (`+i`), or let it again."""
        subprocess.run([require("chattr", "e2fsprogs"), option, str(self.outpost.state)], check=True)

    def warnings(self) -> int:
        return sum(line["event"] == "the last good state can't be saved" for line in self.outpost.log)

    def saves(self, *, well: bool) -> None:
        """Wait until the disk takes the state, or doesn't."""
        gauge = "garrison_outpost_state_unsaved"
        eventually(lambda: self.outpost.metrics()[gauge] == (not well), "saved" if well else "not saved")
        if not well:
            self.outpost.logged("the last good state can't be saved")  # a line is written a moment later

    def unsaved(self) -> float:
        """How many events wait in memory for the disk, once the worker has told all that it counted; 0 before."""
        metrics = self.outpost.metrics()
        untold = metrics["garrison_proxy_events_untold"]
        return 0.0 if untold else metrics["garrison_outpost_events_unsaved"]

    def serves_its_last_state_without_control(self) -> None:
        """Nothing is lost to the next start."""
        served = self.outpost.metrics()["garrison_outpost_resources"]
        self.outpost.signal(signal.SIGTERM)
        assert self.outpost.wait() == 0
        self.control.stop_link()
        self.control.stop_http()
        self.outpost.start()
        self.outpost.ready()
        assert self.outpost.metrics()["garrison_outpost_resources"] == served


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with FakeControl() as control, small_disk(tmp_path / "state", MEGABYTES) as disk:
        revision = control.hold(options(), provider())
        with OutpostProcess(tmp_path, control.environment() | EVERY_SECOND) as outpost:
            control.settled(revision)
            eventually((outpost.state / "state").exists, "the state is saved")
            yield Place(control, outpost, disk)


def test_read_only_from_the_start(place: Place) -> None:
    outpost = place.outpost
    outpost.signal(signal.SIGTERM)
    assert outpost.wait() == 0
    instance = (outpost.state / "instance").read_text()
    place.remount("ro")
    place.control.healths.clear()
    outpost.start()
    outpost.ready()
    for _ in range(3):
        place.change()
    place.saves(well=False)
    assert place.warnings() == 1
    assert outpost.metrics()["garrison_outpost_state_save_failures_total"] >= 1
    assert any(f'uuid="{instance.strip()}"' in name for name in outpost.metrics())
    eventually(lambda: "Read-only file system" in place.control.healths[-1].last_error, "control is told")
    place.remount("rw")
    # Without another change.
    place.saves(well=True)
    outpost.logged("the last good state is saved again")
    place.serves_its_last_state_without_control()


def test_full(place: Place) -> None:
    before = (place.outpost.state / "state").read_bytes()
    place.disk.fill()
    for _ in range(3):
        place.change()
    place.saves(well=False)
    assert place.warnings() == 1
    assert (place.outpost.state / "state").read_bytes() == before
    assert sorted(path.name for path in place.outpost.state.glob(".*")) == []
    place.disk.free()
    place.saves(well=True)
    place.serves_its_last_state_without_control()


def test_read_only_of_a_sudden(place: Place) -> None:
    place.freeze("+i")
    place.change()
    place.saves(well=False)
    assert place.outpost.get("/-/health/ready/")[0] == 200
    place.freeze("-i")
    place.saves(well=True)
    assert place.warnings() == 1


@pytest.mark.parametrize("kind", ["full", "read-only"])
def test_events_stay_in_memory_until_the_disk_takes_them(place: Place, kind: str) -> None:
    outpost, alice = place.outpost, cookie_for(place.control, "alice")
    place.control.stop_link()
    place.disk.fill() if kind == "full" else place.freeze("+i")
    for _ in range(3):
        assert ask(outpost, "auth/nginx", alice) == 200
    outpost.logged("events can't be saved")  # before that they may wait for their turn only
    waiting = eventually(place.unsaved, "all waits in memory")
    place.disk.free() if kind == "full" else place.freeze("-i")
    eventually(lambda: outpost.metrics()["garrison_outpost_events_unsaved"] == 0, "the disk has it")
    outpost.logged("events are saved again")
    outpost.signal(signal.SIGKILL)
    outpost.wait()
    outpost.start()
    outpost.ready()
    assert outpost.metrics()["garrison_outpost_events_waiting"] == waiting
    place.control.start_link()
    eventually(lambda: len(place.control.events) >= waiting, "control is told")
    # One event, or two where a second ended between the requests.
    assert {event.username for event in place.control.events} == {"alice"}
    assert sum(event.count for event in place.control.events) == 3
    assert outpost.metrics()["garrison_outpost_events_lost_total"] == 0
