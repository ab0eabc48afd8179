"""Trusting another SSH host key: what was compared is what is pinned."""

import pytest

from control.domain.integration import Integration, IntegrationHealth
from control.domain.task import TaskKind
from tests.support.deployments import host_key, make_integration, set_health
from tests.support.site import Site

OLD, NEW = host_key("a"), host_key("b")


@pytest.fixture
def branch(site: Site) -> Integration:
    """One whose server shows another key than the pinned one."""
    made = make_integration(site.store, "branch", url="ssh://branch.example.com")
    offer(site, made, NEW)
    return made


def offer(site: Site, integration: Integration, key: str) -> None:
    keys = {"host_key": OLD, "offered_key": key, "error": "host_key_changed", "detail": key}
    set_health(site.store, integration, healthy=False, **keys)


def health_of(site: Site, integration: Integration) -> IntegrationHealth:
    with site.store.read() as unit:
        return unit.integration_healths.get(integration.id)


def test_both_keys_are_shown_to_be_compared(site: Site, branch: Integration) -> None:
    page = site.admin.get(f"/admin/integrations/{branch.id}/trust/").text
    assert page.count("SHA256:") == 2
    assert "ssh-keygen -lf" in page


def test_the_new_key_is_pinned_checked_and_in_the_trail(site: Site, branch: Integration) -> None:
    url = f"/admin/integrations/{branch.id}/trust/"
    assert site.admin.submit(url).headers["Location"] == f"/admin/integrations/{branch.id}/"
    health = health_of(site, branch)
    assert (health.host_key, health.offered_key) == (NEW, "")
    with site.store.read() as unit:
        run = unit.runs.latest(TaskKind.CHECK, branch.id)
        events = [event for event in unit.audit.latest(9) if event.kind == "integration"]
    assert run is not None
    assert "host key trusted" in {event.action for event in events}
    assert site.admin.get(url).status_code == 409


def test_a_third_key_is_not_trusted_unseen(site: Site, branch: Integration) -> None:
    url = f"/admin/integrations/{branch.id}/trust/"
    browser = site.admin
    seen = browser.form(url).fields
    offer(site, branch, host_key("c"))
    response = browser.client.post(url, data=seen)
    assert response.status_code == 422
    assert "another key by now" in response.text
    assert health_of(site, branch).host_key == OLD


def test_there_is_nothing_to_trust(site: Site) -> None:
    made = make_integration(site.store)
    response = site.admin.get(f"/admin/integrations/{made.id}/trust/")
    assert response.status_code == 409
    assert "no other key to trust" in response.text
