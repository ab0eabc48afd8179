"""Outposts in the admin interface, by a browser without JavaScript and by htmx."""

from dataclasses import replace

import pytest

from control.domain.outpost import InstanceState, Outpost
from control.fleet.options import write_yaml
from control.fleet.tokens import find_token, get_token
from control.store import Store
from tests.support.site import Site, fill, instance
from tests.support.stores import ADMIN, Clock

LIST = "/admin/outposts/"
NEW = "/admin/outposts/new"


def outpost_named(store: Store, name: str) -> Outpost:
    with store.read() as unit:
        return unit.outposts.get_named(name)


def test_creating_shows_how_to_deploy(site: Site) -> None:
    wiki = site.world.wiki
    response = site.admin.submit(NEW, name="edge", type="proxy", providers=[str(wiki.id)])
    outpost = outpost_named(site.store, "edge")
    assert (response.status_code, response.headers["Location"]) == (303, f"{LIST}{outpost.id}/#deployment")
    assert outpost.providers == {wiki.id}
    with site.store.read() as unit:
        token = get_token(unit, outpost)
        event = next(event for event in unit.audit.latest(9) if event.kind == "outpost")
        assert (event.actor, event.action, event.address) == ("root", "created", "127.0.0.1")
    url = f"{LIST}{outpost.id}/"
    assert token.secret not in site.admin.get(url).text
    page = site.admin.submit(url, f"{url}token/show").text
    assert f"AUTHENTIK_TOKEN={token.secret}" in page
    for heading in ("docker run", "Compose", "Kubernetes", "systemd", "Command line"):
        assert heading in page


def test_the_modal_posts_and_leads_on(site: Site) -> None:
    browser = site.admin
    form = browser.form(NEW)
    headers = {"HX-Request": "true", "HX-Target": "modal"}
    response = browser.client.post(NEW, data={**form.fields, "name": "edge"}, headers=headers)
    assert response.status_code == 204
    assert response.headers["HX-Redirect"] == f"{LIST}{outpost_named(site.store, 'edge').id}/#deployment"


def test_only_types_with_a_server_are_offered(site: Site) -> None:
    page = site.admin.get(NEW).text
    for kind in ("proxy", "ldap"):
        assert f'type="radio" name="type" value="{kind}"' in page
    for later in ("radius", "rac"):
        assert f'value="{later}"' not in page
    assert "No integration: deploy by hand" in page


def test_a_type_without_a_server_is_refused(site: Site) -> None:
    response = site.admin.submit(NEW, name="wifi", type="radius")
    assert response.status_code == 422
    assert "invalid-feedback" in response.text


def test_broken_settings_stay_with_their_line_marked(site: Site) -> None:
    text = "log_level: info\nrefresh_interval: minutes=5\nkubernetes_replicas: many\nfoo: 1\n"
    response = site.admin.submit(NEW, name="my edge", config=text)
    assert response.status_code == 422
    assert 'data-error-lines="3 4"' in response.text
    assert "kubernetes_replicas: many" in response.text
    assert 'value="my edge"' in response.text
    assert "whole number" in response.text
    with site.store.read() as unit:
        assert unit.outposts.find_named("my edge") is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("log_level: [", "no YAML"),
        ("colour: red", "no option"),
        ("log_level: loud", "trace, debug, info"),
        ("log_level: info\nlog_level: debug", "twice"),
        ("a: &x 1\nb: *x", "alias"),
        ("- a list", "mapping"),
    ],
)
def test_settings_say_what_is_wrong(site: Site, text: str, words: str) -> None:
    response = site.admin.submit(NEW, name="edge", config=text)
    assert response.status_code == 422
    assert words in response.text
    assert text.splitlines()[0].replace("&", "&amp;") in response.text


def test_the_editor_is_prefilled_with_every_option(site: Site) -> None:
    (text,) = site.admin.form(NEW).fields["config"]
    assert text.strip() == write_yaml({}).strip()


def test_editing_keeps_what_isnt_changed(site: Site) -> None:
    outpost = fill(site.store)
    url = f"{LIST}{outpost.id}/edit"
    assert site.admin.submit(url).status_code == 303
    assert outpost_named(site.store, "edge") == outpost
    site.admin.submit(url, name="renamed", config="log_level: debug", providers=[])
    changed = outpost_named(site.store, "renamed")
    assert (changed.id, changed.providers, changed.config) == (outpost.id, frozenset(), {"log_level": "debug"})


def test_the_embedded_outpost_chooses_unless_told(site: Site) -> None:
    with site.store.read() as unit:
        embedded = unit.outposts.find_embedded()
    assert embedded is not None
    url, wiki = f"{LIST}{embedded.id}/edit", str(site.world.wiki.id)
    site.admin.submit(url, providers=[wiki])
    assert outpost_named(site.store, embedded.name).providers == frozenset()
    site.admin.submit(url, manual="y", providers=[wiki])
    changed = outpost_named(site.store, embedded.name)
    assert (changed.manual, changed.providers) == (True, frozenset({site.world.wiki.id}))
    response = site.admin.submit(f"{LIST}{embedded.id}/delete")
    assert response.status_code == 422
    assert "belongs to Garrison" in response.text


def test_deleting_takes_account_and_token_along(site: Site) -> None:
    outpost = fill(site.store)
    page = site.admin.get(f"{LIST}{outpost.id}/delete").text
    assert "Delete edge?" in page
    assert site.admin.submit(f"{LIST}{outpost.id}/delete").status_code == 303
    with site.store.read() as unit:
        assert unit.outposts.find(outpost.id) is None
        assert unit.users.find(outpost.service_account) is None
    assert site.admin.get(f"{LIST}{outpost.id}/").status_code == 404


def test_a_revoked_token_can_be_made_anew(site: Site) -> None:
    outpost = fill(site.store)
    with site.store.read() as unit:
        token = get_token(unit, outpost)
    assert site.admin.submit(f"/admin/tokens/{token.id}/revoke").status_code == 303
    page = site.admin.get(f"{LIST}{outpost.id}/").text
    assert "The token was revoked" in page
    assert token.secret not in page
    assert site.admin.submit(f"{LIST}{outpost.id}/token/new").status_code == 303
    with site.store.read() as unit:
        renewed = find_token(unit, outpost)
    assert renewed is not None
    assert renewed.secret != token.secret


def test_polling_costs_nothing_while_nothing_changes(site: Site, clock: Clock) -> None:
    outpost = fill(site.store)
    browser = site.admin
    for url in (f"{LIST}live", f"{LIST}{outpost.id}/live", "/admin/overview/live"):
        first = browser.get(url)
        assert first.status_code == 200
        again = browser.get(url, If_None_Match=first.headers["ETag"])
        assert (again.status_code, again.text) == (304, "")
        with site.store.write(ADMIN) as unit:
            unit.instances.save([instance(outpost.id, clock.now, hostname=url[-20:], rejections=())])
        assert browser.get(url, If_None_Match=first.headers["ETag"]).status_code == 200


def test_an_instance_tells_everything(site: Site, clock: Clock) -> None:
    outpost = fill(site.store)
    with site.store.write(ADMIN) as unit:
        (known,) = unit.instances.of_outpost(outpost.id)
        unit.instances.save(
            [
                replace(known, version="0.0.9", clock_skew=-94.2, applied_revision=3, wanted_revision=5),
                instance(outpost.id, clock.now, hostname="gone", state=InstanceState.DISCONNECTED),
                instance(outpost.id, clock.now, hostname="fresh", rejections=()),
            ]
        )
    page = site.admin.get(f"{LIST}{outpost.id}/live").text
    expected = ["outdated", "clock off by 94 s", "applying", "3 / 5", "Disconnected", "33 % healthy", "Connected"]
    for words in [*expected, "for &lt;b&gt;no&lt;/b&gt; reason", "provider/x"]:
        assert words in page


@pytest.mark.parametrize(
    ("states", "words"),
    [
        ((), "Not connected"),
        (("fine", "fine"), "Healthy"),
        (("fine", "gone"), "1 of 2 healthy"),
        (("gone",), "Unhealthy"),
        (("old",), "Outdated"),
    ],
)
def test_health_in_a_word(site: Site, clock: Clock, states: tuple[str, ...], words: str) -> None:
    with site.store.write(ADMIN) as unit:
        embedded = unit.outposts.find_embedded()
        assert embedded is not None
        for state in states:
            gone = InstanceState.DISCONNECTED if state == "gone" else InstanceState.CONNECTED
            version = "0.0.1" if state == "old" else "0.1.0"
            made = instance(embedded.id, clock.now, state=gone, version=version, rejections=())
            unit.instances.save([made])
    assert f"</span>{words}</span>" in site.admin.get(f"{LIST}live").text


def test_without_outposts_the_list_says_what_to_do(site: Site) -> None:
    with site.store.write(ADMIN) as unit:
        for outpost in unit.outposts.all():
            unit.outposts.remove(outpost)
    page = site.admin.get(LIST).text
    assert "No outposts yet" in page
    assert f'href="{NEW}"' in page


@pytest.mark.parametrize("part", ["live", "token/live", "deployment/live"])
def test_one_that_is_deleted_while_somebody_looks(site: Site, part: str) -> None:
    outpost = fill(site.store)
    site.admin.submit(f"{LIST}{outpost.id}/delete")
    answer = site.admin.get(f"{LIST}{outpost.id}/{part}")
    assert (answer.status_code, "It was deleted" in answer.text) == (286, True)


def test_a_missing_outpost_is_named(site: Site) -> None:
    response = site.admin.get(f"{LIST}00000000-0000-4000-8000-000000000000/")
    assert response.status_code == 404
    assert "There is no outpost" in response.text
