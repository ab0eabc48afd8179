"""Pages about tasks in a browser: live, readable everywhere, usable by keyboard alone and without JavaScript."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, expect

from control.domain.integration import IntegrationHealth
from control.domain.task import LineLevel, TaskKind, TaskRun, TaskState
from tests.control.web.frontend.serving import DESK, EACH_LOOK, PHONE, Look, serving, unreadable
from tests.support import builders
from tests.support.runs import HOLDER, LEASE, begin, finish, queue, said
from tests.support.site import Site
from tests.support.stores import ADMIN, Clock

pytestmark = pytest.mark.interop

LIST = "/admin/tasks/"
LONG = "a-rather-long-name-for-the-warehouse-in-rotterdam-north.example.internal"
REFUSED = {"detail": f"POST /containers/create: HTTP 403 {LONG}/{LONG}"}


def furnish(site: Site, clock: Clock) -> tuple[str, ...]:
    """Runs of every state, and an overview that tells of them; the addresses that show them."""
    with site.store.write(ADMIN) as unit:
        added = unit.integrations.add(builders.integration(LONG))
        told = IntegrationHealth(id=added.id, healthy=False, checked=unit.now, since=unit.now, error="engine_away")
        unit.integration_healths.save([replace(told, detail=LONG)])
    differences = [
        {"path": path, "wanted": wanted, "found": found}
        for path, wanted, found in (("image", LONG, LONG), ("env.TOKEN", "", ""), ("labels.team", "", "blue"))
    ]
    about = {"component": "guacd", "name": LONG, "place": LONG, "differences": differences}
    plan = [
        {"action": action, "beside": beside, **about}
        for action in ("create", "change", "replace", "revive", "remove")
        for beside in (False, True)
    ]
    done = queue(site.store, TaskKind.PREVIEW, uuid4(), LONG, "root")
    lines = [said(done, "engine_ill", level, code="not_allowed", **REFUSED) for level in LineLevel]
    done = finish(site.store, begin(site.store, done, lines), result={"plan": plan})
    failed = queue(site.store, TaskKind.DEPLOY, uuid4(), LONG, LONG)
    finish(site.store, failed, TaskState.FAILED, error="not_allowed", values=REFUSED)
    held = queue(site.store, TaskKind.DEPLOY, uuid4(), LONG)
    finish(site.store, held, result={"applied": plan[:1], "held": plan[2:3]})
    checked = queue(site.store, TaskKind.CHECK, added.id, LONG, "schedule")
    finish(site.store, checked, result={"healthy": False, "error": "ssh_refused"})
    retried = queue(site.store, TaskKind.SURVEY, added.id, LONG, "schedule")
    later = clock.now + timedelta(minutes=1)
    finish(site.store, retried, TaskState.RETRYING, error="engine_away", values=REFUSED, due=later)
    running = queue(site.store, TaskKind.DEPLOY, uuid4(), LONG, "event")
    begin(site.store, running, [said(running, "pulling", image=LONG)], done=3, total=9)
    queued = queue(site.store, TaskKind.CLEAN_UP)
    clock.advance(minutes=2)
    runs = (done, failed, held, checked, retried, running, queued)
    asked = (f"{LIST}{running.id}/cancel", f"{LIST}{failed.id}/again", f"{LIST}?subject={failed.subject}&q=nowhere")
    return ("/admin/", LIST, f"{LIST}?state=failed&kind=deploy+outpost", *(f"{LIST}{run.id}/" for run in runs), *asked)


@EACH_LOOK
def test_every_word_can_be_read(browser: Browser, site: Site, clock: Clock, look: Look) -> None:
    with serving(site, furnish(site, clock)) as served:
        assert unreadable(browser, served, look) == {}


def test_a_run_is_followed_to_its_end(browser: Browser, site: Site) -> None:
    run = queue(site.store, subject=uuid4(), name="edge")
    with serving(site) as served, served.signed_in(browser.new_context(viewport=DESK)) as context:
        page = context.new_page()
        page.clock.install()
        page.goto(f"{served.url}{LIST}{run.id}/")
        expect(page.get_by_text("Queued")).to_be_visible()
        running = begin(site.store, run, [said(run, "pulling", image="proxy:2")], done=1, total=4)
        expect(page.get_by_text("1 of 4")).to_be_visible()
        expect(page.locator(".g-log-line")).to_have_text([f"{run.created:%H:%M:%S}Pulls proxy:2."])
        _say(site, running)
        expect(page.locator(".g-log-line")).to_have_count(2)
        finish(site.store, running, done=4, total=4)
        expect(page.get_by_role("link", name="Run again")).to_be_visible()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.clock.fast_forward(10_000)  # where there is a poll to come it comes now
        page.evaluate("() => fetch('/-/health/live/')")
        assert [url.removeprefix(served.url) for url in asked] == ["/-/health/live/"]


def test_cancelled_by_keyboard_from_the_list(browser: Browser, site: Site) -> None:
    run = queue(site.store, subject=uuid4(), name="edge")
    with serving(site) as served, served.signed_in(browser.new_context(viewport=DESK)) as context:
        page = context.new_page()
        page.goto(served.url + LIST)
        page.locator(f"#cancel-{run.id}").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog")).to_contain_text("Cancel “Deploy outpost edge”?")
        page.keyboard.press("Escape")
        expect(page.locator(f"#cancel-{run.id}")).to_be_focused()
        page.keyboard.press("Enter")
        button = page.get_by_role("button", name="Cancel the run")
        expect(button).to_be_visible()
        button.focus()
        with page.expect_navigation():
            page.keyboard.press("Enter")
        assert page.url.endswith(f"{LIST}{run.id}/")
        expect(page.get_by_text("The end of “Deploy outpost” was asked for.")).to_be_visible()


def test_without_javascript(browser: Browser, site: Site) -> None:
    failed = finish(site.store, queue(site.store, subject=uuid4(), name="edge"), TaskState.FAILED, error="not_healthy")
    finish(site.store, queue(site.store, TaskKind.CLEAN_UP))
    with (
        serving(site) as served,
        served.signed_in(browser.new_context(viewport=PHONE, java_script_enabled=False)) as context,
    ):
        page = context.new_page()
        page.goto(served.url + LIST)
        page.get_by_label("Task", exact=True).select_option("deploy outpost")
        page.get_by_role("button", name="Filter").click()
        expect(page).to_have_url(f"{served.url}{LIST}?kind=deploy+outpost")
        page.get_by_role("link", name="Failed 1").click()
        page.locator(f"#task-{failed.id}").click()
        page.get_by_role("link", name="Run again").click()
        page.get_by_role("button", name="Run again").click()
        expect(page.get_by_text("“Deploy outpost” begins within a second.")).to_be_visible()
        expect(page.locator("main").get_by_text("Queued")).to_be_visible()


def _say(site: Site, run: TaskRun) -> None:
    with site.store.write(ADMIN) as unit:
        assert unit.runs.renew(run, LEASE, [said(run, "pulled", image="proxy:2")])
        assert run.holder == HOLDER
