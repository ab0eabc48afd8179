"""The overview's card of integrations and tasks: silent while there is nothing, plain about what is wrong."""

from datetime import timedelta
from uuid import uuid4

from control.domain.integration import IntegrationHealth
from control.domain.task import TaskKind, TaskState
from control.store import Store
from tests.support import builders
from tests.support.runs import begin, finish, queue
from tests.support.site import Site
from tests.support.stores import ADMIN, Clock

URL = "/admin/overview/live"


def engine(store: Store, name: str, **health: object) -> None:
    """An integration, looked at just now."""
    with store.write(ADMIN) as unit:
        added = unit.integrations.add(builders.integration(name))
        usual: dict[str, object] = {"healthy": True, "checked": unit.now, "since": unit.now - timedelta(hours=3)}
        found = {**usual, **health}
        unit.integration_healths.save([IntegrationHealth(id=added.id, **found)])  # type: ignore[arg-type] # by name


def test_nothing_to_tell(site: Site) -> None:
    finish(site.store, queue(site.store, TaskKind.CLEAN_UP, cause="schedule"))
    assert "Integrations and tasks" not in site.admin.get(URL).text


def test_all_is_well(site: Site) -> None:
    engine(site.store, "dock")
    begin(site.store, queue(site.store, subject=uuid4()))
    queue(site.store, subject=uuid4())
    queue(site.store, subject=uuid4())
    page = site.admin.get("/admin/").text
    assert "1 integration</a>, all as they should be" in page
    for words in ("1 task running", "2 waiting", "none has failed of late"):
        assert words in page


def test_integrations_in_trouble(site: Site, clock: Clock) -> None:
    engine(site.store, "stale", checked=clock.now - timedelta(minutes=6))
    engine(site.store, "away", healthy=False, error="engine_away", detail="connection refused")
    engine(site.store, "strict", missing=("containers kill",))
    engine(site.store, "fine")
    page = site.admin.get(URL).text
    assert "The engine doesn&#39;t answer. <span" in page
    assert "connection refused" in page
    assert "refuses: containers kill" in page
    assert "last checked" in page
    assert "<bdi>fine</bdi>" not in page
    assert "all as they should be" not in page


def test_tasks_that_fail(site: Site, clock: Clock) -> None:
    for number in range(7):
        run = queue(site.store, subject=uuid4(), name=f"site {number}")
        finish(site.store, run, TaskState.FAILED, error="crashed", values={"type": "ValueError"})
        clock.advance(seconds=1)
    finish(site.store, queue(site.store, TaskKind.PREVIEW, uuid4(), "looked at"), TaskState.FAILED, error="crashed")
    page = site.admin.get(URL).text
    assert "<bdi>site 6</bdi>" in page
    assert "<bdi>site 1</bdi>" not in page
    assert "And 2 more tasks failed." in page
    assert "looked at" not in page
    assert 'Something broke on our side. <span class="g-said"><bdi>ValueError</bdi></span>' in page
    assert "none has failed" not in page


def test_nobody_works(site: Site, clock: Clock) -> None:
    queue(site.store)
    assert "Nobody works" not in site.admin.get(URL).text
    clock.advance(minutes=2)
    assert "Nobody works" in site.admin.get(URL).text
