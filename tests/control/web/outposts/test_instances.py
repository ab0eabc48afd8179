"""One instance of an outpost in the admin interface: what it is, what happened to it, drain, forget."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from control.domain.outpost import Instance, InstanceEvent, InstanceEventKind, InstanceState, LinkProcess, Outpost
from control.fleet.tokens import get_token
from control.store import Store
from tests.support.site import Site, fill, instance
from tests.support.stores import ADMIN, Clock

GONE = InstanceState.DISCONNECTED


def make(site: Site, outpost: Outpost, **fields: Any) -> tuple[str, Instance]:
    """An instance, and the address of its page."""
    with site.store.write(ADMIN) as unit:
        made = instance(outpost.id, unit.now, **{"rejections": (), **fields})
        unit.instances.save([made])
    return f"/admin/outposts/{outpost.id}/instances/{made.id}/", made


def happened(store: Store, to: Instance, kind: InstanceEventKind, detail: str = "", minutes: float = 0) -> None:
    with store.write(ADMIN) as unit:
        at = unit.now - timedelta(minutes=minutes)
        event = InstanceEvent(id=uuid4(), outpost=to.outpost, uid=to.uid, at=at, kind=kind, detail=detail)
        unit.instance_events.record([event])


def test_history_newest_first(site: Site) -> None:
    outpost = fill(site.store)
    url, known = make(site, outpost)
    _, other = make(site, outpost, hostname="other")
    happened(site.store, known, InstanceEventKind.CONNECTED, "version 0.1.0 from 10.0.0.1", minutes=90)
    happened(site.store, known, InstanceEventKind.FAILED, "no <b>disk</b>", minutes=60)
    happened(site.store, known, InstanceEventKind.RECOVERED, "no disk", minutes=30)
    happened(site.store, known, InstanceEventKind.DISCONNECTED, minutes=2)
    happened(site.store, other, InstanceEventKind.REFUSED, "not mine")
    page = site.admin.get(url).text
    words = ["it ended and said so", "Recovered", "no more: no disk", "no &lt;b&gt;disk&lt;/b&gt;", "from 10.0.0.1"]
    places = [page.index(each) for each in words]
    assert places == sorted(places)
    assert "2 minutes ago" in page
    assert 'title="2026-11-22 10:30 UTC"' in page
    assert "not mine" not in page


def test_without_history_it_says_so(site: Site) -> None:
    url, _ = make(site, fill(site.store))
    assert "Nothing has happened to it in the last seven days" in site.admin.get(url).text


def test_facts(site: Site) -> None:
    outpost = fill(site.store)
    with site.store.read() as unit:
        token = get_token(unit, outpost)
    holder = uuid4()
    with site.store.write(ADMIN) as unit:
        unit.link_processes.add(LinkProcess(id=holder, name="link-7", started=unit.now, last_seen=unit.now))
    url, known = make(
        site,
        outpost,
        hostname="edge-1",
        address="192.0.2.4",
        build="abc123",
        protocol=2,
        workers=3,
        memory_bytes=92_400_000,
        load=0.5,
        clock_skew=90.0,
        holder=holder,
        environment_token="d" * 64,
        held_token=token.fingerprint,
    )
    page = site.admin.get(url).text
    for words in ("edge-1", "192.0.2.4", "abc123", "92.4 MB", "0.50", "90 seconds ahead of", "link-7", known.uid):
        assert words in page, words
    assert f"<code>{token.fingerprint[:8]}</code>" in page
    assert "dddddddd" in page
    assert "worth nothing" in page
    assert token.fingerprint not in page, "eight digits are enough to tell tokens apart"
    assert "old token" in page


def test_its_page_is_live(site: Site) -> None:
    url, known = make(site, fill(site.store))
    first = site.admin.get(f"{url}live")
    assert site.admin.get(f"{url}live", If_None_Match=first.headers["ETag"]).status_code == 304
    happened(site.store, known, InstanceEventKind.DRAINING)
    second = site.admin.get(f"{url}live", If_None_Match=first.headers["ETag"])
    assert (second.status_code, "Began to drain" in second.text) == (200, True)


def test_time_alone_changes_no_live_part(site: Site, clock: Clock) -> None:
    url, _ = make(site, fill(site.store))
    browser = site.admin
    first = browser.get(f"{url}live")
    clock.advance(seconds=40)
    assert browser.get(f"{url}live", If_None_Match=first.headers["ETag"]).status_code == 304


def test_draining(site: Site) -> None:
    outpost = fill(site.store)
    url, known = make(site, outpost)
    assert f'href="{url}drain"' in site.admin.get(url).text
    assert "Docker" in site.admin.get(f"{url}drain").text
    response = site.admin.submit(f"{url}drain")
    assert (response.status_code, response.headers["Location"]) == (303, url)
    with site.store.read() as unit:
        assert [(drain.outpost, drain.uid) for drain in unit.drains.all()] == [(outpost.id, known.uid)]
    page = site.admin.get(url).text
    assert "asked to drain" in page
    assert f'href="{url}drain"' not in page


@pytest.mark.parametrize(
    ("what", "fields", "words"),
    [("drain", {"state": GONE}, "It isn&#39;t connected"), ("forget", {}, "It is connected")],
)
def test_what_comes_too_late_is_refused(site: Site, what: str, fields: dict[str, Any], words: str) -> None:
    url, known = make(site, fill(site.store), **fields)
    response = site.admin.submit(f"{url}{what}")
    assert (response.status_code, words in response.text or words.replace("&#39;", "'") in response.text) == (422, True)
    with site.store.read() as unit:
        assert unit.instances.find(known.id) is not None


def test_the_embedded_outpost_is_not_drained(site: Site) -> None:
    with site.store.read() as unit:
        embedded = unit.outposts.find_embedded()
    assert embedded is not None
    url, _ = make(site, embedded)
    assert f'href="{url}drain"' not in site.admin.get(url).text
    assert site.admin.submit(f"{url}drain").status_code == 422


def test_forgetting_one_that_is_gone(site: Site) -> None:
    outpost = fill(site.store)
    url, known = make(site, outpost, state=GONE, hostname="gone-1")
    assert f'href="{url}forget"' in site.admin.get(f"/admin/outposts/{outpost.id}/").text
    browser = site.admin
    response = browser.submit(f"{url}forget")
    assert response.headers["Location"] == f"/admin/outposts/{outpost.id}/"
    assert "gone-1</strong> was taken off the list" in browser.get(response.headers["Location"]).text
    with site.store.read() as unit:
        assert unit.instances.find(known.id) is None
    assert site.admin.get(url).status_code == 404
    gone = site.admin.get(f"{url}live")
    assert (gone.status_code, "not listed any more" in gone.text) == (286, True)


def test_an_instance_belongs_to_its_outpost(site: Site) -> None:
    edge, other = fill(site.store), fill(site.store, "other")
    url, _ = make(site, edge)
    for page in ("", "drain", "forget"):
        assert site.admin.get(url.replace(str(edge.id), str(other.id)) + page).status_code == 404


@pytest.mark.parametrize(
    ("fields", "expected", "absent"),
    [
        ({}, "Connected", "outdated"),
        ({"version": "0.0.9"}, "outdated", "newer than Garrison"),
        ({"version": "0.2.0"}, "newer than Garrison", "outdated"),
        ({"state": InstanceState.DRAINING}, "Draining", "/drain"),
        ({"state": GONE, "protocol": 9}, "speaks version 9", "/drain"),
        ({"last_error": "no disk"}, "Connected, with errors", "Disconnected"),
        ({"applied_revision": 3}, "applying", "Disconnected"),
    ],
)
def test_states(site: Site, fields: dict[str, Any], expected: str, absent: str) -> None:
    url, _ = make(site, fill(site.store), **fields)
    page = site.admin.get(f"{url}live").text
    assert expected in page
    assert absent not in page


def test_what_a_refused_instance_was_told_stands_once(site: Site) -> None:
    outpost = fill(site.store)
    url, known = make(site, outpost, state=GONE, protocol=9)
    reason = "speaks version 9 of the link's protocol; this control serves 1 to 2: upgrade control"
    with site.store.write(ADMIN) as unit:
        unit.instances.save([replace(known, last_error=reason)])
    assert site.admin.get(f"{url}live").text.count("speaks version 9") == 1
