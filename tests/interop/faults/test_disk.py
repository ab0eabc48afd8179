"""Control's disk is full, and another time fails: outposts and readers go on, writers are told, nothing is lost."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.interop.faults.stage import Edge, Healing, Stage, Trial, staged
from tests.support.browser_http import Page, Visitor, links
from tests.support.chaos import seconds_until
from tests.support.disks import Disk, small_disk
from tests.support.garrison import ADMIN, ADMIN_PASSWORD, Garrison, short_folder
from tests.support.peers_http import ask

pytestmark = pytest.mark.interop
MEGABYTES = 24


@dataclass
class Place:
    """An installation whose data folder lies on a small disk; its outpost lies elsewhere."""

    stage: Stage
    disk: Disk
    edge: Edge

    def admin(self) -> Visitor:
        """An administrator who is signed in."""
        admin = Visitor()
        assert admin.sign_in(self.users, ADMIN, ADMIN_PASSWORD).status == 200
        return admin

    @property
    def users(self) -> str:
        """The page that lists users."""
        return f"{self.stage.garrison.url}/admin/users/"

    def tries_to_create(self, admin: Visitor, username: str) -> Page:
        """What an administrator is shown who creates a user."""
        form = admin.get(self.users + "new")
        return admin.submit(form, {"username": username, "name": username})

    def exists(self, admin: Visitor, username: str) -> bool:
        """Whether a user does."""
        return username in dict(links(admin.get(f"{self.users}?q={username}")))


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with short_folder() as folder:
        garrison = Garrison(folder / "garrison")
        with small_disk(garrison.data, MEGABYTES) as disk, staged(folder, garrison) as stage:
            yield Place(stage, disk, stage.edge("small"))


def is_told_to_wait(page: Page) -> None:
    assert page.status == 503, f"{page.status} {page.url}\n{page.text[:2000]}"
    assert int(page.headers["retry-after"]) > 0
    assert "full, read-only or failing" in page.text


def refused_crowd(stage: Stage) -> str:
    """What the command line says to a blueprint that is too large for the disk."""
    crowd = [{"username": f"crowd{number}", "name": "x" * 150} for number in range(400)]
    with pytest.raises(AssertionError) as caught:
        stage.garrison.apply({"users": crowd})
    return str(caught.value)


def test_the_disk_is_full(place: Place, healings: list[Healing]) -> None:
    stage, disk, edge = place.stage, place.disk, place.edge
    trial = Trial(stage, edge, "control's disk is full")
    admin = place.admin()
    assert place.tries_to_create(admin, "before").status == 200
    disk.fill()
    began = time.monotonic()
    told = refused_crowd(stage)
    assert "database or disk is full" in told
    assert "Traceback" not in told
    is_told_to_wait(place.tries_to_create(admin, "during"))
    is_told_to_wait(trial.tries_to_sign_in())
    assert place.exists(admin, "before")
    assert not place.exists(admin, "crowd")
    assert ask(stage.garrison.http, "/-/health/ready/", host=edge.site.host).status != 500
    trial.departing.get(edge.site.own("sign_out"), follow=0)
    assert edge.status(trial.kept) == 401
    seconds_until(lambda: time.monotonic() > began + 3, "a while", 5)
    assert edge.is_connected()
    disk.free()
    began = time.monotonic()
    trial.disturb()
    healings.append(trial.heals(began, within=20))
    assert edge.outpost.program.output().count("connected to control") == 1
    assert place.tries_to_create(admin, "after").status == 200


def test_the_disk_fails_and_becomes_read_only(place: Place, healings: list[Healing]) -> None:
    """What was committed can still be read, until somebody mends the disk and starts control again."""
    stage, disk, edge = place.stage, place.disk, place.edge
    disk.free()
    trial = Trial(stage, edge, "control's disk is read-only")
    admin = place.admin()
    assert place.tries_to_create(admin, "kept").status == 200
    disk.fail()
    is_told_to_wait(place.tries_to_create(admin, "lost"))
    is_told_to_wait(trial.tries_to_sign_in())
    assert place.exists(admin, "kept")
    assert not trial.is_locked_out()
    assert edge.is_connected()
    stage.garrison.program.kill()
    with pytest.raises(AssertionError) as caught:
        stage.garrison.start()
    assert "read-only" in str(caught.value).lower()
    assert "Traceback" not in str(caught.value)
    disk.mend()
    began = time.monotonic()
    stage.garrison.start()
    trial.disturb()
    healings.append(trial.heals(began))
    admin = place.admin()
    assert place.exists(admin, "kept")
    assert not place.exists(admin, "lost")
