"""The overview: counts, health, processes, events, first steps."""

import json
from pathlib import Path

from control.domain.outpost import InstanceState
from control.fleet.outposts import create_outpost
from control.fleet.rotation import rotate_token
from control.fleet.tokens import get_token
from control.store import Event, Store
from control.web.processes import read_processes
from tests.support.site import Site, fill, instance, make_site
from tests.support.stores import ADMIN, Clock


def test_counts_and_warnings(site: Site) -> None:
    page = site.admin.get("/admin/").text
    assert "1 of 2 applications is open" in page
    assert "First steps" in page
    assert "No instance of an outpost has connected yet" in page


def test_first_steps_end(site: Site, clock: Clock) -> None:
    with site.store.write(ADMIN) as unit:
        embedded = unit.outposts.find_embedded()
        assert embedded is not None
        unit.instances.save([instance(embedded.id, clock.now, rejections=())])
    assert "First steps" not in site.admin.get("/admin/").text


def test_events_name_actors_and_objects(site: Site) -> None:
    site.admin.submit("/admin/groups/new", name="red team")
    with site.store.write(ADMIN) as unit:
        unit.record(Event(action="sign_in_failed", kind="user", target="", name="<b>x</b>", outcome="wrong_password"))
    page = site.admin.get("/admin/").text
    assert "<strong><bdi>root</bdi></strong> created group" in page
    assert "&lt;b&gt;x&lt;/b&gt;" in page
    assert "wrong password" in page


def test_every_instance_is_counted_once(site: Site, clock: Clock) -> None:
    outpost = fill(site.store)
    with site.store.write(ADMIN) as unit:
        unit.instances.save(
            [
                instance(outpost.id, clock.now, rejections=()),
                instance(outpost.id, clock.now, rejections=(), version="0.0.1"),
                instance(outpost.id, clock.now, version="0.0.1"),
                instance(outpost.id, clock.now, state=InstanceState.DRAINING),
                instance(outpost.id, clock.now, state=InstanceState.DISCONNECTED),
                instance(outpost.id, clock.now, state=InstanceState.DISCONNECTED, protocol=0),
            ]
        )
    page = site.admin.get("/admin/overview/live").text
    assert 'aria-label="1 healthy, 1 outdated, 1 draining, 2 with errors, 1 unsupported, 1 disconnected"' in page
    assert 'text-anchor="middle">7</text>' in page
    assert 'href="/admin/outposts/?standing=unsupported"' in page


def test_rotations_are_told(site: Site, clock: Clock) -> None:
    assert "is being rotated" not in site.admin.get("/admin/overview/live").text
    with site.store.write(ADMIN) as unit:
        for number in range(7):
            outpost = create_outpost(unit, {"name": f"site {number}", "type": "proxy"})
            old = get_token(unit, outpost).fingerprint
            rotate_token(unit, outpost)
            holdouts = range(2 if number == 0 else 0)
            unit.instances.save(instance(outpost.id, clock.now, environment_token=old) for _ in holdouts)
    page = site.admin.get("/admin/").text
    assert "<strong>site 0</strong> is being rotated: 2 instances still start with the old one" in page
    assert "<strong>site 1</strong> is being rotated: the old one can be retired" in page
    assert "site 5</strong> is being" not in page
    assert "those of 2 more outposts" in page


def test_processes(store: Store, clock: Clock, tmp_path: Path) -> None:
    path = tmp_path / "processes.json"
    site = make_site(store, clock, processes_file=path)
    assert "Processes" not in site.admin.get("/admin/").text
    children = [
        {"name": "web", "pid": 7, "state": "running", "restarts": 0, "since": "2026-11-22T11:00:00+00:00"},
        {"name": "link", "pid": None, "state": "backoff", "restarts": 3, "since": None, "last_exit": "signal 9"},
    ]
    path.write_text(json.dumps(children))
    page = site.admin.get("/admin/").text
    assert "started <time" in page
    assert "since" not in page
    for words in ("restarting", "restarted 3×", "signal 9", "1 hour ago"):
        assert words in page


def test_a_broken_file_of_processes_is_none(tmp_path: Path) -> None:
    path = tmp_path / "processes.json"
    for text in ("", "{", "[1]", '[{"name": "x"}]', '{"a": 1}', '[{"name": "x", "state": "y", "since": "nonsense"}]'):
        path.write_text(text)
        assert read_processes(path) == ()
    assert read_processes(tmp_path / "gone.json") == ()
    assert read_processes(None) == ()
