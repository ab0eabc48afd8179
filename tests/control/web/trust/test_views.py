"""What the link trusts: its authorities, their rotation, its addresses and its processes."""

from datetime import timedelta
from uuid import uuid4

from control.domain.outpost import LinkProcess
from control.fleet.authority import OVERLAP, authorities_status, ensure_authority
from control.store import Store
from tests.support.site import Site, fill, instance, make_site
from tests.support.stores import ADMIN, Clock

URL = "/admin/trust/"


def with_authority(site: Site) -> str:
    """The fingerprint of the first authority."""
    with site.store.write(ADMIN) as unit:
        ensure_authority(unit)
        return authorities_status(unit)[0].fingerprint


def test_before_the_link_has_run(site: Site) -> None:
    page = site.admin.get(URL).text
    assert "There is none yet" in page
    assert "None runs, so no outpost is connected" in page
    assert "None: outposts can't connect" in page


def test_rotating_the_authority(site: Site, clock: Clock) -> None:
    first = with_authority(site)
    assert f'title="{first}"' in site.admin.get(URL).text
    question = site.admin.get(f"{URL}rotate").text
    assert "<strong>3 days</strong>" in question
    with site.store.read() as unit:
        assert len(authorities_status(unit)) == 1, "asking changes nothing"
    browser = site.admin
    assert browser.submit(f"{URL}rotate").headers["Location"] == URL
    with site.store.read() as unit:
        _, new = authorities_status(unit)
    page = browser.get(URL).text
    assert "A new authority signs" in page
    assert page.index(new.fingerprint) < page.index("Signs") < page.index(first) < page.index("signs no more")
    assert "in 3 days" in page
    clock.advance(seconds=OVERLAP.total_seconds() + 1)
    assert first not in site.admin.get(URL).text


def test_too_many_at_once_are_refused(site: Site) -> None:
    with_authority(site)
    browser = site.admin
    answers = [browser.submit(f"{URL}rotate") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [303, 303, 303, 303, 422]
    assert "There are too many" in answers[-1].text


def test_addresses(store: Store, clock: Clock) -> None:
    site = make_site(store, clock, link_addresses=(":9444", "link.example.com:443"))
    page = site.admin.get(URL).text
    assert page.index(":9444") < page.index("AUTHENTIK_HOST") < page.index("link.example.com:443")


def test_every_link_process_is_listed(site: Site) -> None:
    here, there = uuid4(), uuid4()
    outpost = fill(site.store)
    with site.store.write(ADMIN) as unit:
        for key, name, hours in ((here, "link on a", 2), (there, "link on b", 1)):
            started = unit.now - timedelta(hours=hours)
            unit.link_processes.add(LinkProcess(id=key, name=name, started=started, last_seen=unit.now))
        unit.instances.save(instance(outpost.id, unit.now, holder=here) for _ in range(2))
    page = site.admin.get(URL).text
    assert page.index("link on a") < page.index("2 instances") < page.index("link on b") < page.index("0 instances")
    assert "started <time" in page
    browser = site.admin
    first = browser.get(f"{URL}live")
    assert browser.get(f"{URL}live", If_None_Match=first.headers["ETag"]).status_code == 304
    with site.store.write(ADMIN) as unit:
        unit.instances.save([instance(outpost.id, unit.now, holder=there)])
    assert "1 instance" in browser.get(f"{URL}live", If_None_Match=first.headers["ETag"]).text
