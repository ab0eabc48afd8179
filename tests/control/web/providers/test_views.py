"""Providers in the admin interface."""

from dataclasses import replace

import pytest

from control.domain.application import ProxyMode, ProxyProvider
from control.fleet.certificates import create_certificate, generate_certificate
from control.fleet.upstreams import FIELDS as UPSTREAM
from control.store import Store
from tests.support.site import Site, fill, make_site
from tests.support.stores import ADMIN, Clock

LIST = "/admin/providers/"
NEW = "/admin/providers/new/proxy"


def named(store: Store, name: str) -> ProxyProvider:
    with store.read() as unit:
        return unit.proxy_providers.get_named(name)


def test_creating_and_editing(site: Site) -> None:
    fields = {"name": "git", "external_host": "https://git.example.com", "skip_path_regex": "^/public/\r\n^/x$"}
    response = site.admin.submit(NEW, **fields, access_token_validity="hours=2")
    provider = named(site.store, "git")
    assert response.headers["Location"] == f"{LIST}{provider.id}/"
    assert (provider.mode, provider.skip_path_regex) == (ProxyMode.FORWARD_SINGLE, "^/public/\n^/x$")
    assert provider.access_token_validity.total_seconds() == 7200
    assert provider.intercept_header_auth
    url = f"{LIST}{provider.id}/edit"
    assert site.admin.submit(url).status_code == 303
    assert named(site.store, "git") == provider
    site.admin.submit(url, intercept_header_auth=None, mode="forward_domain", cookie_domain="example.com")
    changed = named(site.store, "git")
    assert (changed.intercept_header_auth, changed.cookie_domain) == (False, "example.com")
    site.admin.submit(url, mode="forward_single")
    assert named(site.store, "git").cookie_domain == ""


def test_credentials_for_the_application(site: Site) -> None:
    fields = {"name": "git", "external_host": "https://git.example.com", "basic_auth_enabled": "y"}
    names = {"basic_auth_user_attribute": "git_user", "basic_auth_password_attribute": "git_password"}
    site.admin.submit(NEW, **fields, **names)
    provider = named(site.store, "git")
    assert (provider.basic_auth_enabled, provider.basic_auth_user_attribute) == (True, "git_user")
    page = site.admin.get(f"{LIST}{provider.id}/").text
    assert "git_user" in page
    assert "git_password" in page
    url = f"{LIST}{provider.id}/edit"
    site.admin.submit(url)
    assert named(site.store, "git") == provider
    site.admin.submit(url, basic_auth_enabled=None)
    assert not named(site.store, "git").basic_auth_enabled


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": ""}, "This is needed"),
        ({"name": "wiki\ncreated"}, "be printed"),
        ({"name": "\u202ewiki"}, "be printed"),
        ({"external_host": "git.example.com"}, "expected an origin"),
        ({"external_host": "https://git.example.com/path"}, "more than an origin"),
        ({"external_host": "http://localhost"}, "where Garrison itself is reached"),
        ({"skip_path_regex": "("}, "no regular expression"),
        ({"access_token_validity": "soon"}, "no duration"),
        ({"access_token_validity": "soon" * 1000}, "soonsoonsoo…” is no duration"),
        ({"access_token_validity": "\u202esoon"}, "“\ufffdsoon” is no duration"),
        ({"basic_auth_password_attribute": "", "basic_auth_enabled": "y"}, "This is needed"),
        ({"mode": "proxy", "internal_host": ""}, "This is needed"),
        ({"mode": "proxy", "internal_host": "http://a/../b"}, "can be read in more than one way"),
        ({"mode": "proxy", "internal_host": "http://localhost"}, "is Garrison itself"),
        ({"mode": "proxy", "internal_host": "https://git.example.com"}, "come back to the outpost for ever"),
        ({"mode": "proxy", "internal_host": "http://a?b"}, "a query or a fragment"),
        ({"mode": "proxy", "internal_host": "http://a", "internal_host_connect_timeout": "days=1"}, "out of range"),
        ({"mode": "sideways"}, "be chosen"),
        ({"mode": "forward_domain", "cookie_domain": "other.org"}, "other.org"),
        ({"name": "wiki"}, "taken already"),
    ],
)
def test_problems_stand_at_their_fields(site: Site, fields: dict[str, str], words: str) -> None:
    usual = {"name": "git", "external_host": "https://git.example.com", "access_token_validity": "days=3"}
    response = site.admin.submit(NEW, **{**usual, **fields})
    assert response.status_code == 422
    field = next(name for name in reversed(fields) if name != "basic_auth_enabled")
    error = response.text.split(f'id="{field}-error"')[1].split("</div></div>")[0]
    assert words in error
    for value in {**usual, **fields}.values():
        assert value in response.text
    with site.store.read() as unit:
        assert unit.providers.count() == 2


def test_mode_proxy(site: Site) -> None:
    """What the form says of it is stored, kept while another mode is chosen, and told on the page."""
    with site.store.write(ADMIN) as unit:
        shown = generate_certificate(unit, {"name": "outpost", "common_name": "outpost"})
        authority = create_certificate(unit, {"name": "internal CA", "certificate": shown.chain})
    fields = {
        "mode": "proxy",
        "internal_host": "https://10.0.0.5:8443/base\r\nhttps://10.0.0.6:8443/base",
        "internal_host_authorities": str(authority.id),
        "internal_host_certificate": str(shown.id),
        "internal_host_server_name": "git.internal",
        "internal_host_header": "git.internal:80",
        "internal_host_idle_timeout": "hours=2",
        "internal_host_connections": "64",
        "security_headers": "y",
    }
    assert site.admin.submit(NEW, name="git", external_host="https://git.example.com", **fields).status_code == 303
    provider = named(site.store, "git")
    assert (provider.mode, provider.internal_host_ssl_validation, provider.security_headers) == ("proxy", True, True)
    assert (provider.internal_host_authorities, provider.internal_host_certificate) == (authority.id, shown.id)
    assert (provider.internal_host_header, provider.internal_host_connections) == ("git.internal", 64)
    url = f"{LIST}{provider.id}/"
    assert site.admin.submit(f"{url}edit").status_code == 303
    assert named(site.store, "git") == provider
    page = site.admin.get(url).text
    for words in (
        "https://10.0.0.6:8443/base",
        "internal CA",
        "git.internal",
        "64 of each worker",
        "2 hours of silence",
    ):
        assert words in page
    assert "isn't verified" not in page.replace("&#39;", "'")
    assert "curl -I -k https://git.example.com/ \\\n  --connect-to git.example.com:443:localhost:9443" in page
    # As a browser sends it where fields of the mode are hidden.
    site.admin.submit(f"{url}edit", mode="forward_single", **dict.fromkeys(UPSTREAM))
    assert named(site.store, "git") == replace(provider, mode=ProxyMode.FORWARD_SINGLE)
    assert "Reverse proxy configuration" in site.admin.get(url).text


def test_a_certificate_that_nobody_verifies_is_warned_of(site: Site) -> None:
    fields = {"name": "git", "mode": "proxy", "external_host": "http://git.example.com:8080"}
    site.admin.submit(NEW, **fields, internal_host="https://10.0.0.5", internal_host_ssl_validation=None)
    url = f"{LIST}{named(site.store, 'git').id}/"
    page = site.admin.get(url).text
    assert "not verified" in page
    assert "curl -I http://git.example.com:8080/ \\\n  --connect-to git.example.com:8080:localhost:9000" in page
    site.admin.submit(f"{url}edit", internal_host="http://10.0.0.5 unix:///run/git.sock")
    assert "verified" not in site.admin.get(url).text


def test_pages_tell_the_ports_that_garrison_listens_on(store: Store, clock: Clock) -> None:
    site = make_site(store, clock, http_port=8080, https_port=8443)
    assert "http://localhost:8080" in site.admin.get(f"{LIST}{site.world.wiki.id}/").text
    fields = {"mode": "proxy", "internal_host": "http://10.0.0.5"}
    site.admin.submit(NEW, name="git", external_host="https://git.example.com", **fields)
    page = site.admin.get(f"{LIST}{named(store, 'git').id}/").text
    assert "Publish its port 8443 as port 443: it listens on 8080 for HTTP and on 8443 for HTTPS" in page
    assert "It passes on to port 8080" in page
    assert "--connect-to git.example.com:443:localhost:8443" in page
    site.admin.submit(f"{LIST}{named(store, 'git').id}/edit", external_host="http://git.example.com:8080")
    assert "Let people reach its port 8080" in site.admin.get(f"{LIST}{named(store, 'git').id}/").text


def test_a_certificate_says_which_providers_it_is_trusted_or_shown_by(site: Site) -> None:
    with site.store.write(ADMIN) as unit:
        shown = generate_certificate(unit, {"name": "internal", "common_name": "internal"})
    fields = {"name": "git", "mode": "proxy", "external_host": "https://git.example.com", "internal_host": "https://a"}
    site.admin.submit(NEW, **fields, internal_host_authorities=str(shown.id))
    page = site.admin.get(f"/admin/certificates/{shown.id}/").text
    assert f"{LIST}{named(site.store, 'git').id}/" in page
    assert site.admin.submit(f"/admin/certificates/{shown.id}/delete").status_code == 422


def test_what_is_used_cant_be_deleted(site: Site) -> None:
    url = f"{LIST}{site.world.wiki.id}/delete"
    page = site.admin.get(url).text
    assert "delete wiki" in page
    assert f"/admin/applications/{site.world.wiki_application.id}/" in page
    assert ">Delete</button>" not in page
    assert site.admin.submit(url).status_code == 422
    site.admin.submit(f"/admin/applications/{site.world.wiki_application.id}/delete")
    assert site.admin.submit(url).status_code == 303
    with site.store.read() as unit:
        assert unit.providers.find(site.world.wiki.id) is None


def test_the_list_warns(site: Site) -> None:
    site.admin.submit(NEW, name="lonely", external_host="https://lonely.example.com")
    page = site.admin.get(LIST).text
    assert "No application" in page
    with site.store.read() as unit:
        embedded = unit.outposts.find_embedded()
    assert embedded is not None
    site.admin.submit(f"/admin/outposts/{embedded.id}/edit", manual="y")
    assert "Not served" in site.admin.get(LIST).text


def test_certificates_are_offered(site: Site) -> None:
    fill(site.store)
    with site.store.read() as unit:
        certificate = unit.certificates.get_named("edge")
        assert named(site.store, "edge").certificate == certificate.id
    url = f"{LIST}{named(site.store, 'edge').id}/edit"
    assert f'<option value="{certificate.id}" selected>' in site.admin.get(url).text
    site.admin.submit(url, certificate="")
    assert named(site.store, "edge").certificate is None


def test_without_providers_the_list_says_what_to_do(site: Site) -> None:
    with site.store.write(ADMIN) as unit:
        for application in unit.applications.all():
            for binding in unit.bindings.of_application(application.id):
                unit.bindings.remove(binding)
            unit.applications.remove(application)
        for provider in unit.proxy_providers.all():
            unit.providers.remove(provider)
    assert "No providers yet" in site.admin.get(LIST).text
    assert "No applications yet" in site.admin.get("/admin/applications/").text
    assert "First steps" in site.admin.get("/admin/").text
