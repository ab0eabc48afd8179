"""Tokens of outposts in the admin interface."""

from control.fleet.tokens import find_token, get_token
from tests.support.site import Site, fill

LIST = "/admin/tokens/"


def test_the_list_shows_no_secret_but_the_dialog_does(site: Site) -> None:
    outpost = fill(site.store)
    with site.store.read() as unit:
        token = get_token(unit, outpost)
        secrets = [each.secret for each in unit.tokens.all()]
    page = site.admin.get(LIST).text
    assert token.identifier in page
    assert not any(secret in page for secret in secrets)
    dialog = site.admin.get(f"{LIST}{token.id}/", HX_Target="modal").text
    assert token.secret in dialog
    assert dialog.lstrip().startswith('<div class="modal-content')
    assert "<html" in site.admin.get(f"{LIST}{token.id}/").text


def test_replacing(site: Site) -> None:
    outpost = fill(site.store)
    with site.store.read() as unit:
        before = get_token(unit, outpost)
    assert "1 instance" in site.admin.get(f"{LIST}{before.id}/replace").text
    response = site.admin.submit(f"{LIST}{before.id}/replace")
    assert response.headers["Location"] == f"/admin/outposts/{outpost.id}/#deployment"
    with site.store.read() as unit:
        after, old = get_token(unit, outpost), unit.tokens.get(before.id)
    assert after.secret != before.secret
    assert old.revoked is not None
    assert "Revoked" in site.admin.get(LIST).text
    assert before.secret not in site.admin.get(f"{LIST}{before.id}/").text


def test_replacing_from_the_page_of_the_outpost_loads_it_anew(site: Site) -> None:
    outpost = fill(site.store)
    with site.store.read() as unit:
        token = get_token(unit, outpost)
    browser, url = site.admin, f"{LIST}{token.id}/replace"
    shown = f"http://localhost/admin/outposts/{outpost.id}/#deployment"
    headers = {"HX-Request": "true", "HX-Target": "modal", "HX-Current-URL": shown}
    response = browser.client.post(url, data=browser.form(url).fields, headers=headers)
    assert response.headers["HX-Refresh"] == "true"
    assert "HX-Redirect" not in response.headers


def test_revoking(site: Site) -> None:
    outpost = fill(site.store)
    with site.store.read() as unit:
        token = get_token(unit, outpost)
    site.admin.submit(f"{LIST}{token.id}/revoke")
    with site.store.read() as unit:
        assert find_token(unit, outpost) is None
        event = unit.audit.latest(1)[0]
    assert (event.actor, event.kind, event.fields) == ("root", "token", ("revoked",))


def test_a_get_changes_nothing(site: Site) -> None:
    outpost = fill(site.store)
    with site.store.read() as unit:
        token = get_token(unit, outpost)
        before = unit.revision()
    for page in ("replace", "revoke"):
        assert site.admin.get(f"{LIST}{token.id}/{page}").status_code == 200
    with site.store.read() as unit:
        assert get_token(unit, outpost) == token
        # The sessions of the browsers above are the only changes.
        assert unit.revision() <= before + 2


def test_whoever_reads_a_token_is_in_the_audit_trail(site: Site) -> None:
    outpost = fill(site.store)
    with site.store.read() as unit:
        token = get_token(unit, outpost)
    assert token.secret in site.admin.get(f"{LIST}{token.id}/").text
    expected = [("root", "token", str(token.id))]
    assert looks(site) == expected
    site.admin.submit(f"{LIST}{token.id}/revoke")
    site.admin.get(f"{LIST}{token.id}/")
    assert looks(site) == expected, "a revoked token's secret isn't shown"


def looks(site: Site) -> list[tuple[str, str, str]]:
    with site.store.read() as unit:
        return [(each.actor, each.kind, each.target) for each in unit.audit.latest(100) if each.action == "viewed"]
