"""How views answer: what was done is told, and only then."""

import sqlite3

import sqlalchemy as sa

from control.store import DatabaseUnwritable
from tests.support.site import Site
from tests.support.stores import ADMIN

GROUPS = "/admin/groups/new"


def test_what_the_database_refuses_to_the_last_is_not_told_as_done(site: Site) -> None:
    browser = site.admin
    form = browser.form(GROUPS)
    with site.store.write(ADMIN) as unit:
        engine = unit.users.context.connection.engine

    def full(_connection: sa.Connection) -> None:
        raise DatabaseUnwritable("COMMIT", None, sqlite3.OperationalError("database or disk is full"))

    sa.event.listen(engine, "commit", full)
    try:
        refused = browser.client.post(GROUPS, data={**form.fields, "name": "red team"})
    finally:
        sa.event.remove(engine, "commit", full)
    assert (refused.status_code, "Nothing can be saved" in refused.text) == (503, True)
    assert "red team" not in refused.text
    assert "red team" not in browser.get("/admin/groups/").text
    assert browser.submit(GROUPS, name="red team").status_code == 303
    assert "<strong>red team</strong> was created" in browser.get("/admin/groups/").text


def test_what_was_done_is_told_once(site: Site) -> None:
    browser = site.admin
    browser.submit(GROUPS, name="red team")
    assert "was created" in browser.get("/admin/groups/").text
    assert "was created" not in browser.get("/admin/groups/").text
