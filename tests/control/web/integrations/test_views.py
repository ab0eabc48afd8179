"""Integrations in the admin interface, by a browser without JavaScript and by htmx."""

import pytest

from control.domain.integration import PERMISSIONS, DeploymentState, Integration
from control.domain.outpost import Outpost
from control.domain.task import TaskKind, TaskRun, TaskState
from control.fleet.certificates import generate_certificate
from control.store import Store
from tests.support import runs
from tests.support.deployments import deploy, host_key, make_integration, place, set_health
from tests.support.markup import inline_code
from tests.support.site import Site, fill
from tests.support.stores import ADMIN, Clock

LIST = "/admin/integrations/"
NEW = f"{LIST}new/docker"


def integration_named(store: Store, name: str) -> Integration:
    with store.read() as unit:
        return unit.integrations.get_named(name)


def checks(store: Store, integration: Integration) -> list[TaskRun]:
    with store.read() as unit:
        return [run for run in unit.runs.all() if (run.kind, run.subject) == (TaskKind.CHECK, integration.id)]


def test_a_new_one_is_checked_at_once(site: Site) -> None:
    response = site.admin.submit(NEW, name="rack", url="unix:///run/docker.sock")
    made = integration_named(site.store, "rack")
    assert (response.status_code, response.headers["Location"]) == (303, f"{LIST}{made.id}/")
    (run,) = checks(site.store, made)
    assert (run.cause, run.name) == ("root", "rack")
    page = site.admin.get(f"{LIST}{made.id}/").text
    for words in ("Not checked yet", "About to be checked", f"/admin/tasks/{run.id}/", "unix:///run/docker.sock"):
        assert words in page


def test_the_way_is_chosen_first(site: Site) -> None:
    page = site.admin.get(f"{LIST}new").text
    for url in ("unix:///var/run/docker.sock", "tcp://", "ssh://"):
        assert f"{NEW}?url={url}" in page
    assert site.admin.form(f"{NEW}?url=ssh://").fields["url"] == ["ssh://"]


def test_the_modal_posts_and_leads_on(site: Site) -> None:
    browser = site.admin
    fields = {**browser.form(NEW).fields, "name": "rack", "url": "unix:///run/docker.sock"}
    response = browser.client.post(NEW, data=fields, headers={"HX-Request": "true", "HX-Target": "modal"})
    assert response.status_code == 204
    assert response.headers["HX-Redirect"] == f"{LIST}{integration_named(site.store, 'rack').id}/"


def test_certificates_for_either_side(site: Site) -> None:
    with site.store.write(ADMIN) as unit:
        pair = generate_certificate(unit, {"name": "pair", "common_name": "garrison"})
        ca = generate_certificate(unit, {"name": "ca", "common_name": "ca"})
        unit.certificates.update(type(ca)(id=ca.id, name="ca", chain=ca.chain, created=ca.created))
    form = site.admin.get(NEW).text
    assert form.count(">ca</option>") == 1
    assert form.count(">pair</option>") == 2
    url = "tcp://docker.example.com:2376"
    site.admin.submit(NEW, name="rack", url=url, tls_verification=str(ca.id), tls_authentication=str(pair.id))
    made = integration_named(site.store, "rack")
    assert (made.url, made.tls_verification, made.tls_authentication) == (url, ca.id, pair.id)
    page = site.admin.get(f"{LIST}{made.id}/").text
    assert f"/admin/certificates/{ca.id}/" in page
    for blocked in (ca, pair):
        assert ">rack</a>" in site.admin.get(f"/admin/certificates/{blocked.id}/delete").text
        assert site.admin.submit(f"/admin/certificates/{blocked.id}/delete").status_code == 422


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"url": "docker.example.com"}, "url"),
        ({"url": "tcp://docker.example.com"}, "url"),
        ({"url": ""}, "url"),
        ({"url": "ssh://user:secret@docker.example.com"}, "url"),
        ({"name": ""}, "name"),
        ({"tls_authentication": "nothing"}, "tls_authentication"),
    ],
)
def test_problems_stand_at_their_fields(site: Site, fields: dict[str, str], field: str) -> None:
    response = site.admin.submit(NEW, **{"name": "rack", "url": "ssh://docker.example.com", **fields})
    assert response.status_code == 422
    assert f'id="{field}-error"' in response.text
    with site.store.read() as unit:
        assert unit.integrations.all() == []
        assert unit.runs.all() == []


def test_editing_keeps_what_isnt_changed_and_checks(site: Site) -> None:
    made = make_integration(site.store)
    url = f"{LIST}{made.id}/edit"
    assert site.admin.submit(url).status_code == 303
    assert integration_named(site.store, "rack") == made
    assert site.admin.submit(url, name="renamed").status_code == 303
    assert integration_named(site.store, "renamed").id == made.id
    assert len(checks(site.store, made)) == 1


def test_another_url_where_something_lies(site: Site) -> None:
    made, outpost = make_integration(site.store), fill(site.store)
    url = f"{LIST}{made.id}/edit"
    assert "same_engine" not in site.admin.get(url).text
    deploy(site.store, place(site.store, outpost, made), made)
    refused = site.admin.submit(url, url="unix:///run/elsewhere.sock")
    assert (refused.status_code, "which would stay there" in refused.text) == (422, True)
    assert site.admin.submit(url, url="unix:///run/elsewhere.sock", same_engine="y").status_code == 303
    assert integration_named(site.store, "rack").url == "unix:///run/elsewhere.sock"


def test_what_is_used_cant_be_deleted(site: Site) -> None:
    made = make_integration(site.store)
    place(site.store, fill(site.store), made)
    page = site.admin.get(f"{LIST}{made.id}/delete").text
    assert "These outposts are deployed to it" in page
    assert ">Delete</button>" not in page
    assert site.admin.submit(f"{LIST}{made.id}/delete").status_code == 422
    assert integration_named(site.store, "rack") == made


def test_deleting_tells_what_is_left_there(site: Site) -> None:
    made, outpost = make_integration(site.store), fill(site.store)
    url = f"{LIST}{made.id}/delete"
    assert "Nothing of Garrison's lies there" in site.admin.get(url).text
    deploy(site.store, outpost, made, state=DeploymentState.LEAVING)
    page = site.admin.get(url).text
    assert "<li>edge</li>" in page
    assert "remove them there by hand" in page
    assert site.admin.submit(url).status_code == 303
    with site.store.read() as unit:
        assert unit.integrations.all() == []
        assert unit.deployments.all() == []


def test_checking_by_button(site: Site) -> None:
    made = make_integration(site.store)
    url = f"{LIST}{made.id}/"
    browser = site.admin
    assert browser.submit(url, f"{url}check").headers["Location"] == url
    (run,) = checks(site.store, made)
    assert "is being checked" in browser.get(url).text
    token = browser.form(url, f"{url}check").fields["csrf_token"]
    headers = {"HX-Request": "true", "HX-Target": "integration"}
    answer = browser.client.post(f"{url}check", data={"csrf_token": token}, headers=headers)
    assert answer.status_code == 200
    assert "<html" not in answer.text
    assert "About to be checked" in answer.text
    assert checks(site.store, made) == [run]
    with site.store.read() as unit:
        event = next(event for event in unit.audit.latest(9) if event.kind == "integration")
        assert (event.actor, event.action, event.target) == ("root", "asked to check", str(made.id))


def test_a_healthy_one(site: Site) -> None:
    made = make_integration(site.store)
    set_health(site.store, made)
    for url in (LIST, f"{LIST}live", f"{LIST}{made.id}/", f"{LIST}{made.id}/live"):
        page = site.admin.get(url).text
        assert "</span>Healthy</span>" in page
        assert "28.5.1" in page
    assert all(permission in page for permission in PERMISSIONS)


def test_an_unhealthy_one_says_why_and_what_to_do(site: Site, clock: Clock) -> None:
    made = make_integration(site.store)
    clock.advance(minutes=-42)
    since = clock.now
    clock.advance(minutes=42)
    detail = "[Errno 111] <b>refused</b>"
    set_health(site.store, made, healthy=False, since=since, error="engine_away", detail=detail)
    for url in (LIST, f"{LIST}{made.id}/"):
        page = site.admin.get(url).text
        for words in ("Unhealthy", "42 minutes ago", "doesn&#39;t answer", "&lt;b&gt;refused&lt;/b&gt;"):
            assert words in page or words.replace("&#39;", "'") in page, (url, words)
    assert "firewall" in page
    clock.advance(minutes=6)
    assert "</span>Unknown</span>" in site.admin.get(f"{LIST}{made.id}/").text


def test_what_is_refused_is_named(site: Site) -> None:
    made = make_integration(site.store)
    lacking = {"healthy": False, "error": "permissions_missing", "detail": "containers kill"}
    for changes, word in (({}, "Not all allowed"), (lacking, "Unhealthy")):
        set_health(site.store, made, missing=("containers kill",), **changes)
        assert "refuses: containers kill." in site.admin.get(LIST).text
        page = site.admin.get(f"{LIST}{made.id}/").text
        assert f"</span>{word}</span>" in page
        assert "<strong>Containers kill:</strong>" in page
        assert "POST=1" in page


def test_a_changed_host_key_is_no_wall_of_letters(site: Site) -> None:
    made = make_integration(site.store, url="ssh://docker.example.com")
    old, new = host_key("a"), host_key("b")
    keys = {"host_key": old, "offered_key": new, "error": "host_key_changed", "detail": new}
    set_health(site.store, made, healthy=False, **keys)
    for url in (LIST, f"{LIST}{made.id}/"):
        assert new not in site.admin.get(url).text
    page = site.admin.get(f"{LIST}{made.id}/").text
    assert page.count("SHA256:") == 2
    assert f"{LIST}{made.id}/trust/" in page


def outpost_row(site: Site, made: Integration, outpost: Outpost) -> str:
    page = site.admin.get(f"{LIST}{made.id}/live").text
    start = page.index(f">{outpost.name}<")
    return page[start : page.index("</tr>", start)]


def test_what_lies_there(site: Site) -> None:
    made, other = make_integration(site.store), make_integration(site.store, "other")
    outpost, moved = place(site.store, fill(site.store), made), place(site.store, fill(site.store, "moved"), other)
    assert "Waiting" in outpost_row(site, made, outpost)
    deploy(site.store, outpost, made)
    deploy(site.store, moved, made, state=DeploymentState.LEAVING, error="engine_away")
    assert "Deployed" in outpost_row(site, made, outpost)
    assert "abababababab" in outpost_row(site, made, outpost)
    assert "Being removed" in outpost_row(site, made, moved)
    assert "no longer wanted here" in site.admin.get(f"{LIST}{made.id}/").text
    site.admin.submit(f"/admin/outposts/{moved.id}/delete")
    assert "deleted" in outpost_row(site, made, moved)


def test_polling_costs_nothing_while_nothing_changes(site: Site) -> None:
    made = make_integration(site.store)
    browser = site.admin
    for url in (f"{LIST}live", f"{LIST}{made.id}/live"):
        set_health(site.store, made)
        first = browser.get(url)
        again = browser.get(url, If_None_Match=first.headers["ETag"])
        assert (again.status_code, again.text) == (304, "")
        set_health(site.store, made, healthy=False, error="engine_away")
        assert browser.get(url, If_None_Match=first.headers["ETag"]).status_code == 200


def test_one_that_is_deleted_while_somebody_looks(site: Site) -> None:
    made = make_integration(site.store)
    site.admin.submit(f"{LIST}{made.id}/delete")
    answer = site.admin.get(f"{LIST}{made.id}/live")
    assert (answer.status_code, "This integration isn't here any more" in answer.text) == (286, True)
    assert site.admin.get(f"{LIST}{made.id}/").status_code == 404


def test_runs_are_told_of_in_short(site: Site) -> None:
    made = make_integration(site.store)
    run = runs.finish(site.store, runs.queue(site.store, TaskKind.CHECK, made.id, "rack"), TaskState.DONE)
    page = site.admin.get(f"{LIST}{made.id}/").text
    assert f"/admin/tasks/{run.id}/" in page
    assert f"/admin/tasks/?subject={made.id}" in page


def test_without_integrations_the_list_says_what_they_are(site: Site) -> None:
    page = site.admin.get(LIST).text
    assert "No integrations yet" in page
    assert inline_code(page) == []


def test_the_trail_leads_here(site: Site) -> None:
    site.admin.submit(NEW, name="rack", url="unix:///run/docker.sock")
    made = integration_named(site.store, "rack")
    with site.store.read() as unit:
        event = next(event for event in unit.audit.latest(9) if event.action == "created")
    assert f"{LIST}{made.id}/" in site.admin.get(f"/admin/audit/{event.id}/").text
