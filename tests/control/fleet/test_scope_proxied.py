"""What an outpost sees for mode proxy: how applications are reached, and where somebody is led elsewhere."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from control.domain.application import ProxyMode
from control.fleet.resources import Changed, Upstream
from control.store import Store
from tests.support import builders
from tests.support.fleet import add_outpost, add_site, deploy
from tests.support.scopes import add_certificate, certificate_names, provider, seen
from tests.support.stores import ADMIN


def test_mode_proxy_is_told_how_to_reach_its_application(store: Store) -> None:
    with store.write(ADMIN) as unit:
        authority, shown = add_certificate(unit, "internal CA", None), add_certificate(unit, "outpost")
        fields = {
            "internal_host": "https://a.internal/base\nunix:///run/app.sock",
            "internal_host_header": "app.internal",
            "internal_host_server_name": "a.internal",
            "internal_host_authorities": authority.id,
            "internal_host_certificate": shown.id,
            "internal_host_connect_timeout": timedelta(seconds=1),
            "internal_host_response_timeout": timedelta(seconds=2),
            "internal_host_idle_timeout": timedelta(seconds=3),
            "internal_host_connections": 4,
            "security_headers": True,
        }
        proxied = add_site(unit, "wiki", mode=ProxyMode.PROXY, **fields)
        asked = add_site(unit, "blog", mode=ProxyMode.FORWARD_SINGLE, **fields)
        edge, other = add_outpost(unit, "edge", [proxied]), add_outpost(unit, "other", [asked])
    assert provider(store, edge.outpost, proxied.provider.id).upstream == Upstream(
        addresses=("https://a.internal/base", "unix:///run/app.sock"),
        host_header="app.internal",
        server_name="a.internal",
        authorities="CHAIN",
        certificate=f"certificate/{shown.id}",
        connect_timeout=timedelta(seconds=1),
        response_timeout=timedelta(seconds=2),
        idle_timeout=timedelta(seconds=3),
        connections=4,
        security_headers=True,
    )
    # The authorities go along as they are: nobody shows them, and of a key nothing is sent.
    assert certificate_names(store, edge.outpost) == ["outpost"]
    assert provider(store, other.outpost, asked.provider.id).upstream is None
    assert certificate_names(store, other.outpost) == []


def test_a_certificate_that_serves_and_is_shown_goes_once(store: Store) -> None:
    with store.write(ADMIN) as unit:
        web = add_certificate(unit, "web")
        fields = {"certificate": web.id, "internal_host_certificate": web.id}
        site = add_site(unit, "wiki", mode=ProxyMode.PROXY, internal_host="https://a.internal", **fields)
        edge = add_outpost(unit, "edge", [site])
    assert certificate_names(store, edge.outpost) == ["web"]


def test_a_certificate_without_key_is_not_shown_to_an_application(store: Store) -> None:
    with store.write(ADMIN) as unit:
        fields = {"internal_host_certificate": add_certificate(unit, "web", None).id}
        site = add_site(unit, "wiki", mode=ProxyMode.PROXY, internal_host="https://a.internal", **fields)
        edge = add_outpost(unit, "edge", [site])
    found = provider(store, edge.outpost, site.provider.id).upstream
    assert found is not None
    assert (found.certificate, certificate_names(store, edge.outpost)) == ("", [])


def test_a_change_of_where_applications_are_found_reaches_the_identity(store: Store) -> None:
    """By the group above or by the person, and so does it that somebody is an administrator now."""
    edge = deploy(store)

    def told(to: UUID) -> tuple[str, str, bool]:
        changed = seen(store, edge.outpost)[f"changed/{to}"]
        assert isinstance(changed, Changed)
        return changed.identity.backend_override, changed.identity.host_header, changed.identity.superuser

    with store.write(ADMIN) as unit:
        top = unit.groups.add(builders.group("top"))
        below = unit.groups.add(builders.group("below", parents=frozenset({top.id})))
        alice = unit.users.add(builders.user("alice"))
        unit.memberships.set_groups(alice.id, [below.id])
    with store.write(ADMIN) as unit:
        top = unit.groups.update(replace(top, attributes={"ak_proxy": {"host_header": "blue"}}))
    assert told(alice.id) == ("", "blue", False)
    with store.write(ADMIN) as unit:
        unit.users.update(replace(alice, attributes={"ak_proxy": {"backend_override": "http://10.0.0.7"}}))
    assert told(alice.id) == ("http://10.0.0.7", "blue", False)
    with store.write(ADMIN) as unit:
        unit.groups.update(replace(top, superuser=True))
    assert told(alice.id) == ("http://10.0.0.7", "blue", True)
