"""The real pages in a browser: read well in light and dark, on a desk and on a phone, with and without JavaScript."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, expect

from control.auth.people import UserDraft, create_user
from control.domain.application import LdapProvider
from control.domain.identity import UserKind
from control.domain.outpost import Instance, InstanceEvent, InstanceEventKind, InstanceState, LinkProcess
from control.domain.security import AuditEvent
from control.fleet.authority import ensure_authority, rotate_authority
from control.fleet.ldap_providers import create_ldap_provider
from control.fleet.outposts import create_outpost
from control.fleet.rotation import rotate_token
from control.fleet.tokens import get_token
from control.store import Store, Unit
from tests.control.web.frontend.serving import DESK, EACH_LOOK, PHONE, Look, Served, serving, unreadable
from tests.support import builders
from tests.support.site import Site, fill, instance
from tests.support.stores import ADMIN

pytestmark = pytest.mark.interop

LONG = "a-rather-long-name-for-the-warehouse-in-rotterdam-north"

ACCOUNT = tuple(
    f"/account/{path}"
    for path in ("password", "second-factors", "second-factors/new", "app-passwords", "app-passwords/new")
)


FORMS = ("outposts/new", "providers/new", "providers/new/ldap", "applications/new-with-provider", "trust/rotate")


@pytest.fixture
def served(site: Site) -> Iterator[Served]:
    with serving(site, (*furnish(site.store), f"/admin/users/{site.root.id}/")) as served:
        yield served


def furnish(store: Store) -> tuple[str, ...]:
    """States of every colour; the addresses of pages that show them."""
    edge, long = fill(store), fill(store, LONG)
    with store.write(ADMIN) as unit:
        create_outpost(unit, {"name": "never seen", "type": "proxy", "providers": []})
        away = instance(edge.id, unit.now - timedelta(days=1), state=InstanceState.DISCONNECTED)
        refused = instance(edge.id, unit.now, state=InstanceState.DISCONNECTED, protocol=0)
        draining = instance(edge.id, unit.now, state=InstanceState.DRAINING, clock_skew=90.0, applied_revision=1)
        old = get_token(unit, edge)
        outdated = instance(edge.id, unit.now, rejections=(), version="0.0.1", environment_token=old.fingerprint)
        unit.instances.save([away, refused, draining, outdated])
        unit.instance_events.record(_event(away, kind) for kind in InstanceEventKind)
        rotate_token(unit, edge)
        ensure_authority(unit)
        rotate_authority(unit)
        unit.link_processes.add(LinkProcess(id=uuid4(), name="link", started=unit.now, last_seen=unit.now))
        unit.audit.record(told := _told(unit.now))
        for number in range(8):  # tiles of all tints
            unit.applications.add(builders.application(f"tile-{number}"))
        provider, application = unit.proxy_providers.all()[0], unit.applications.all()[0]
        directories = _directories(unit)
    nouns = ("applications", "providers", "outposts", "users", "groups", "tokens", "certificates", "trust", "audit")
    details = (
        f"outposts/{edge.id}/",
        f"outposts/{edge.id}/instances/{away.id}/",
        f"outposts/{edge.id}/instances/{refused.id}/",
        f"outposts/{long.id}/",
        f"providers/{provider.id}/",
        *(f"providers/{each.id}/" for each in directories),
        f"applications/{application.id}/",
        "audit/?name=warehouse&from=2026-01-01",
        "audit/?from=yesterday",
        *(f"audit/{event.id}/" for event in told),
    )
    forms = (f"outposts/{edge.id}/{path}" for path in ("delete", "token/rotate", "token/retire"))
    admin = ("", *(f"{noun}/" for noun in nouns), *details, *FORMS, *forms)
    return ("/", *ACCOUNT, "/sign-in?again=1", "/nowhere", *(f"/admin/{path}" for path in admin))


def _directories(unit: Unit) -> tuple[LdapProvider, LdapProvider]:
    """One with all that can be long, and one that lacks whatever can be lacking."""
    group = unit.groups.get_named(f"{LONG} group")
    create_user(
        unit, UserDraft(username=f"{LONG}-search", name=LONG, kind=UserKind.SERVICE, groups=frozenset({group.id}))
    )
    names = {"base_dn": f"ou={LONG},ou={LONG},dc=example", "user_attributes": f"{LONG} = {LONG}.inner"}
    searched = create_ldap_provider(unit, {"name": f"{LONG} directory", **names, "search_group": group.id})
    bare = create_ldap_provider(unit, {"name": "bare", "uid_start_number": 1_000_000, "gid_start_number": 0})
    return searched, bare


def _told(now: datetime) -> list[AuditEvent]:
    """Of each outcome one, by an outpost, as long as can be."""
    texts = {"actor": LONG, "kind": "application", "target": str(uuid4()), "name": LONG, "outpost": LONG}
    more = {"address": "2001:db8:1234:5678:9abc:def0:1234:5678", "reason": f"{LONG}: because", "request_id": "r" * 80}
    made = AuditEvent(id=uuid4(), at=now, recorded=now, action="turned_away", count=120, **texts, **more)  # type: ignore[arg-type] # texts
    outcomes = ("success", "failure", "challenged", "access_denied")
    return [replace(made, id=uuid4(), outcome=outcome, fields=(LONG, LONG)) for outcome in outcomes]


def _event(of: Instance, kind: InstanceEventKind) -> InstanceEvent:
    return InstanceEvent(id=uuid4(), outpost=of.outpost, uid=of.uid, at=of.last_seen, kind=kind, detail=LONG)


@EACH_LOOK
def test_every_word_can_be_read(browser: Browser, served: Served, look: Look) -> None:
    assert unreadable(browser, served, look) == {}


def test_without_javascript_a_phone_shows_the_page_before_the_menu(browser: Browser, served: Served) -> None:
    with served.signed_in(browser.new_context(viewport=PHONE, java_script_enabled=False)) as context:
        page = context.new_page()
        page.goto(f"{served.url}/admin/outposts/")
        menu, heading = page.locator("#sidebar-menu"), page.locator("h1")
        assert not menu.is_visible()
        assert (heading.bounding_box() or {"y": 999})["y"] < 200
        page.get_by_role("link", name="Menu").click()
        expect(menu).to_be_visible()


def test_without_javascript_every_snippet_has_a_heading(browser: Browser, served: Served) -> None:
    with served.signed_in(browser.new_context(viewport=DESK, java_script_enabled=False)) as context:
        page = context.new_page()
        page.goto(served.url + next(path for path in served.paths if re.match("/admin/providers/[0-9a-f]", path)))
        assert [each for each in page.locator("h3").all_inner_texts() if each] == ["nginx", "Caddy", "Traefik", "Envoy"]
