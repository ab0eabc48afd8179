"""The token of an outpost on its page: shown only when asked for, rotated, retired, replaced."""

from dataclasses import replace

import pytest

from control.domain.outpost import Outpost, Token
from control.fleet.rotation import rotate_token, token_status
from control.fleet.tokens import find_token, get_token, replace_token
from control.web.outposts.page import PLACEHOLDER
from tests.support.deployments import make_integration, place
from tests.support.site import Site, fill, instance
from tests.support.stores import ADMIN


def page_of(outpost: Outpost) -> str:
    return f"/admin/outposts/{outpost.id}/"


def token_of(site: Site, outpost: Outpost) -> Token:
    with site.store.read() as unit:
        return get_token(unit, outpost)


def looks(site: Site) -> int:
    """How often the audit trail says that somebody looked at a token."""
    with site.store.read() as unit:
        return sum(each.action == "viewed" and each.kind == "token" for each in unit.audit.latest(100))


def rotated(site: Site, outpost: Outpost, *hosts: tuple[str, bool]) -> None:
    """A rotation with instances: host name, and whether its state folder has the new token already."""
    old = token_of(site, outpost).fingerprint
    with site.store.write(ADMIN) as unit:
        new = rotate_token(unit, outpost).fingerprint
        made = [
            instance(outpost.id, unit.now, hostname=host, environment_token=old, held_token=new if has_new else old)
            for host, has_new in hosts
        ]
        unit.instances.save(made)


def test_the_page_shows_no_token_and_leaves_no_trace(site: Site) -> None:
    outpost = fill(site.store)
    page = site.admin.get(page_of(outpost)).text
    assert token_of(site, outpost).secret not in page
    assert f"AUTHENTIK_TOKEN={PLACEHOLDER}" in page
    assert looks(site) == 0


def test_showing_fills_the_texts_and_is_recorded(site: Site) -> None:
    outpost = fill(site.store)
    secret = token_of(site, outpost).secret
    response = site.admin.submit(page_of(outpost), f"{page_of(outpost)}token/show")
    assert response.status_code == 200
    assert f"AUTHENTIK_TOKEN={secret}" in response.text
    assert PLACEHOLDER not in response.text
    assert "<html" in response.text, "without JavaScript it is the whole page"
    assert response.headers["Cache-Control"] == "no-store"
    assert looks(site) == 1


def test_showing_swaps_the_part_alone(site: Site) -> None:
    outpost, browser = fill(site.store), site.admin
    form = browser.form(page_of(outpost), f"{page_of(outpost)}token/show")
    headers = {"HX-Request": "true", "HX-Target": "deployment"}
    part = browser.client.post(form.action, data=form.fields, headers=headers).text
    assert token_of(site, outpost).secret in part
    assert part.lstrip().startswith("<section")


def test_without_a_token_nothing_is_shown(site: Site) -> None:
    outpost, browser = fill(site.store), site.admin
    form = browser.form(page_of(outpost), f"{page_of(outpost)}token/show")
    with site.store.write(ADMIN) as unit:
        unit.tokens.update(replace(get_token(unit, outpost), revoked=unit.now))
    assert "The token was revoked" in browser.client.post(form.action, data=form.fields).text
    assert looks(site) == 0


def test_rotating_keeps_the_old_token(site: Site) -> None:
    outpost = fill(site.store)
    old = token_of(site, outpost)
    question = site.admin.get(f"{page_of(outpost)}token/rotate").text
    assert f'href="/admin/tokens/{old.id}/replace"' in question, "after a leak, this is the wrong button"
    browser = site.admin
    response = browser.submit(f"{page_of(outpost)}token/rotate")
    assert response.headers["Location"] == f"{page_of(outpost)}#token"
    with site.store.read() as unit:
        status = token_status(unit, outpost)
    assert [token.id for token in status.retiring] == [old.id]
    assert status.current.id != old.id
    page = browser.get(page_of(outpost)).text
    for words in ("has a new token", old.fingerprint[:8], status.current.fingerprint[:8], "Retire the old token"):
        assert words in page


def test_holdouts_are_named(site: Site) -> None:
    outpost = fill(site.store)
    rotated(site, outpost, ("kept", True), ("behind", False))
    page = site.admin.get(f"{page_of(outpost)}token/live").text
    assert "2 instances still start with the old token" in page
    assert page.count("has the new one in its state folder") == 1
    assert page.count("doesn't have the new one yet") == 1
    assert site.admin.get(f"{page_of(outpost)}live").text.count("old token</span>") == 2
    question = site.admin.get(f"{page_of(outpost)}token/retire").text
    assert "loses that folder too could not come back" in question
    assert question.count("doesn't have the new one at all") == 1


def test_what_control_deploys_needs_no_hand(site: Site) -> None:
    outpost = place(site.store, fill(site.store), make_integration(site.store))
    assert "retired by itself" in site.admin.get(f"{page_of(outpost)}token/rotate").text
    rotated(site, outpost, ("behind", False))
    card = site.admin.get(f"{page_of(outpost)}token/live").text
    assert "retired by itself" in card
    assert "Compose file" not in card


def test_instances_too_old_to_say_are_warned_of(site: Site) -> None:
    outpost = fill(site.store)
    rotated(site, outpost)
    with site.store.write(ADMIN) as unit:
        known = unit.instances.of_outpost(outpost.id)
        unit.instances.save(replace(each, hostname="old-timer", environment_token="") for each in known)
    card = site.admin.get(f"{page_of(outpost)}token/live").text
    assert "1 instance is of an older version and" in card
    assert "The old one can be retired" not in card
    question = site.admin.get(f"{page_of(outpost)}token/retire").text
    assert "1 instance is of an older version: old-timer" in question
    assert "No instance that is known" not in question


def test_many_holdouts_are_counted(site: Site) -> None:
    outpost = fill(site.store)
    rotated(site, outpost, *((f"h{number:02}", True) for number in range(13)))
    for page in ("live", "retire"):
        text = site.admin.get(f"{page_of(outpost)}token/{page}").text
        assert "h09" in text
        assert "h10" not in text
        assert "and 3 more" in text


def test_retiring(site: Site) -> None:
    outpost = fill(site.store)
    old = token_of(site, outpost)
    rotated(site, outpost, ("kept", True))
    assert site.admin.submit(f"{page_of(outpost)}token/retire").status_code == 303
    with site.store.read() as unit:
        assert unit.tokens.get(old.id).revoked is not None
        assert find_token(unit, outpost) is not None
    page = site.admin.get(f"{page_of(outpost)}token/live").text
    assert "1 instance still starts with a token that is worth nothing any more" in page
    assert "token/rotate" in page


def test_with_nobody_left_the_old_one_can_go(site: Site) -> None:
    outpost = fill(site.store)
    rotated(site, outpost, ("new", True))
    with site.store.write(ADMIN) as unit:
        known = unit.instances.of_outpost(outpost.id)
        unit.instances.save(replace(each, environment_token=get_token(unit, outpost).fingerprint) for each in known)
    assert "The old one can be retired" in site.admin.get(f"{page_of(outpost)}token/live").text
    assert "No instance that is known was started with it" in site.admin.get(f"{page_of(outpost)}token/retire").text


def test_the_embedded_outpost_rotates_by_itself(site: Site) -> None:
    with site.store.read() as unit:
        embedded = unit.outposts.find_embedded()
    assert embedded is not None
    assert "in 30 days" in site.admin.get(page_of(embedded)).text
    rotated(site, embedded)
    assert "retired by itself" in site.admin.get(f"{page_of(embedded)}token/live").text


def test_the_card_polls_cheaply(site: Site) -> None:
    outpost, browser = fill(site.store), site.admin
    first = browser.get(f"{page_of(outpost)}token/live")
    assert browser.get(f"{page_of(outpost)}token/live", If_None_Match=first.headers["ETag"]).status_code == 304
    rotated(site, outpost)
    assert browser.get(f"{page_of(outpost)}token/live", If_None_Match=first.headers["ETag"]).status_code == 200


@pytest.mark.parametrize("what", ["rotate", "retire", "new"])
def test_looking_at_a_question_changes_nothing(site: Site, what: str) -> None:
    outpost = fill(site.store)
    before = token_of(site, outpost)
    assert site.admin.get(f"{page_of(outpost)}token/{what}").status_code == 200
    assert token_of(site, outpost) == before


def test_the_list_of_tokens_tells_old_from_new(site: Site) -> None:
    outpost = fill(site.store)
    first = token_of(site, outpost)
    assert "Valid until retired" not in site.admin.get("/admin/tokens/").text
    with site.store.write(ADMIN) as unit:
        second = rotate_token(unit, outpost)
    page = site.admin.get("/admin/tokens/?q=edge").text
    assert page.count("Valid until retired") == 1
    assert page.index(str(second.id)) < page.index(str(first.id))
    assert "Valid until retired" in site.admin.get(f"/admin/tokens/{first.id}/").text
    assert first.fingerprint[:8] in site.admin.get(f"/admin/tokens/{first.id}/revoke").text
    assert "each of the 2 that are valid" in site.admin.get(f"/admin/tokens/{second.id}/replace").text
    with site.store.write(ADMIN) as unit:
        replace_token(unit, outpost)
    assert "Valid until retired" not in site.admin.get("/admin/tokens/").text
