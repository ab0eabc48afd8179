"""Outposts that control deploys itself: chosen in the form, told of on the page, compared and deployed by button."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from control.domain.integration import DeploymentState, Integration
from control.domain.outpost import Outpost, OutpostType
from control.domain.task import Cause, TaskKind, TaskState
from control.fleet.outposts import create_outpost
from control.store import Store
from tests.support import runs
from tests.support.deployments import deploy, make_integration, set_health
from tests.support.site import Site, instance
from tests.support.stores import ADMIN, Clock

LIST = "/admin/outposts/"
NEW = f"{LIST}new"
PLAN = [
    {
        "action": "replace",
        "component": "outpost",
        "name": "ak-outpost-edge",
        "beside": False,
        "differences": [{"path": "image", "wanted": "outpost:2", "found": "outpost:<b>1</b>"}],
    }
]


@pytest.fixture
def rack(site: Site) -> Integration:
    """A healthy engine, the only one."""
    made = make_integration(site.store)
    set_health(site.store, made)
    return made


@pytest.fixture
def edge(site: Site, rack: Integration) -> Outpost:
    """An outpost that is to be there."""
    fields = {"name": "edge", "type": "proxy", "providers": [site.world.wiki.id], "integration": rack.id}
    with site.store.write(ADMIN) as unit:
        return create_outpost(unit, fields)


def outpost_named(store: Store, name: str) -> Outpost:
    with store.read() as unit:
        return unit.outposts.get_named(name)


def card(site: Site, outpost: Outpost) -> str:
    """What of the page is polled."""
    answer = site.admin.get(f"{LIST}{outpost.id}/deployment/live")
    assert answer.status_code == 200
    return answer.text


def test_the_only_integration_is_chosen_already(site: Site, rack: Integration) -> None:
    assert site.admin.form(NEW).fields["integration"] == [str(rack.id)]
    assert site.admin.form(f"{NEW}?integration=").fields["integration"] == [""]
    make_integration(site.store, "other")
    assert site.admin.form(NEW).fields["integration"] == [""]


def test_creating_leads_to_its_deployment(site: Site, rack: Integration) -> None:
    browser = site.admin
    response = browser.submit(NEW, name="office", type="ldap")
    made = outpost_named(site.store, "office")
    assert (made.integration, response.headers["Location"]) == (rack.id, f"{LIST}{made.id}/#managed")
    page = browser.get(f"{LIST}{made.id}/").text
    for words in ("is being deployed", "Waiting", ">rack</a>", "Garrison deploys one", "further instances by hand"):
        assert words in page


@pytest.mark.usefixtures("rack")
def test_deployed_by_hand_if_wanted(site: Site) -> None:
    site.admin.submit(NEW, name="office", integration="")
    made = outpost_named(site.store, "office")
    assert made.integration is None
    page = site.admin.get(f"{LIST}{made.id}/").text
    assert 'id="managed"' not in page
    assert "None: deployed by hand" in page
    browser = site.admin
    token = browser.form(f"{LIST}{made.id}/", f"{LIST}{made.id}/token/show").fields["csrf_token"]
    refused = browser.client.post(f"{LIST}{made.id}/deployment/preview", data={"csrf_token": token})
    assert (refused.status_code, "It is deployed by hand" in refused.text) == (409, True)


def test_an_integration_that_isnt_there(site: Site) -> None:
    response = site.admin.submit(NEW, name="office", integration="00000000-0000-4000-8000-000000000000")
    assert response.status_code == 422
    assert 'id="integration-error"' in response.text


def test_moving_it_elsewhere(site: Site, rack: Integration, edge: Outpost) -> None:
    other = make_integration(site.store, "other")
    deploy(site.store, edge, rack)
    assert "removed from where it is now" in site.admin.get(f"{LIST}{edge.id}/edit").text
    site.admin.submit(f"{LIST}{edge.id}/edit", integration=str(other.id))
    assert outpost_named(site.store, "edge").integration == other.id
    found = card(site, edge)
    assert "Waiting" in found
    assert "Being removed" in found
    assert found.index(">other</a>") < found.index(">rack</a>")


def test_back_to_by_hand(site: Site, rack: Integration, edge: Outpost) -> None:
    deploy(site.store, edge, rack)
    site.admin.submit(f"{LIST}{edge.id}/edit", integration="")
    page = site.admin.get(f"{LIST}{edge.id}/").text
    assert "Being removed" in page
    assert "Deploy now" not in page
    with site.store.write(ADMIN) as unit:
        unit.deployments.remove(unit.deployments.all()[0])
    assert 'id="managed"' not in site.admin.get(f"{LIST}{edge.id}/").text
    assert "nothing of it is left" in card(site, edge)


def test_another_type(site: Site, edge: Outpost) -> None:
    url = f"{LIST}{edge.id}/edit"
    assert 'type="radio" name="type" value="ldap"' in site.admin.get(url).text
    assert site.admin.submit(url, type="ldap").status_code == 422
    assert site.admin.submit(url, type="ldap", providers=[]).status_code == 303
    assert outpost_named(site.store, "edge").type is OutpostType.LDAP


def test_the_embedded_one_is_never_deployed(site: Site, rack: Integration) -> None:
    with site.store.read() as unit:
        embedded = unit.outposts.find_embedded()
    assert embedded is not None
    page = site.admin.get(f"{LIST}{embedded.id}/edit").text
    assert 'name="integration"' not in page
    assert 'type="radio"' not in page
    assert site.admin.submit(f"{LIST}{embedded.id}/edit", integration=str(rack.id)).status_code == 303
    assert outpost_named(site.store, embedded.name).integration is None


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (DeploymentState.PENDING, ["Waiting"]),
        (DeploymentState.DEPLOYED, ["Deployed", "abababababab"]),
        (DeploymentState.FAILED, ["Failed", "doesn't answer", "&lt;why&gt;", "firewall"]),
        (DeploymentState.ROLLED_BACK, ["Rolled back", "What was there before serves on"]),
    ],
)
def test_states_in_words(
    site: Site, rack: Integration, edge: Outpost, state: DeploymentState, words: list[str]
) -> None:
    error = "" if state in {DeploymentState.PENDING, DeploymentState.DEPLOYED} else "engine_away"
    deploy(site.store, edge, rack, state=state, error=error, detail="<why>" if error else "")
    found = card(site, edge).replace("&#39;", "'")
    for each in words:
        assert each in found
    listed = site.admin.get(f"{LIST}live").text
    assert ">rack</a>" in listed
    assert ("</span>Deployed</span>" in listed) is False
    assert (words[0] in listed) is (state is not DeploymentState.DEPLOYED)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"state": DeploymentState.ROLLED_BACK, "failed": "f", "tries": 2}, ["serves on. It is tried again when the"]),
        (
            {"state": DeploymentState.ROLLED_BACK, "tries": 2},
            ["serves on.", "failed 2 times on end", "tried again <time"],
        ),
        ({"state": DeploymentState.FAILED, "tries": 1}, ["It is tried again <time"]),
        (
            {"state": DeploymentState.FAILED, "tries": 5, "error": "mending_rests"},
            ["It is down again", "had to be mended 5 times of late. It is tried again <time"],
        ),
        ({"state": DeploymentState.DEPLOYED, "tries": 3}, []),
        ({"state": DeploymentState.DEPLOYED, "tries": 4}, ["had to be mended 4 times"]),
    ],
)
def test_when_it_is_tried_again(
    site: Site, rack: Integration, edge: Outpost, fields: dict[str, object], words: list[str]
) -> None:
    with site.store.read() as unit:
        retry = unit.now + timedelta(minutes=2)
    is_well = fields["state"] is DeploymentState.DEPLOYED
    deploy(site.store, edge, rack, **{"retry": retry, "error": "" if is_well else "no_image", **fields})
    found = " ".join(card(site, edge).split())
    for each in words:
        assert each in found
    assert bool(words) is ("tried again" in found or "mended" in found)


def test_what_is_queued_for_later_waits_for_no_turn(site: Site, rack: Integration, edge: Outpost) -> None:
    with site.store.write(ADMIN) as unit:
        retry = unit.now + timedelta(minutes=2)
        unit.runs.submit(TaskKind.DEPLOY, Cause.EVENT, edge.id, "edge", retry)
    deploy(site.store, edge, rack, state=DeploymentState.FAILED, error="mending_rests", tries=5, retry=retry)
    found = " ".join(card(site, edge).split())
    assert ">is tried again <time" in found
    assert "It is tried again <time" in found
    assert "waits for its turn" not in found


def test_an_engine_that_is_away(site: Site, rack: Integration, edge: Outpost) -> None:
    deploy(site.store, edge, rack)
    set_health(site.store, rack, healthy=False, error="engine_away", detail="refused")
    assert "What runs there goes on" in card(site, edge)


def test_what_runs_and_is_not_heard_of(site: Site, clock: Clock, rack: Integration, edge: Outpost) -> None:
    deploy(site.store, edge, rack)
    unheard = "It runs, but is not connected"
    assert unheard not in card(site, edge)
    clock.advance(seconds=31)
    assert unheard in card(site, edge)
    assert "that is the container itself" in card(site, edge)
    with site.store.write(ADMIN) as unit:
        elsewhere = {"authentik_host": "https://auth.example.com"}
        unit.outposts.update(replace(unit.outposts.get(edge.id), config=elsewhere))
    assert "reach Garrison at https://auth.example.com" in card(site, edge)
    assert "that the name is known" in card(site, edge)
    with site.store.write(ADMIN) as unit:
        unit.instances.save([instance(edge.id, unit.now)])
    assert unheard not in card(site, edge)


def ask(site: Site, outpost: Outpost, what: str) -> None:
    url = f"{LIST}{outpost.id}/"
    page = url if what == "preview" else f"{url}deployment/{what}"
    assert site.admin.submit(page, f"{url}deployment/{what}").headers["Location"] == f"{url}#managed"


@pytest.mark.parametrize(("what", "kind"), [("preview", TaskKind.PREVIEW), ("deploy", TaskKind.DEPLOY)])
def test_asking(site: Site, edge: Outpost, what: str, kind: TaskKind) -> None:
    ask(site, edge, what)
    with site.store.read() as unit:
        run = unit.runs.latest(kind, edge.id)
        event = next(event for event in unit.audit.latest(9) if event.kind == "outpost")
    assert run is not None
    assert (run.cause, run.name) == ("root", "edge")
    assert (event.actor, event.action) == ("root", f"asked to {what}")
    assert "waits for its turn" in card(site, edge)
    runs.begin(site.store, run)
    assert f"/admin/tasks/{run.id}/" in card(site, edge)
    assert {"preview": "being compared", "deploy": "being deployed"}[what] in card(site, edge)


def test_asking_by_htmx_swaps_the_card(site: Site, edge: Outpost) -> None:
    browser, url = site.admin, f"{LIST}{edge.id}/"
    fields = browser.form(url, f"{url}deployment/preview").fields
    headers = {"HX-Request": "true", "HX-Target": "managed-live"}
    answer = browser.client.post(f"{url}deployment/preview", data=fields, headers=headers)
    assert (answer.status_code, "<html" in answer.text) == (200, False)
    assert "waits for its turn" in answer.text
    modal = browser.get(f"{url}deployment/deploy", HX_Request="true", HX_Target="modal").text
    assert modal.lstrip().startswith('<form class="modal-content')


def preview(store: Store, outpost: Outpost, plan: object) -> None:
    run = runs.queue(store, TaskKind.PREVIEW, outpost.id, outpost.name, "root")
    runs.finish(store, run, result={"plan": plan})


def test_the_plan_tells_what_would_be_done(site: Site, rack: Integration, edge: Outpost) -> None:
    deploy(site.store, edge, rack)
    preview(site.store, edge, PLAN)
    for found in (card(site, edge), site.admin.get(f"{LIST}{edge.id}/deployment/deploy").text):
        for words in ("Replace", "ak-outpost-edge", "outpost:2", "outpost:&lt;b&gt;1&lt;/b&gt;", "is away until"):
            assert words in found
    assert "What a deployment would do" in card(site, edge)


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ({"applied": []}, "nothing to do"),
        (
            {"applied": [{**PLAN[0], "action": "revive", "differences": []}]},
            "started again <bdi>ak-outpost-edge</bdi></",
        ),
        ({"applied": PLAN}, "replaced <bdi>ak-outpost-edge</bdi>: image</"),
        ({"applied": [{**PLAN[0], "name": "<b>"}]}, "replaced <bdi>&lt;b&gt;</bdi>"),
        (None, "Deploy outpost"),
    ],
)
def test_what_a_run_has_done(site: Site, edge: Outpost, result: dict[str, object] | None, words: str) -> None:
    run = runs.queue(site.store, TaskKind.DEPLOY, edge.id, "edge")
    runs.finish(site.store, run, result=result)
    assert words in card(site, edge)


def test_a_plan_is_worth_nothing_once_something_was_done(
    site: Site, clock: Clock, rack: Integration, edge: Outpost
) -> None:
    deploy(site.store, edge, rack)
    preview(site.store, edge, [])
    assert "Nothing to do" in card(site, edge)
    clock.advance(seconds=1)
    runs.finish(site.store, runs.queue(site.store, TaskKind.DEPLOY, edge.id, "edge"), TaskState.FAILED)
    assert "What a deployment would do" not in card(site, edge)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "seconds of downtime"),
        ({"docker_map_ports": False}, "without downtime"),
        ({"docker_map_ports": False, "docker_network": "host"}, "seconds of downtime"),
    ],
)
def test_downtime_is_told_before(site: Site, edge: Outpost, config: dict[str, object], words: str) -> None:
    with site.store.write(ADMIN) as unit:
        unit.outposts.update(replace(unit.outposts.get(edge.id), config=config))
    assert words in site.admin.get(f"{LIST}{edge.id}/deployment/deploy").text


@pytest.mark.parametrize(("is_healthy", "words"), [(True, "</strong>."), (False, "as soon as that answers again")])
def test_deleting_tells_of_the_container(
    site: Site, rack: Integration, edge: Outpost, is_healthy: bool, words: str
) -> None:
    set_health(site.store, rack, healthy=is_healthy, error="" if is_healthy else "engine_away")
    page = site.admin.get(f"{LIST}{edge.id}/delete").text
    told = page[page.index("Its container is removed from") :].split("</p>")[0]
    assert told.endswith(words) or words in told


def test_polling_costs_nothing_while_nothing_changes(site: Site, rack: Integration, edge: Outpost) -> None:
    def unchanged(act: Callable[[], object]) -> None:
        first = browser.get(url)
        assert browser.get(url, If_None_Match=first.headers["ETag"]).status_code == 304
        act()
        assert browser.get(url, If_None_Match=first.headers["ETag"]).status_code == 200

    browser, url = site.admin, f"{LIST}{edge.id}/deployment/live"
    unchanged(lambda: deploy(site.store, edge, rack))
    unchanged(lambda: runs.queue(site.store, TaskKind.DEPLOY, edge.id, "edge"))
    unchanged(lambda: set_health(site.store, rack, healthy=False, error="engine_away"))
