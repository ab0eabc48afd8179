"""System tasks: the list and what it may be narrowed to, one run, its end, and once more."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest

from control.domain.task import LineLevel, TaskKind, TaskState
from tests.support.markup import inline_code, links, tags
from tests.support.runs import LEASE, begin, finish, queue, said
from tests.support.site import Site, fill
from tests.support.stores import Clock

LIST = "/admin/tasks/"
ENDED = 286


def page_of(run: object) -> str:
    return f"{LIST}{run.id}/"  # type: ignore[attr-defined] # a TaskRun


def test_nothing_has_run_yet(site: Site) -> None:
    assert "Nothing has run yet" in site.admin.get(LIST).text


def test_the_list_is_narrowed_by_its_address(site: Site) -> None:
    lab = uuid4()
    finish(site.store, queue(site.store, subject=lab, name="lab", cause="schedule"))
    check = queue(site.store, TaskKind.CHECK, uuid4(), "Docker at edge", "alice")
    finish(site.store, check, TaskState.FAILED, error="engine_away", values={"detail": "no <route>"})
    queue(site.store, subject=uuid4(), name="edge")
    page = site.admin.get(LIST).text
    assert "The engine doesn&#39;t answer." in page
    assert "route" not in page
    assert "no &lt;route&gt;" in site.admin.get(page_of(check)).text
    assert '<optgroup label="Asked by"><option value="alice">' in page
    for words in ("All <strong>3</strong>", "Done <strong>1</strong>", "Failed <strong>1</strong>"):
        assert words in page
    for query, shown in {
        "q=LAB": {"lab"},
        "q=e": {"Docker at edge", "edge"},
        "kind=check+integration": {"Docker at edge"},
        "state=queued": {"edge"},
        "cause=alice": {"Docker at edge"},
        "cause=schedule&state=done": {"lab"},
        f"subject={lab}": {"lab"},
        "state=nonsense&kind=else&subject=x": {"lab", "edge", "Docker at edge"},
    }.items():
        for url in (f"{LIST}?{query}", f"{LIST}live?{query}"):
            rows = site.admin.get(url).text
            assert {
                name for name in ("lab", "edge", "Docker at edge") if f"<bdi>{name}</bdi></div>" in rows
            } == shown, url
    assert "No run matches" in site.admin.get(f"{LIST}?q=nobody").text


def test_a_form_leaves_nothing_empty_in_the_address(site: Site) -> None:
    answer = site.admin.get(f"{LIST}?q=&kind=check+integration&cause=&state=failed")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{LIST}?kind=check+integration&state=failed")


def test_narrowing_keeps_the_rest_of_the_filter(site: Site) -> None:
    lab = uuid4()
    finish(site.store, queue(site.store, subject=lab, name="lab"))
    page = site.admin.get(f"{LIST}?subject={lab}&q=la").text
    assert f'href="{LIST}?q=la&amp;subject={lab}&amp;state=failed"' in page
    assert f'<input type="hidden" name="subject" value="{lab}">' in page
    assert "<bdi>lab</bdi>" in page[page.index("About: ") :]
    assert f"<bdi>{lab}</bdi>" not in page
    assert "<bdi>lab</bdi>" in site.admin.get(f"{LIST}?subject={lab}&q=other").text


def test_the_list_is_shown_a_page_at_a_time(site: Site) -> None:
    for number in range(51):
        queue(site.store, subject=uuid4(), name=f"site {number:02}")
    first, second = site.admin.get(f"{LIST}?q=site").text, site.admin.get(f"{LIST}?q=site&page=2").text
    assert "site 50" in first
    assert "site 00" not in first
    assert "site 00" in second
    assert f'href="{LIST}?page=2&amp;q=site"' in first
    assert "There are fewer by now" in site.admin.get(f"{LIST}?page=3").text


def test_polls_are_answered_only_when_something_happened(site: Site, clock: Clock) -> None:
    browser = site.admin
    run = queue(site.store, subject=uuid4())
    begin(site.store, run)
    for url in (f"{LIST}live", f"{page_of(run)}live"):
        tag = browser.get(url).headers["ETag"]
        clock.advance(seconds=5)
        assert browser.get(url, If_None_Match=tag).status_code == 304


def test_nobody_works(site: Site, clock: Clock) -> None:
    queue(site.store)
    clock.advance(seconds=59)
    assert "Nobody works" not in site.admin.get(LIST).text
    clock.advance(seconds=2)
    assert "Nobody works" in site.admin.get(f"{LIST}live").text
    busy = queue(site.store, TaskKind.CLEAN_UP)
    begin(site.store, busy)
    assert "Nobody works" not in site.admin.get(LIST).text
    clock.advance(seconds=LEASE.total_seconds() + 1)
    assert "Nobody works" in site.admin.get(LIST).text


def test_a_run_tells_how_far_it_is_and_what_it_says(site: Site) -> None:
    outpost = fill(site.store, "edge")
    run = queue(site.store, TaskKind.PREVIEW, outpost.id, "edge", "root")
    lines = [said(run, "unheard_of", LineLevel.WARNING, image="a<b>")]
    begin(site.store, run, lines, done=1, total=4)
    page = site.admin.get(page_of(run)).text
    assert f'hx-get="{page_of(run)}live"' in page
    assert '<progress class="progress progress-sm" value="1" max="4"' in page
    assert "1 of 4" in page
    assert "<code>unheard_of</code> image: <bdi>a&lt;b&gt;</bdi>" in page
    assert '<span class="g-log-level">Warning</span>' in page
    assert f'href="/admin/outposts/{outpost.id}/"' in page
    assert f'href="{LIST}?cause=root"' in page


def test_attempts_stand_apart_in_the_log(site: Site, clock: Clock) -> None:
    run = queue(site.store, subject=uuid4())
    tried = begin(site.store, run, [said(run, "first_try")])
    finish(site.store, tried, TaskState.RETRYING, error="engine_away", due=clock.now + timedelta(seconds=10))
    waiting = site.admin.get(page_of(run)).text
    assert "Waiting to retry" in waiting
    assert "The engine doesn&#39;t answer." in waiting
    assert "Check that it runs" in waiting
    clock.advance(seconds=10)
    again = begin(site.store, run, [said(run, "second_try")])
    page = site.admin.get(page_of(run)).text
    log = page[page.index('class="g-log"') :]
    assert log.index("first_try") < log.index("Attempt 2") < log.index("second_try")
    assert "engine_away" not in page
    finish(site.store, again)
    assert "attempt 2" in site.admin.get(page_of(run)).text


def test_what_serves_on_after_a_failure_is_told(site: Site) -> None:
    told = {"detail": "no luck", "restored": "yes"}
    failed = finish(site.store, queue(site.store), TaskState.FAILED, error="not_healthy", values=told)
    assert "What was there before serves on." in site.admin.get(page_of(failed)).text
    del told["restored"]
    failed = finish(site.store, queue(site.store), TaskState.FAILED, error="not_healthy", values=told)
    assert "What was there before serves on." not in site.admin.get(page_of(failed)).text


def test_a_page_polls_until_its_run_has_ended(site: Site) -> None:
    run = queue(site.store)
    assert site.admin.get(f"{page_of(run)}live").status_code == 200
    finish(site.store, run)
    live = site.admin.get(f"{page_of(run)}live")
    assert (live.status_code, "Run again" in live.text) == (ENDED, True)
    assert "hx-trigger" not in site.admin.get(page_of(run)).text
    gone = site.admin.get(f"{LIST}{uuid4()}/live")
    assert (gone.status_code, "not kept any more" in gone.text) == (ENDED, True)
    assert site.admin.get(f"{LIST}{uuid4()}/").status_code == 404


def test_a_plan_tells_differences_and_downtime(site: Site) -> None:
    hidden, image = (
        {"path": "env.TOKEN", "wanted": "", "found": ""},
        {"path": "image", "wanted": "b:2", "found": "<b>:1"},
    )
    about = {"component": "outpost", "name": "ak-outpost-edge"}
    plan = [
        {"action": "replace", **about, "beside": False, "differences": [image, hidden]},
        {"action": "replace", **about, "beside": True, "differences": []},
        {"action": "remove", **about, "component": "guacd", "differences": []},
    ]
    run = finish(site.store, queue(site.store, TaskKind.PREVIEW, uuid4()), result={"plan": plan})
    page = site.admin.get(page_of(run)).text
    assert "this outpost is away until the new one is healthy" in page
    assert page.count("no downtime") == 1
    assert "&lt;b&gt;:1" in page
    assert "not shown, as it is secret" in page
    assert "(guacd)" in page
    done = finish(site.store, queue(site.store, subject=uuid4()), result={"applied": plan, "held": plan[:1]})
    page = site.admin.get(page_of(done)).text
    assert "The old one ended before the new one started." in page
    assert "Not tried again by itself" in page
    nothing = finish(site.store, queue(site.store, TaskKind.PREVIEW, uuid4()), result={"plan": []})
    assert "Nothing to do" in site.admin.get(page_of(nothing)).text


def test_cancelled_while_it_waits(site: Site) -> None:
    run = queue(site.store, subject=uuid4())
    assert site.admin.submit(f"{page_of(run)}cancel").headers["Location"] == page_of(run)
    page = site.admin.get(page_of(run)).text
    assert "Cancelled" in page
    assert 'id="task-cancel"' not in page
    trail = site.admin.get(f"/admin/audit/?target={run.id}").text
    assert "asked to cancel task" in trail
    (event,) = {link for link in links(trail) if re.fullmatch("/admin/audit/[0-9a-f-]{36}/", link)}
    assert f'href="{page_of(run)}"' in site.admin.get(event).text


def test_cancelled_while_it_runs(site: Site) -> None:
    run = queue(site.store, subject=uuid4())
    begin(site.store, run)
    assert "stops as soon as it is safe to" in site.admin.get(f"{page_of(run)}cancel").text
    site.admin.submit(f"{page_of(run)}cancel")
    page = site.admin.get(page_of(run)).text
    assert "Stopping" in page
    assert 'id="task-cancel"' not in page


def test_what_has_ended_is_not_cancelled(site: Site) -> None:
    run = finish(site.store, queue(site.store))
    page = site.admin.get(f"{page_of(run)}cancel").text
    assert "nothing to cancel" in page
    assert "Cancel the run" not in page


@pytest.mark.parametrize("state", [TaskState.FAILED, TaskState.DONE, TaskState.CANCELLED])
def test_run_again(site: Site, state: TaskState) -> None:
    browser = site.admin
    outpost = fill(site.store, "edge")
    run = finish(site.store, queue(site.store, subject=outpost.id, cause="schedule"), state)
    url = browser.submit(f"{page_of(run)}again").headers["Location"]
    assert url != page_of(run)
    page = browser.get(url).text
    assert "“Deploy outpost” begins within a second." in page
    assert "<bdi>root</bdi>" in page
    assert browser.submit(f"{page_of(run)}again").headers["Location"] == url
    with site.store.read() as unit:
        again = unit.runs.latest(TaskKind.DEPLOY, outpost.id)
    assert again is not None
    assert (again.cause, again.state, again.name) == ("root", TaskState.QUEUED, "edge")
    trail = browser.get(f"/admin/audit/?target={outpost.id}").text
    assert "asked to deploy outpost" in trail


def test_who_is_called_like_a_cause_is_told_from_it(site: Site) -> None:
    run = finish(site.store, queue(site.store))
    site.admin.submit(f"/admin/users/{site.root.id}/edit", username="schedule")
    page = site.admin.get(site.admin.submit(f"{page_of(run)}again").headers["Location"]).text
    assert "<bdi>user schedule</bdi>" in page


def test_lines_keep_their_order(site: Site) -> None:
    run = queue(site.store)
    lines = [said(run, f"code_{number:03}") for number in range(500)]
    assert [line.id for line in lines] == sorted(line.id for line in lines)
    begin(site.store, run, lines)
    page = site.admin.get(page_of(run)).text
    log = page[page.index('class="g-log"') :]
    places = [log.index(f"<code>code_{number:03}</code></span>") for number in range(500)]
    assert places == sorted(places)


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a\nb\x1b[2J\u202ec", "{name}"]
)
def test_what_engines_say_is_text(site: Site, text: str) -> None:
    run = queue(site.store, subject=uuid4(), name=text, cause="root")
    values = {"name": text, "image": text, "detail": text, text: text}
    differences = [{"path": text, "wanted": text, "found": text}]
    about = {"name": text, "component": text, "place": text, "beside": False, "differences": differences}
    lines = [said(run, code, **values) for code in ("pulling", "pull_failed", "creating", text)]
    result = {"plan": [{"action": "replace", **about}, {"action": "burn", **about}]}
    running = begin(site.store, run, lines)
    finish(site.store, running, TaskState.FAILED, error="no_image", values=values, result=result)
    for url in (LIST, page_of(run), f"{page_of(run)}live", f"{page_of(run)}again", "/admin/overview/live"):
        page = site.admin.get(url).text
        assert inline_code(page) == [], url
        assert "img" not in tags(page), url
        assert not {"\x1b", "\u202e"} & set(page), url


def test_of_many_lines_the_newest_are_shown(site: Site) -> None:
    run = queue(site.store)
    begin(site.store, run, [said(run, f"code_{number:03}") for number in range(510)])
    page = site.admin.get(page_of(run)).text
    assert "<code>code_009</code>" not in page
    assert "<code>code_010</code>" in page
    assert "Show the 10 lines before these, too" in page
    whole = site.admin.get(f"{page_of(run)}?lines=all").text
    assert "<code>code_000</code>" in whole
    assert f'hx-get="{page_of(run)}live?lines=all"' in whole
    assert "lines before these" not in whole


def test_pages_are_for_administrators(site: Site) -> None:
    run = finish(site.store, queue(site.store))
    browser = site.browser(site.world.alice)
    for url in (LIST, f"{LIST}live", page_of(run), f"{page_of(run)}live", f"{page_of(run)}again"):
        assert browser.get(url).status_code == 403
