"""What an outpost may see: its own, and nothing else; a test for each kind of resource."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from control.domain.application import Binding, BindMode, ProxyMode
from control.domain.grant import BasicCredentials
from control.domain.identity import User
from control.domain.outpost import Logged, Outpost, OutpostType
from control.domain.security import Certificate
from control.fleet.resources import Certificate as CertificateResource
from control.fleet.resources import Changed, Ended, LdapProvider, Options, ProxyProvider, Resource
from control.fleet.scope import served_providers
from control.fleet.session_keys import replace_cookie_key
from control.fleet.snapshot import read_facts
from control.fleet.tokens import ensure_embedded
from control.store import Store, Unit
from tests.support import builders
from tests.support.fleet import Site, add_directory, add_outpost, add_site, deploy
from tests.support.scopes import URL, add_certificate, provider, seen
from tests.support.stores import ADMIN, Clock


def served(store: Store, outpost: Outpost) -> set[str]:
    """Names of the providers it serves."""
    with store.read() as unit:
        return {each.name for each in served_providers(read_facts(unit), unit.outposts.get(outpost.id)).values()}


def options(store: Store, outpost: Outpost) -> Options:
    found = seen(store, outpost)["options"]
    assert isinstance(found, Options)
    return found


@pytest.mark.parametrize(
    ("config", "browser_url"),
    [
        ({}, URL),
        ({"authentik_host": "https://inside.example.com/"}, "https://inside.example.com"),
        (
            {"authentik_host": "https://inside.example.com", "authentik_host_browser": "https://login.example.com/"},
            "https://login.example.com",
        ),
    ],
)
def test_browsers_are_sent_to_the_best_known_address(store: Store, config: dict[str, str], browser_url: str) -> None:
    assert options(store, deploy(store, config=config).outpost).browser_url == browser_url


def test_options_are_complete(store: Store) -> None:
    plain = options(store, deploy(store, "plain", ()).outpost)
    assert (plain.outpost_name, plain.log_level, plain.refresh_interval) == ("plain", "info", timedelta(minutes=5))
    config = {"log_level": "trace", "refresh_interval": "hours=1"}
    chosen = options(store, deploy(store, "chosen", (), config=config).outpost)
    assert (chosen.log_level, chosen.refresh_interval) == ("trace", timedelta(hours=1))


def test_a_provider_goes_to_its_outpost_only(store: Store) -> None:
    east, west = deploy(store, "east", ("wiki",)), deploy(store, "west", ("blog",))
    assert served(store, east.outpost) == {"wiki"}
    assert served(store, west.outpost) == {"blog"}


def test_a_provider_is_translated_whole(store: Store) -> None:
    with store.write(ADMIN) as unit:
        site = add_site(
            unit,
            "wiki",
            mode=ProxyMode.FORWARD_DOMAIN,
            external_host="https://wiki.example.com/",
            cookie_domain=".example.com",
            skip_path_regex="^/public\n\n  ^/api  \n",
            access_token_validity=timedelta(hours=2),
        )
        edge = add_outpost(unit, "edge", [site])
    found = provider(store, edge.outpost, site.provider.id)
    assert (found.external_host, found.cookie_domain, found.skip_path_regex) == (
        "https://wiki.example.com",
        "example.com",
        ("^/public", "^/api"),
    )
    assert (found.application_slug, found.access_token_validity) == ("wiki", timedelta(hours=2))


def test_a_provider_without_application_is_not_served(store: Store) -> None:
    with store.write(ADMIN) as unit:
        lonely = unit.providers.add(builders.provider("lonely"))
        edge = add_outpost(unit, "edge", [])
        unit.outposts.update(replace(edge.outpost, providers=frozenset({lonely.id})))
    assert served(store, edge.outpost) == set()


def test_the_embedded_outpost_serves_what_nobody_else_does(store: Store) -> None:
    deploy(store, "edge", ("wiki",))
    with store.write(ADMIN) as unit:
        add_site(unit, "blog")
        embedded = ensure_embedded(unit)
    assert served(store, embedded) == {"blog"}
    with store.write(ADMIN) as unit:
        unit.outposts.remove(unit.outposts.get_named("edge"))
    assert served(store, embedded) == {"blog", "wiki"}


def test_the_embedded_outpost_in_manual_mode_serves_what_it_is_given(store: Store) -> None:
    with store.write(ADMIN) as unit:
        given, _ = add_site(unit, "wiki"), add_site(unit, "blog")
        embedded = ensure_embedded(unit)
        unit.outposts.update(replace(embedded, manual=True, providers=frozenset({given.provider.id})))
    assert served(store, embedded) == {"wiki"}


def test_certificates_go_with_the_providers_that_name_them(store: Store) -> None:
    with store.write(ADMIN) as unit:
        web, other = add_certificate(unit, "web"), add_certificate(unit, "other")
        add_certificate(unit, "unused")
        sites = [add_site(unit, name, certificate=web.id) for name in ("wiki", "blog")]
        east = add_outpost(unit, "east", sites)
        add_outpost(unit, "west", [add_site(unit, "shop", certificate=other.id)])
    found = [each for each in seen(store, east.outpost).values() if isinstance(each, CertificateResource)]
    assert [(each.name, each.private_key) for each in found] == [("web", "KEY")]
    assert provider(store, east.outpost, sites[0].provider.id).certificate == found[0].key


def test_a_certificate_without_key_is_not_named(store: Store) -> None:
    with store.write(ADMIN) as unit:
        site = add_site(unit, "wiki", certificate=add_certificate(unit, "web", None).id)
        edge = add_outpost(unit, "edge", [site])
    assert provider(store, edge.outpost, site.provider.id).certificate == ""
    assert not [key for key in seen(store, edge.outpost) if key.startswith("certificate/")]


def test_session_keys_come_newest_first_and_leave_when_no_cookie_needs_them(store: Store, clock: Clock) -> None:
    edge = deploy(store)
    wiki = edge.sites[0].provider.id
    clock.advance(hours=1)
    with store.write(ADMIN) as unit:
        newest = replace_cookie_key(unit, wiki)
    keys = provider(store, edge.outpost, wiki).session_keys
    assert (keys[0].id, len(keys)) == (newest.id, 2)
    clock.advance(hours=24)
    assert [key.id for key in provider(store, edge.outpost, wiki).session_keys] == [newest.id]


def bind(unit: Unit, site: Site, user: User) -> None:
    unit.bindings.add(Binding(id=uuid4(), application=site.application.id, user=user.id))


def revoked(store: Store, outpost: Outpost) -> list[Resource]:
    return [each for each in seen(store, outpost).values() if isinstance(each, Ended | Changed)]


def test_an_ended_subject_is_told_to_every_outpost_that_may_have_sessions(store: Store, clock: Clock) -> None:
    east, idle = deploy(store, "east", ("wiki",)), deploy(store, "idle", ())
    with store.write(ADMIN) as unit:
        alice = unit.users.add(builders.user("alice"))
    with store.write(ADMIN) as unit:
        unit.users.update(replace(alice, active=False))
    (ended,) = revoked(store, east.outpost)
    assert isinstance(ended, Ended)
    assert (ended.key, ended.before) == (f"ended/subject/{alice.id}", clock.now)
    assert revoked(store, idle.outpost) == []
    clock.advance(days=2)
    assert revoked(store, east.outpost) == []


def test_an_ended_provider_is_told_where_it_is_served(store: Store) -> None:
    east, west = deploy(store, "east", ("wiki",)), deploy(store, "west", ("blog",))
    with store.write(ADMIN) as unit:
        alice = unit.users.add(builders.user("alice"))
        bind(unit, east.sites[0], alice)
    (ended,) = revoked(store, east.outpost)
    assert ended.key == f"ended/provider/{east.sites[0].provider.id}"
    assert revoked(store, west.outpost) == []


def test_a_changed_person_is_told_as_it_is_now_and_where_it_may_not_go(store: Store) -> None:
    with store.write(ADMIN) as unit:
        alice = unit.users.add(builders.user("alice"))
        bob = unit.users.add(builders.user("bob"))
        wiki, blog, shop = (add_site(unit, name) for name in ("wiki", "blog", "shop"))
        bind(unit, blog, bob)
        bind(unit, shop, bob)
        both, only = add_outpost(unit, "both", [wiki, blog]), add_outpost(unit, "only", [shop])
    with store.write(ADMIN) as unit:
        unit.users.update(replace(alice, email="new@example.com", attributes={"additionalHeaders": {"X-Team": "red"}}))
    changed = seen(store, both.outpost)[f"changed/{alice.id}"]
    assert isinstance(changed, Changed)
    assert (changed.identity.email, changed.identity.additional_headers) == ("new@example.com", {"X-Team": "red"})
    assert changed.denied_providers == (blog.provider.id,)
    # Where the person may go nowhere, nobody learns who it is.
    hidden = seen(store, only.outpost)[f"changed/{alice.id}"]
    assert isinstance(hidden, Changed)
    assert (hidden.identity.username, hidden.identity.email) == ("", "")
    assert hidden.denied_providers == (shop.provider.id,)


def test_a_changed_person_is_sent_other_credentials_where_it_may_go(store: Store) -> None:
    with store.write(ADMIN) as unit:
        alice, bob = unit.users.add(builders.user("alice")), unit.users.add(builders.user("bob"))
        wiki, blog, shop = (add_site(unit, name) for name in ("wiki", "blog", "shop"))
        bind(unit, blog, bob)
        edge = add_outpost(unit, "edge", [wiki, blog, shop])
        for site in (wiki, blog):
            sending = replace(site.provider, basic_auth_enabled=True, basic_auth_password_attribute="pw")
            unit.proxy_providers.update(sending)
    with store.write(ADMIN) as unit:
        unit.users.update(replace(alice, attributes={"pw": "s3cret"}, email="alice@example.com"))
    resources = seen(store, edge.outpost)
    changed = resources[f"changed/{alice.id}"]
    assert isinstance(changed, Changed)
    assert changed.basic == {wiki.provider.id: BasicCredentials(username="alice@example.com", password="s3cret")}
    told = resources[f"provider/{wiki.provider.id}"]
    assert isinstance(told, ProxyProvider)
    assert told.basic_auth_enabled


def test_how_long_answers_are_kept_and_what_is_logged_is_told(store: Store) -> None:
    edge = deploy(store)
    with store.write(ADMIN) as unit:
        unit.outposts.update(
            replace(
                edge.outpost,
                config={
                    "garrison_bind_cache": "seconds=5",
                    "garrison_offline_grace": "",
                    "garrison_access_log": "nothing",
                    "garrison_decision_log": "all",
                },
            )
        )
        outpost = unit.outposts.get(edge.outpost.id)
    options = seen(store, outpost)["options"]
    assert isinstance(options, Options)
    assert (options.bind_cache, options.offline_grace) == (timedelta(seconds=5), timedelta())
    assert (options.access_log, options.decision_log) == (Logged.NOTHING, Logged.ALL)


def test_a_change_of_group_reaches_the_identity(store: Store) -> None:
    edge = deploy(store)
    with store.write(ADMIN) as unit:
        top = unit.groups.add(builders.group("top"))
        below = unit.groups.add(builders.group("below", parents=frozenset({top.id})))
        alice = unit.users.add(builders.user("alice"))
    with store.write(ADMIN) as unit:
        unit.memberships.set_groups(alice.id, [below.id])
    changed = seen(store, edge.outpost)[f"changed/{alice.id}"]
    assert isinstance(changed, Changed)
    assert changed.identity.groups == ("below", "top")


def test_a_removed_person_is_ended_not_changed(store: Store) -> None:
    edge = deploy(store)
    with store.write(ADMIN) as unit:
        alice = unit.users.add(builders.user("alice"))
    with store.write(ADMIN) as unit:
        unit.users.update(replace(alice, name="A."))
        unit.users.remove(replace(alice, name="A."))
    assert [each.key for each in revoked(store, edge.outpost)] == [f"ended/subject/{alice.id}"]


def test_secrets_are_not_shown(store: Store) -> None:
    with store.write(ADMIN) as unit:
        web = add_certificate(unit, "web", "VERY-PRIVATE")
        site = add_site(unit, "wiki", certificate=web.id)
        edge = add_outpost(unit, "edge", [site])
        secret = unit.cookie_keys.of_provider(site.provider.id)[0].secret
    shown = repr(seen(store, edge.outpost))
    assert "VERY-PRIVATE" not in shown
    assert repr(secret) not in shown


def add_ldap(unit: Unit, name: str, *providers: UUID) -> Outpost:
    return add_outpost(unit, name, type=OutpostType.LDAP, providers=frozenset(providers)).outpost


def test_an_ldap_provider_is_translated_whole(store: Store) -> None:
    with store.write(ADMIN) as unit:
        staff = unit.groups.add(builders.group("staff"))
        web = unit.certificates.add(
            Certificate(id=uuid4(), name="web", chain="CHAIN", private_key="KEY", created=unit.now)
        )
        fields = {"search_group": staff.id, "certificate": web.id, "tls_server_name": "ldap.example.com"}
        shown = add_directory(unit, "dir", bind_mode=BindMode.DIRECT, mfa_support=False, size_limit=9, **fields)
        ldap = add_ldap(unit, "ldap", shown.id)
    found = seen(store, ldap)
    resource = found[f"provider/{shown.id}"]
    assert isinstance(resource, LdapProvider)
    assert (resource.application_slug, resource.base_dn, resource.bind_mode) == ("dir", shown.base_dn, BindMode.DIRECT)
    assert (resource.search_group, resource.certificate) == (staff.id, f"certificate/{web.id}")
    assert (resource.tls_server_name, resource.size_limit) == ("ldap.example.com", 9)
    assert (resource.user_attributes, resource.time_limit) == (shown.user_attributes, shown.time_limit)
    assert set(found) == {"options", f"provider/{shown.id}", f"certificate/{web.id}"}


def test_outposts_serve_providers_of_their_type_alone(store: Store) -> None:
    with store.write(ADMIN) as unit:
        shown, site = add_directory(unit), add_site(unit, "wiki")
        both = frozenset({shown.id, site.provider.id})
        # As no command would store them.
        ldap = add_outpost(unit, "ldap", type=OutpostType.LDAP, providers=both).outpost
        edge = add_outpost(unit, "edge", providers=both).outpost
    assert (served(store, ldap), served(store, edge)) == ({"dir"}, {"wiki"})


def test_the_embedded_outpost_serves_no_directory(store: Store) -> None:
    with store.write(ADMIN) as unit:
        embedded = ensure_embedded(unit)
        add_site(unit, "wiki")
        add_directory(unit)
    assert served(store, embedded) == {"wiki"}


def test_an_ldap_provider_without_application_is_not_served(store: Store) -> None:
    with store.write(ADMIN) as unit:
        lonely = unit.ldap_providers.add(builders.ldap_provider())
        ldap = add_ldap(unit, "ldap", lonely.id)
    assert served(store, ldap) == set()


def test_directories_are_told_of_no_headers_and_no_credentials(store: Store) -> None:
    secrets = {"additionalHeaders": {"X-Team": "blue"}, "pw": "s3cret", "ak_proxy": {"host_header": "blue.internal"}}
    with store.write(ADMIN) as unit:
        shown = add_directory(unit)
        sending = {"basic_auth_enabled": True, "basic_auth_password_attribute": "pw"}
        site = add_site(unit, "wiki", **sending)
        ldap, edge = add_ldap(unit, "ldap", shown.id), add_outpost(unit, "edge", [site]).outpost
        alice = unit.users.add(builders.user("alice", last_sign_in=unit.now))
    with store.write(ADMIN) as unit:
        unit.users.update(replace(alice, attributes=secrets))
    told = {outpost.name: seen(store, outpost)[f"changed/{alice.id}"] for outpost in (ldap, edge)}
    of_ldap, of_edge = told["ldap"], told["edge"]
    assert isinstance(of_ldap, Changed)
    assert isinstance(of_edge, Changed)
    assert (dict(of_edge.identity.additional_headers), len(of_edge.basic)) == ({"X-Team": "blue"}, 1)
    assert (dict(of_ldap.identity.additional_headers), dict(of_ldap.basic)) == ({}, {})
    assert (of_edge.identity.host_header, of_ldap.identity.host_header) == ("blue.internal", "")
    assert of_ldap.identity.username == "alice"
