"""The audit page: what it shows, how its address narrows it, its events, and that nobody else sees any of it."""

import html
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from markupsafe import escape

from control.domain.audit import place_of
from control.domain.security import AuditEvent
from control.store import SYSTEM, Event, Store
from control.web.audit.views import MOST_EXPORTS
from tests.support.markup import inline_code, links, tags
from tests.support.site import Site, fill, make_site
from tests.support.stores import ADMIN, Clock
from tests.support.web import Browser

LIST, LIVE, EXPORT = "/admin/audit/", "/admin/audit/live", "/admin/audit/export"
ROW = re.compile(r'id="event-([0-9a-f-]{36})"')
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "two\nlines\r\n2026-11-22 root did nothing",
    "\x1b[2J\x1b[31mred\x1b]0;title\x07",
    "invoice\u202egpj.exe",
    "\u2066\u2067isolated\u2069\u200b\u00ad\ufeff",
    '{"id": 1}\n{"actor": "forged"}',
    "=cmd|' /C calc'!A0,\"x\";\t",
    "\u2028\u2029\x85\x00",
    "{{ 7*7 }}",
]


def event(at: datetime, **fields: Any) -> AuditEvent:
    usual = {"action": "created", "kind": "group", "target": str(uuid4()), "name": "red team", "actor": "alice"}
    return AuditEvent(**{"id": uuid4(), "at": at, "recorded": at, **usual, **fields})


def record(store: Store, *events: AuditEvent) -> Sequence[AuditEvent]:
    with store.write(SYSTEM) as unit:
        unit.audit.record(events)
    return events


def rows(page: str) -> list[UUID]:
    """The events of a page, in its order."""
    return [UUID(key) for key in ROW.findall(page)]


def followed(browser: Browser, url: str, which: str) -> list[UUID]:
    """All events from a page on, by its links to the next one."""
    found = []
    while url:
        page = browser.get(url).text
        found += rows(page) if which == "page-after" else rows(page)[::-1]
        here = re.search(rf'id="{which}" href="([^"]+)"', page)
        url = here[1].replace("&amp;", "&") if here else ""
    return found


@pytest.fixture
def many(site: Site, clock: Clock) -> list[AuditEvent]:
    """Older than all that making the site has left, newest first; some share a moment."""
    made = [event(clock.now - timedelta(days=1, minutes=number // 4), actor=f"a{number % 3}") for number in range(180)]
    record(site.store, *made)
    return sorted(made, key=lambda each: (each.at, each.id), reverse=True)


def test_pages_lead_to_everything_both_ways(site: Site, many: list[AuditEvent]) -> None:
    url = f"{LIST}?kind=group&action=created&from={many[-1].at:%Y-%m-%d}&to={many[0].at:%Y-%m-%d}"
    assert followed(site.admin, url, "page-after") == [each.id for each in many]
    # The last of these is the first page, and a full one.
    upwards = followed(site.admin, f"{url}&after={place_of(many[-1])}", "page-before")
    assert list(dict.fromkeys(upwards)) == [each.id for each in reversed(many[:-1])]


def test_newer_pages_lead_back_to_the_first(site: Site, many: list[AuditEvent]) -> None:
    browser, url = site.admin, f"{LIST}?name=red"
    first = browser.get(url).text
    second = browser.get(link(first, "page-after")).text
    third = browser.get(link(second, "page-after")).text
    assert rows(browser.get(link(third, "page-before")).text) == rows(second)
    again = browser.get(link(second, "page-before")).text
    assert rows(again) == rows(first)
    assert 'id="page-before"' not in again
    assert rows(browser.get(link(third, "page-newest")).text) == rows(first)
    assert 'hx-trigger="every 2s"' in first
    assert "hx-trigger" not in second
    assert len(many) == 180


def link(page: str, which: str) -> str:
    found = re.search(rf'id="{which}" href="([^"]+)"', page)
    assert found is not None, which
    return found[1].replace("&amp;", "&")


def test_the_address_is_the_filter(site: Site, many: list[AuditEvent]) -> None:
    page = site.admin.get(f"{LIST}?actor=a1&action=created&name=&outpost=").headers["Location"]
    assert page == f"{LIST}?actor=a1&action=created"
    page = site.admin.get(page).text
    assert rows(page) == [each.id for each in many if each.actor == "a1"][:50]
    assert '<option value="created" selected>' in page
    assert f'id="drop-actor" href="{LIST}?action=created"' in page
    assert f'hx-get="{LIVE}?actor=a1&amp;action=created"' in page
    assert f'href="{EXPORT}?actor=a1&amp;action=created"' in page


def test_nothing_matches(site: Site) -> None:
    assert "No event matches" in site.admin.get(f"{LIST}?actor=nobody").text
    gone = f"{LIST}?before=2000-01-01T00:00:00Z_{uuid4().hex}"
    assert "No event is older than this" in site.admin.get(gone).text


@pytest.mark.parametrize(
    "query", ["from=yesterday", "to=2026-13-01", f"actor={'x' * 501}", "from=0001-01-01T00:00%2B23:59"]
)
def test_what_is_no_filter_is_said_and_finds_nothing(site: Site, query: str) -> None:
    response = site.admin.get(f"{LIST}?{query}")
    assert response.status_code == 422
    assert "invalid-feedback" in response.text
    assert rows(response.text) == []
    assert site.admin.get(f"{LIVE}?{query}").status_code == 400
    assert site.admin.get(f"{EXPORT}?{query}").status_code == 400


@pytest.mark.parametrize(
    "place", ["x", "_", "' OR 1=1 --", "2026-11-22T12:00:00Z", f"9999-12-31T23:59:59Z_{UUID(int=1).hex}"]
)
def test_what_is_no_place_is_the_first_page(site: Site, place: str) -> None:
    assert rows(site.admin.get(LIST).text) != []
    for name in ("before", "after"):
        assert site.admin.client.get(LIST, query_string={name: place}).status_code == 200


@pytest.mark.parametrize("text", ["%", "_ed t_am", "red%", "' OR ''='", "\x00", "\\"])
def test_a_search_is_for_its_letters(site: Site, clock: Clock, text: str) -> None:
    record(site.store, event(clock.now))
    for name in ("name", "actor", "action", "target", "outcome", "address", "request_id"):
        response = site.admin.client.get(LIST, query_string={name: text})
        assert (response.status_code, rows(response.text)) == (200, []), name


def test_it_grows_while_one_looks(site: Site, clock: Clock) -> None:
    browser, url = site.admin, f"{LIVE}?name=green"
    first = browser.get(url)
    tag = first.headers["ETag"]
    assert browser.get(url, If_None_Match=tag).status_code == 304
    (made,) = record(site.store, event(clock.now, name="green"))
    clock.advance(seconds=30)
    grown = browser.get(url, If_None_Match=tag)
    assert (grown.status_code, rows(grown.text)) == (200, [made.id])
    assert browser.get(url, If_None_Match=grown.headers["ETag"]).status_code == 304


def test_it_can_be_paused(site: Site) -> None:
    running = site.admin.get(f"{LIST}?actor=akadmin").text
    paused = site.admin.get(link(running, "pause")).text
    assert ("hx-trigger" in running, "hx-trigger" in paused) == (True, False)
    assert link(paused, "resume") == f"{LIST}?actor=akadmin"


def test_how_long_events_are_kept_is_said(store: Store, clock: Clock) -> None:
    site = make_site(store, clock, audit_kept=timedelta(days=90))
    assert "Events are kept for 90 days." in site.admin.get(LIST).text


def test_an_event_leads_to_what_it_is_about(site: Site, clock: Clock) -> None:
    alice, wiki = site.world.alice, site.world.wiki_application
    about = {
        "kind": "application",
        "target": str(wiki.id),
        "name": "wiki",
        "address": "192.0.2.9",
        "request_id": "r-77",
    }
    (made,) = record(
        site.store,
        event(clock.now - timedelta(hours=3), recorded=clock.now, action="admitted", outpost="edge", count=9, **about),
    )
    page = site.admin.get(f"{LIST}{made.id}/").text
    wanted = {
        f"/admin/users/{alice.id}/",
        f"/admin/applications/{wiki.id}/",
        f"{LIST}?actor=alice",
        f"{LIST}?target={wiki.id}",
        f"{LIST}?request_id=r-77",
        f"{LIST}?address=192.0.2.9",
    }
    assert wanted <= set(links(page))
    for words in (
        "the outpost edge",
        "9, within a minute",
        "told of at 2026-11-22 12:00:00 UTC",
        "2026-11-22 09:00:00 UTC",
    ):
        assert words in page
    fragment = site.admin.get(f"{LIST}{made.id}/", HX_Request="true", HX_Target="modal").text
    assert fragment.lstrip().startswith('<div class="modal-content')
    assert inline_code(fragment) == []


def test_what_is_gone_has_no_link(site: Site, clock: Clock) -> None:
    made = record(
        site.store,
        event(clock.now, kind="user", target=str(uuid4()), actor="gone"),
        event(clock.now, kind="application", target="../../x"),
        event(clock.now, kind="weird", target=str(site.world.alice.id)),
    )
    for each in made:
        page = site.admin.get(f"{LIST}{each.id}/").text
        assert not {url for url in links(page) if re.match(r"/admin/(users|applications|weird)/.", url)} - {
            f"/admin/users/{site.world.alice.id}/"
        }
    assert site.admin.get(f"{LIST}{uuid4()}/").status_code == 404


def test_hostile_texts_are_shown_and_do_nothing(site: Site, clock: Clock) -> None:
    texts = ("actor", "action", "kind", "target", "name", "address", "outcome", "reason", "request_id", "outpost")
    clock.advance(seconds=1)  # newer than all that making the site has left, or chance orders them
    made = record(site.store, *(event(clock.now, fields=(text,), **dict.fromkeys(texts, text)) for text in HOSTILE))
    browser = site.admin
    everywhere = {url: browser.get(url).text for url in (LIST, LIVE, "/admin/")}
    for text, each in zip(HOSTILE, made, strict=True):
        detail = browser.get(f"{LIST}{each.id}/").text
        shown = escape("".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text))
        assert all(shown in page for page in (detail, *everywhere.values()))
        narrowed = browser.client.get(LIST, query_string=dict.fromkeys(texts, text)).text
        for page in (detail, narrowed):
            do_nothing(page)
    for page in everywhere.values():
        do_nothing(page)


def do_nothing(page: str) -> None:
    assert inline_code(page) == []
    assert "img" not in tags(page)
    assert all(letter.isprintable() for letter in words(page))


def words(page: str) -> str:
    """What of a page is read."""
    return "".join(html.unescape(re.sub("<[^>]*>", "", page)).split("\n"))


def exported(browser: Browser, query: str = "") -> list[dict[str, Any]]:
    response = browser.get(f"{EXPORT}{query}")
    assert (response.status_code, response.mimetype) == (200, "application/jsonl")
    assert response.data.isascii()
    return [json.loads(line) for line in response.text.splitlines()]


def test_hostile_texts_break_no_line_of_an_export(site: Site, clock: Clock) -> None:
    made = record(site.store, *(event(clock.now, name=text, actor=text, reason=text) for text in HOSTILE))
    found = {line["id"]: line for line in exported(site.admin)}
    for text, each in zip(HOSTILE, made, strict=True):
        kept = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
        assert [found[str(each.id)][name] for name in ("name", "actor", "reason")] == [kept] * 3
    assert "forged" not in {line["actor"] for line in found.values()}


def test_an_export_has_all_that_match_oldest_first_and_is_audited(site: Site, many: list[AuditEvent]) -> None:
    lines = exported(site.admin, "?actor=a2")
    assert [line["id"] for line in lines] == [str(each.id) for each in reversed(many) if each.actor == "a2"]
    with site.store.read() as unit:
        newest = unit.audit.latest(1)[0]
    assert (newest.actor, newest.action, newest.kind, newest.name) == ("root", "exported", "audit trail", "actor: a2")
    assert "exported the audit trail" in site.admin.get(LIST).text


def test_an_export_is_read_as_it_is_written(site: Site, clock: Clock) -> None:
    record(site.store, *(event(clock.now - timedelta(seconds=number)) for number in range(2500)))
    response = site.admin.client.get(EXPORT)
    sizes = [len(part.splitlines()) for part in response.iter_encoded()]
    response.close()
    assert sizes[:2] == [1000, 1000]
    assert sum(sizes) > 2500


def test_few_exports_run_at_a_time(site: Site) -> None:
    browser = site.admin
    running = [browser.client.get(EXPORT) for _ in range(MOST_EXPORTS)]
    assert browser.get(EXPORT).status_code == 503
    running.pop().close()
    assert exported(browser)
    assert exported(browser)
    running.pop().close()


def test_a_refused_export_counts_for_nothing(site: Site) -> None:
    browser = site.admin
    for _ in range(MOST_EXPORTS + 1):
        assert browser.get(f"{EXPORT}?from=x").status_code == 400
    assert exported(browser)


def test_nobody_else_sees_any_of_it(site: Site) -> None:
    with site.store.read() as unit:
        (event,) = unit.audit.latest(1)
    for url in (LIST, LIVE, EXPORT, f"{LIST}{event.id}/"):
        for browser, status in ((site.browser(site.world.alice), 403), (site.browser(), 303)):
            response = browser.get(url)
            assert (response.status_code, "akadmin" in response.text) == (status, False), url
    with site.store.read() as unit:
        assert "exported" not in unit.audit.words("action")


def test_objects_lead_to_their_history(site: Site) -> None:
    outpost = fill(site.store)
    wiki, provider, alice = site.world.wiki_application, site.world.wiki, site.world.alice
    named = {
        "users": alice.id,
        "applications": wiki.id,
        "providers": provider.id,
        "outposts": outpost.id,
        "groups": site.world.staff.id,
    }
    for noun, key in named.items():
        page = site.admin.get(f"/admin/{noun}/{key}/").text
        assert link(page, "history") == f"{LIST}?target={key}"
        assert rows(site.admin.get(link(page, "history")).text)


def test_the_overview_counts_what_outposts_count(site: Site, clock: Clock) -> None:
    clock.advance(seconds=1)
    made = event(clock.now, action="admitted", kind="application", name="wiki", outpost="edge", count=40)
    record(site.store, made, replace(made, id=uuid4(), count=2))
    assert "42 times" in site.admin.get("/admin/").text


def test_a_reason_is_shown(site: Site) -> None:
    with site.store.write(ADMIN) as unit:
        unit.record(
            Event(action="signed_in", kind="user", target="", name="bob", outcome="failure", reason="wrong password")
        )
    page = site.admin.get(LIST).text
    assert "failed to sign in as" in page
    assert "wrong password" in page
