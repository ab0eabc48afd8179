"""Creating and changing proxy providers: what is normalised, and what is refused with every problem named."""

from datetime import timedelta
from typing import Any

import pytest

from control.domain.application import ProxyMode
from control.domain.errors import InUse, Invalid
from control.fleet.applications import create_application
from control.fleet.certificates import create_certificate, generate_certificate
from control.fleet.providers import remove_provider
from control.fleet.proxy_providers import create_proxy_provider, update_proxy_provider
from control.store import Store
from tests.support.stores import ADMIN

OWN = "https://garrison.example.com"
WIKI: dict[str, object] = {"name": "wiki", "external_host": "https://wiki.example.com"}


def refusals(store: Store, **fields: object) -> dict[str, str]:
    """Code by field of what is wrong with a provider of these fields."""
    with pytest.raises(Invalid) as caught, store.write(ADMIN) as unit:
        create_proxy_provider(unit, {**WIKI, **fields}, OWN)
    return {problem.field: problem.code for problem in caught.value.problems}


def test_defaults(store: Store) -> None:
    with store.write(ADMIN) as unit:
        made = create_proxy_provider(unit, WIKI, OWN)
        assert unit.proxy_providers.get(made.id) == made
        assert len(unit.cookie_keys.of_provider(made.id)) == 1
    assert (made.mode, made.access_token_validity) == (ProxyMode.FORWARD_SINGLE, timedelta(hours=24))
    assert (made.internal_host_ssl_validation, made.intercept_header_auth, made.cookie_domain) == (True, True, "")
    assert len(made.client_id) == 40


def test_credentials_for_the_application(store: Store) -> None:
    with store.write(ADMIN) as unit:
        made = create_proxy_provider(unit, WIKI, OWN)
        assert not made.basic_auth_enabled
        named = {"basic_auth_enabled": True, "basic_auth_user_attribute": "u", "basic_auth_password_attribute": "p"}
        changed = update_proxy_provider(unit, made, named, OWN)
    assert (changed.basic_auth_enabled, changed.basic_auth_user_attribute, changed.basic_auth_password_attribute) == (
        True,
        "u",
        "p",
    )
    assert refusals(store, name="b", external_host="https://b.example.com", basic_auth_enabled=True) == {
        "basic_auth_password_attribute": "missing"
    }


def test_client_ids_differ(store: Store) -> None:
    with store.write(ADMIN) as unit:
        first = create_proxy_provider(unit, WIKI, OWN)
        second = create_proxy_provider(unit, {"name": "b", "external_host": "https://b.example.com"}, OWN)
    assert first.client_id != second.client_id


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("https://WIKI.Example.COM", "https://wiki.example.com"),
        ("https://wiki.example.com:443/", "https://wiki.example.com"),
        ("http://wiki.example.com:80", "http://wiki.example.com"),
        ("http://wiki.example.com:443", "http://wiki.example.com:443"),
        ("HTTPS://wiki.example.com.", "https://wiki.example.com"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("http://[2001:DB8::1]:8080", "http://[2001:db8::1]:8080"),
        ("  http://127.0.0.1:3000 ", "http://127.0.0.1:3000"),
    ],
)
def test_hosts_are_stored_in_one_form(store: Store, written: str, stored: str) -> None:
    with store.write(ADMIN) as unit:
        made = create_proxy_provider(unit, {"name": "x", "external_host": written, "internal_host": written}, OWN)
    assert (made.external_host, made.internal_host) == (stored, stored)


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("", "missing"),
        ("wiki.example.com", "not_http"),
        ("javascript:alert(1)", "not_http"),
        ("ftp://wiki.example.com", "not_http"),
        ("https://wiki.example.com/path", "more_than_an_origin"),
        ("https://wiki.example.com/?a", "more_than_an_origin"),
        ("https://wiki.example.com?", "more_than_an_origin"),
        ("https://wiki.example.com/#a", "more_than_an_origin"),
        ("https://user@wiki.example.com", "userinfo_refused"),
        ("https://wiki.example.com\\@evil.example", "not_a_url"),
        ("https://wiki example.com", "not_a_url"),
        ("https://wiki.example.com:0", "not_a_port"),
        ("https://wiki.example.com:99999", "not_a_port"),
        ("https://wiki.example.com:", "not_a_port"),
        ("https://", "not_a_host"),
        ("https://-wiki.example.com", "not_a_host"),
        ("https://wiki..example.com", "not_a_host"),
        ("https://*.example.com", "not_a_host"),
        ("https://[::1", "not_a_url"),
        ("https://wiki[::1]", "not_a_url"),
        ("https://[::1]wiki:443", "not_a_url"),
        ("https://" + "a" * 64 + ".example.com", "not_a_host"),
        ("https://Garrison.Example.com:8443", "host_of_control"),
    ],
)
def test_hosts_that_are_refused(store: Store, written: str, code: str) -> None:
    assert refusals(store, external_host=written) == {"external_host": code}


def test_two_providers_do_not_share_a_host(store: Store) -> None:
    with store.write(ADMIN) as unit:
        create_proxy_provider(unit, {**WIKI, "client_id": "one"}, OWN)
    assert refusals(store, external_host="https://WIKI.example.com:443", client_id="one") == {
        "name": "already_taken",
        "external_host": "already_taken",
        "client_id": "already_taken",
    }


@pytest.mark.parametrize("domain", ["example.com", ".example.com", "EXAMPLE.com", "wiki.example.com"])
def test_cookie_domains_that_fit(store: Store, domain: str) -> None:
    with store.write(ADMIN) as unit:
        made = create_proxy_provider(unit, {**WIKI, "mode": "forward_domain", "cookie_domain": domain}, OWN)
    assert made.cookie_domain == domain.removeprefix(".").lower()


@pytest.mark.parametrize(
    ("domain", "code"),
    [
        ("", "missing"),
        ("com", "too_wide"),
        ("localhost", "too_wide"),
        ("ple.com", "not_above_external_host"),
        ("evilexample.com", "not_above_external_host"),
        ("a.wiki.example.com", "not_above_external_host"),
        ("127.0.0.1", "too_wide"),
        ("exa mple.com", "not_a_host"),
        ("*.example.com", "not_a_host"),
    ],
)
def test_cookie_domains_that_are_refused(store: Store, domain: str, code: str) -> None:
    assert refusals(store, mode="forward_domain", cookie_domain=domain) == {"cookie_domain": code}


def test_a_change_of_mode_leaves_no_cookie_domain_behind(store: Store) -> None:
    with store.write(ADMIN) as unit:
        made = create_proxy_provider(unit, {**WIKI, "mode": "forward_domain", "cookie_domain": "example.com"}, OWN)
        assert update_proxy_provider(unit, made, {"mode": "forward_single"}, OWN).cookie_domain == ""


def test_patterns_name_the_line(store: Store) -> None:
    with pytest.raises(Invalid) as caught, store.write(ADMIN) as unit:
        create_proxy_provider(unit, {**WIKI, "skip_path_regex": "^/ok$\r\n\r\n(open\n(?=lookahead)"}, OWN)
    found = [(problem.field, problem.code, problem.found) for problem in caught.value.problems]
    assert found == [
        ("skip_path_regex", "not_a_pattern", "line 3: (open"),
        ("skip_path_regex", "not_a_pattern", "line 4: (?=lookahead)"),
    ]
    assert "missing" in caught.value.problems[0].expected


def test_patterns_keep_their_lines(store: Store) -> None:
    with store.write(ADMIN) as unit:
        made = create_proxy_provider(unit, {**WIKI, "skip_path_regex": "^/a$\r\n^/b"}, OWN)
    assert made.skip_path_regex == "^/a$\n^/b"


def test_every_problem_is_told_at_once(store: Store) -> None:
    found = refusals(
        store,
        name="",
        mode="sideways",
        external_host="nowhere",
        internal_host_ssl_validation="yes",
        access_token_validity="a while",
        certificate="none such",
        colour="red",
    )
    assert found == {
        "name": "missing",
        "mode": "not_a_choice",
        "external_host": "not_http",
        "internal_host_ssl_validation": "not_a_boolean",
        "access_token_validity": "not_a_duration",
        "certificate": "not_found",
        "colour": "unknown_field",
    }


def test_a_validity_of_nothing_is_refused(store: Store) -> None:
    assert refusals(store, access_token_validity="hours=0") == {"access_token_validity": "too_short"}


def test_an_update_keeps_what_it_does_not_name(store: Store) -> None:
    with store.write(ADMIN) as unit:
        made = create_proxy_provider(unit, {**WIKI, "access_token_validity": "minutes=5"}, OWN)
        changed = update_proxy_provider(unit, made, {"name": "renamed"}, OWN)
    assert (changed.name, changed.access_token_validity, changed.id) == ("renamed", timedelta(minutes=5), made.id)


def test_an_update_that_is_refused_changes_nothing(store: Store) -> None:
    with store.write(ADMIN) as unit:
        made = create_proxy_provider(unit, WIKI, OWN)
    with pytest.raises(Invalid), store.write(ADMIN) as unit:
        update_proxy_provider(unit, made, {"name": "renamed", "external_host": "nowhere"}, OWN)
    with store.read() as unit:
        assert unit.proxy_providers.get(made.id) == made


def test_a_certificate_needs_its_key(store: Store) -> None:
    with store.write(ADMIN) as unit:
        whole = generate_certificate(unit, {"name": "web", "common_name": "wiki.example.com"})
        create_certificate(unit, {"name": "bare", "certificate": whole.chain})
        by_name = create_proxy_provider(unit, {**WIKI, "certificate": "web"}, OWN)
        assert by_name.certificate == whole.id
        assert update_proxy_provider(unit, by_name, {"certificate": None}, OWN).certificate is None
        assert update_proxy_provider(unit, by_name, {"certificate": whole.id}, OWN).certificate == whole.id
    assert refusals(store, name="b", external_host="https://b.example.com", certificate="bare") == {
        "certificate": "no_private_key"
    }


def test_one_in_use_stays(store: Store) -> None:
    with store.write(ADMIN) as unit:
        made = create_proxy_provider(unit, WIKI, OWN)
        create_application(unit, {"slug": "wiki", "name": "Wiki", "provider": "wiki"})
        with pytest.raises(InUse):
            remove_provider(unit, made)


@pytest.mark.parametrize("client_id", ["a b", "ä", "a/b", "x" * 81, ""])
def test_client_ids_that_are_refused(store: Store, client_id: Any) -> None:
    assert set(refusals(store, client_id=client_id)) == {"client_id"}
