"""The whole web app on a small world, with browsers that are signed in."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from flask import Flask

from control.auth import people, sessions
from control.auth.people import GroupDraft, UserDraft
from control.auth.sessions import Origin
from control.domain.identity import User
from control.domain.outpost import Instance, InstanceState, Outpost, Rejection
from control.domain.task import TaskKind
from control.fleet.applications import create_application
from control.fleet.certificates import generate_certificate
from control.fleet.outposts import create_outpost
from control.fleet.proxy_providers import create_proxy_provider
from control.fleet.tokens import ensure_embedded
from control.store import Store
from control.web import identity
from tests.support.auth import World, cheap_passwords, make_world
from tests.support.stores import ADMIN
from tests.support.web import URL, Browser, make_app


@dataclass
class Site:
    """Alice (staff) and bob are people; root administers. Wiki is for staff, paste is open."""

    app: Flask
    store: Store
    world: World
    root: User

    @property
    def admin(self) -> Browser:
        """A browser with root's session."""
        return self.browser(self.root)

    def browser(self, user: User | None = None) -> Browser:
        """A browser, with a session when a user is given."""
        found = Browser(self.app)
        if user is not None:
            with self.store.write(ADMIN) as unit:
                opened = sessions.open_session(unit, user.id, Origin(address="192.0.2.7", user_agent="Lynx"))
            found.client.set_cookie(identity.COOKIE, opened.secret)
        return found


def make_site(store: Store, clock: Callable[[], datetime], **settings: object) -> Site:
    """The app with the usual people and applications."""
    world = make_world(store)
    with store.write(ADMIN) as unit:
        admins = people.create_group(unit, GroupDraft(name="admins", superuser=True))
        root = people.create_user(unit, UserDraft(username="root", name="Root", groups=frozenset({admins.id})))
        ensure_embedded(unit)
    app = make_app(store, clock, **settings)
    identity.install(app, cheap_passwords())
    return Site(app=app, store=store, world=world, root=root)


def fill(store: Store, name: str = "edge") -> Outpost:
    """One of everything, called `name` where a name is free text: what pages show."""
    with store.write(ADMIN) as unit:
        group = people.create_group(unit, GroupDraft(name=f"{name} group".replace("|", "")))
        person = UserDraft(username=name[:100], name=name, email="x@example.com", groups=frozenset({group.id}))
        user = people.create_user(unit, person)
        certificate = {"name": name, "common_name": "x.example.com"}
        stored = generate_certificate(unit, certificate)
        slug = f"a-{uuid4().hex[:8]}"
        host = {"name": name, "mode": "forward_single", "external_host": f"https://{slug}.example.com"}
        provider = create_proxy_provider(unit, {**host, "certificate": stored.id}, URL)
        rules = [{"group": group.id}, {"user": user.id, "negate": True}]
        texts = dict.fromkeys(("name", "category", "description", "publisher"), name)
        create_application(unit, {**texts, "slug": slug, "provider": provider.id, "bindings": rules})
        outpost = create_outpost(unit, {"name": name.replace("/", ""), "type": "proxy", "providers": [provider.id]})
        unit.instances.save([instance(outpost.id, unit.now, hostname=name, last_error=name)])
        unit.runs.submit(TaskKind.DEPLOY, name, outpost.id, name)
    return outpost


def instance(outpost: UUID, now: datetime, **fields: object) -> Instance:
    """A connected instance that refused something."""
    usual: dict[str, object] = {
        "id": uuid4(),
        "outpost": outpost,
        "uid": uuid4().hex,
        "state": InstanceState.CONNECTED,
        "hostname": "edge-1",
        "version": "0.1.0",
        "last_seen": now - timedelta(seconds=3),
        "applied_revision": 4,
        "wanted_revision": 4,
        "rejections": (Rejection(key="provider/x", reason="for <b>no</b> reason"),),
    }
    return Instance(**{**usual, **fields})  # type: ignore[arg-type] # by keyword
