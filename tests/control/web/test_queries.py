"""A page asks the database a fixed number of questions, however much there is to show."""

from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from control.auth import app_passwords, people
from control.auth.app_passwords import AppPasswordDraft
from control.auth.people import GroupDraft, UserDraft
from control.domain.outpost import InstanceEvent, InstanceEventKind
from control.store import Store
from tests.support.deployments import fill_engine
from tests.support.site import Site, fill, instance
from tests.support.stores import ADMIN, Clock
from tests.support.web import Browser

LISTS = [
    "/",
    "/admin/",
    "/admin/overview/live",
    "/admin/applications/",
    "/admin/providers/",
    "/admin/integrations/",
    "/admin/integrations/live",
    "/admin/outposts/",
    "/admin/outposts/live",
    "/admin/users/",
    "/admin/groups/",
    "/admin/tokens/",
    "/admin/certificates/",
    "/admin/trust/",
    "/admin/trust/live",
    "/admin/audit/",
    "/admin/audit/live",
    "/admin/sessions/",
    "/admin/lockouts/",
    "/admin/access/",
    "/admin/tasks/",
    "/admin/tasks/live",
]
MOST = 26


def questions(site: Site, browser: Browser, url: str) -> int:
    """How many statements a page runs."""
    with site.store.read() as unit:
        engine = unit.users.context.connection.engine
    seen: list[str] = []

    def note(*arguments: object) -> None:
        seen.append(str(arguments[2]))

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        assert browser.get(url).status_code == 200
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)
    return len([statement for statement in seen if statement.startswith("SELECT")])


def grow(store: Store, clock: Clock, start: int) -> None:
    for number in range(start, start + 6):
        outpost = fill(store, f"n{number}")
        fill_engine(store, outpost, f"n{number}")
        with store.write(ADMIN) as unit:
            unit.instances.save([instance(outpost.id, clock.now)])
            group = people.create_group(unit, GroupDraft(name=f"g{number}"))
            for member in range(10):
                people.create_user(unit, UserDraft(username=f"u{number}-{member}", groups=frozenset({group.id})))


def test_lists(site: Site, clock: Clock) -> None:
    grow(site.store, clock, 0)
    browser = site.admin
    few = {url: questions(site, browser, url) for url in LISTS}
    grow(site.store, clock, 6)
    many = {url: questions(site, browser, url) for url in LISTS}
    assert many == few
    assert max(few.values()) <= MOST, few


def test_details(site: Site, clock: Clock) -> None:
    outpost = fill(site.store)
    rack = fill_engine(site.store, outpost, "rack")
    with site.store.read() as unit:
        (shown,) = unit.instances.of_outpost(outpost.id)
    wiki, alice, staff = site.world.wiki_application, site.world.alice, site.world.staff
    urls = [
        f"/admin/outposts/{outpost.id}/",
        f"/admin/outposts/{outpost.id}/live",
        f"/admin/outposts/{outpost.id}/token/live",
        f"/admin/outposts/{outpost.id}/deployment/live",
        f"/admin/integrations/{rack.id}/",
        f"/admin/integrations/{rack.id}/live",
        f"/admin/outposts/{outpost.id}/instances/{shown.id}/",
        f"/admin/applications/{wiki.id}/",
        f"/admin/users/{alice.id}/",
        f"/admin/groups/{staff.id}/",
        f"/admin/providers/{site.world.wiki.id}/",
        "/admin/outposts/new",
        "/admin/users/new",
    ]
    browser = site.admin
    few = {url: questions(site, browser, url) for url in urls}
    grow(site.store, clock, 0)
    with site.store.write(ADMIN) as unit:
        unit.instances.save(instance(outpost.id, clock.now) for _ in range(30))
        happened: dict[str, Any] = {"outpost": outpost.id, "uid": shown.uid, "kind": InstanceEventKind.CONNECTED}
        unit.instance_events.record(InstanceEvent(id=uuid4(), at=unit.now, **happened) for _ in range(30))
        people.set_group_users(unit, staff.id, [user.id for user in unit.users.all()[:30]])
    assert {url: questions(site, browser, url) for url in urls} == few


def test_app_passwords_and_factors(site: Site) -> None:
    urls = ["/account/second-factors", "/account/app-passwords", f"/admin/users/{site.root.id}/"]
    browser = site.admin

    def add(name: str) -> None:
        chosen = frozenset({site.world.wiki_application.id, site.world.paste_application.id})
        with site.store.write(ADMIN) as unit:
            draft = AppPasswordDraft(user=site.root.id, name=name, applications=chosen)
            app_passwords.create(unit, draft)

    add("first")
    few = {url: questions(site, browser, url) for url in urls}
    for number in range(20):
        add(f"device {number}")
    assert {url: questions(site, browser, url) for url in urls} == few
