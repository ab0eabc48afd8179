"""How mode proxy reaches an application: which addresses there are and which are refused, and what goes with them."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.domain.addresses import parse_address
from control.domain.errors import Invalid
from control.domain.origins import NotAnOrigin
from control.fleet.certificates import create_certificate, generate_certificate
from control.fleet.proxy_providers import create_proxy_provider, update_proxy_provider
from control.fleet.upstreams import addresses_of
from control.store import Store
from tests.support.stores import ADMIN

OWN = "https://garrison.example.com"
WIKI: dict[str, object] = {"name": "wiki", "mode": "proxy", "external_host": "https://wiki.example.com"}
AT = {"internal_host": "http://127.0.0.1:3000"}


def refusals(store: Store, own: str = OWN, /, **fields: object) -> list[tuple[str, str, str]]:
    """Field, code and what was found of what is wrong with a provider of these fields."""
    with pytest.raises(Invalid) as caught, store.write(ADMIN) as unit:
        create_proxy_provider(unit, {**WIKI, **fields}, own)
    return [(problem.field, problem.code, problem.found) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("written", "address"),
    [
        ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
        ("HTTP://App.Internal:80/", "http://app.internal"),
        ("https://app.internal:443/Base/Path/", "https://app.internal/Base/Path"),
        ("https://app.internal/a%20b;v=1/@~", "https://app.internal/a%20b;v=1/@~"),
        ("http://[2001:DB8::1]:8080/x", "http://[2001:db8::1]:8080/x"),
        ("http://bücher.example", "http://xn--bcher-kva.example"),
        ("http://app_1:3000", "http://app_1:3000"),
        ("unix:///run/app.sock", "unix:///run/app.sock"),
        ("UNIX:////run//app/../app.sock", "unix:///run/app.sock"),
    ],
)
def test_addresses_have_one_form(written: str, address: str) -> None:
    assert str(parse_address(written)) == address
    assert str(parse_address(address)) == address


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("app.internal:3000", "not_http"),
        ("ftp://app.internal", "not_http"),
        ("http://", "not_a_host"),
        ("http://app..internal", "not_a_host"),
        ("http://app..", "not_a_host"),
        ("http://[v1.a]", "not_a_host"),
        ("http://127.1", "not_a_host"),
        ("http://2130706433", "not_a_host"),
        ("http://app.0x7f", "not_a_host"),
        ("http://[fe80::1%25eth0]", "not_a_host"),
        ("http://[fe80::1%eth0]", "not_a_host"),
        ("http://app.internal:0", "not_a_port"),
        ("http://app.internal:", "not_a_port"),
        ("http://app.internal:70000", "not_a_port"),
        ("http://user:pass@app.internal", "userinfo_refused"),
        ("http://app.internal/?a=b", "query_refused"),
        ("http://app.internal?", "query_refused"),
        ("http://app.internal/#a", "query_refused"),
        ("http://app.internal#", "query_refused"),
        ("http://app.internal/a/../b", "not_a_path"),
        ("http://app.internal/a/./b", "not_a_path"),
        ("http://app.internal/%2e%2E/b", "not_a_path"),
        ("http://app.internal/a%2fb", "not_a_path"),
        ("http://app.internal/a%5Cb", "not_a_path"),
        ("http://app.internal/a%00b", "not_a_path"),
        ("http://app.internal//a", "not_a_path"),
        ("http://app.internal/a//", "not_a_path"),
        ("http://app.internal/a%", "not_a_path"),
        ("http://app.internal/a%zz", "not_a_path"),
        ("http://app.internal/bücher", "not_a_path"),
        ('http://app.internal/"', "not_a_path"),
        ("http://app.internal\\a", "not_a_url"),
        ("http://[::1", "not_a_url"),
        ("unix://run/app.sock", "not_a_socket_path"),
        ("unix:/run/app.sock", "not_a_socket_path"),
        ("unix:///", "not_a_socket_path"),
        ("unix:///run/", "not_a_socket_path"),
        ("unix:///run/app%2esock", "not_a_socket_path"),
        ("unix:///run/app.sock?x", "not_a_socket_path"),
        ("unix:///run/..", "not_a_socket_path"),
        ("unix:///" + "a" * 107, "not_a_socket_path"),
    ],
)
def test_addresses_that_are_refused(store: Store, written: str, code: str) -> None:
    assert refusals(store, internal_host=written)[0][:2] == ("internal_host", code)


@given(st.text(st.sampled_from("htps:/unix.a%25e0@[]?#\\;, \t\u00fc"), max_size=40))
def test_whatever_is_written_is_an_address_or_refused(written: str) -> None:
    """An address is printable and reads as itself, so that nothing breaks out of where it stands."""
    for prefix in ("", "http://a", "https://a/", "unix:///a"):
        try:
            address = str(parse_address(prefix + written))
        except NotAnOrigin:
            continue
        assert address.isascii()
        assert not set(address) & set(" \t?#\\")
        assert str(parse_address(address)) == address


@pytest.mark.parametrize(
    "written",
    [
        "http://a:1 http://b:2 unix:///c",
        "http://a:1,http://b:2,,\tunix:///c,",
        "\r\n http://a:1\r\nhttp://b:2/\nunix:///c\r\n",
        ["http://a:1", "http://b:2", "unix:///c"],
    ],
)
def test_several_are_told_apart(store: Store, written: str | list[str]) -> None:
    with store.write(ADMIN) as unit:
        made = create_proxy_provider(unit, {**WIKI, "internal_host": written}, OWN)
    assert addresses_of(made) == ("http://a:1", "http://b:2", "unix:///c")
    assert made.internal_host == "http://a:1\nhttp://b:2\nunix:///c"


def test_each_is_told_by_itself(store: Store) -> None:
    assert refusals(store, internal_host="http://a http://A:80/ ftp://b http://c/..") == [
        ("internal_host", "said_twice", "http://A:80/"),
        ("internal_host", "not_http", "ftp://b"),
        ("internal_host", "not_a_path", "http://c/.."),
    ]
    (differing,) = refusals(store, internal_host="http://a/x unix:///run/x")
    assert differing == ("internal_host", "paths_differ", "http://a/x unix:///run/x")
    many = " ".join(f"http://a:{port}" for port in range(1, 18))
    assert refusals(store, internal_host=many) == [("internal_host", "too_many", "17 addresses")]
    assert refusals(store, internal_host=[7])[0][:2] == ("internal_host", "not_text")
    assert refusals(store, internal_host=["http://" + "a." * 1100 + "b"])[0][:2] == ("internal_host", "not_a_host")


def test_mode_proxy_needs_one_and_the_others_dont(store: Store) -> None:
    assert refusals(store) == [("internal_host", "missing", "")]
    assert refusals(store, internal_host=" , ") == [("internal_host", "missing", "")]
    with store.write(ADMIN) as unit:
        made = create_proxy_provider(unit, {**WIKI, "mode": "forward_single"}, OWN)
        assert made.internal_host == ""
    with pytest.raises(Invalid), store.write(ADMIN) as unit:
        update_proxy_provider(unit, made, {"mode": "proxy"}, OWN)
    with store.write(ADMIN) as unit:
        proxied = update_proxy_provider(unit, made, {"mode": "proxy", **AT}, OWN)
        back = update_proxy_provider(unit, proxied, {"mode": "forward_single"}, OWN)
    assert back.internal_host == "http://127.0.0.1:3000"


@pytest.mark.parametrize(
    ("own", "written", "code"),
    [
        (OWN, "https://garrison.example.com", "leads_to_control"),
        (OWN, "https://Garrison.example.com:443/x", "leads_to_control"),
        (OWN, "http://garrison.example.com:443", "leads_to_control"),
        ("http://10.0.0.1:9000", "http://10.0.0.1:9000", "leads_to_control"),
        (OWN, "https://wiki.example.com/base", "leads_back"),
        (OWN, "http://a https://wiki.example.com", "leads_back"),
    ],
)
def test_none_leads_to_where_requests_come_from(store: Store, own: str, written: str, code: str) -> None:
    found = refusals(store, own, internal_host=written)
    assert [each[:2] for each in found] == [("internal_host", code)]


def test_another_port_of_the_same_machine_is_another_place(store: Store) -> None:
    fields = {**WIKI, "internal_host": "http://garrison.example.com:3000 http://wiki.example.com:8080"}
    with store.write(ADMIN) as unit:
        assert len(addresses_of(create_proxy_provider(unit, fields, OWN))) == 2
        other = {**fields, "name": "b", "mode": "forward_single", "external_host": "https://b.example.com"}
        asked = create_proxy_provider(unit, {**other, "internal_host": "https://b.example.com"}, OWN)
    assert addresses_of(asked) == ("https://b.example.com",)


def test_what_goes_with_it(store: Store) -> None:
    with store.write(ADMIN) as unit:
        plain = create_proxy_provider(unit, {**WIKI, **AT}, OWN)
        assert (plain.internal_host_connect_timeout, plain.internal_host_response_timeout) == (
            timedelta(seconds=5),
            timedelta(minutes=10),
        )
        assert (plain.internal_host_idle_timeout, plain.internal_host_connections) == (timedelta(hours=1), 1024)
        assert (plain.security_headers, plain.internal_host_ssl_validation) == (False, True)
        fields = {
            "internal_host_header": "App.Internal:8080",
            "internal_host_server_name": "APP.internal",
            "internal_host_connect_timeout": "milliseconds=500",
            "internal_host_response_timeout": "hours=24",
            "internal_host_idle_timeout": "days=7",
            "internal_host_connections": "16",
            "security_headers": True,
        }
        changed = update_proxy_provider(unit, plain, fields, OWN)
        assert unit.proxy_providers.get(plain.id) == changed
        assert update_proxy_provider(unit, changed, {"name": "renamed"}, OWN).internal_host_connections == 16
    assert (changed.internal_host_header, changed.internal_host_server_name) == ("app.internal:8080", "app.internal")
    assert changed.internal_host_connect_timeout == timedelta(milliseconds=500)


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("internal_host_header", "app internal", "not_a_host"),
        ("internal_host_header", "app.internal/x", "not_a_host"),
        ("internal_host_header", "[fe80::1%25eth0]", "not_a_host"),
        ("internal_host_header", "user@app.internal", "not_a_host"),
        ("internal_host_header", "app\r\nX-A: b", "not_a_host"),
        ("internal_host_server_name", "app.internal:443", "not_a_host"),
        ("internal_host_authorities", "none such", "not_found"),
        ("internal_host_connect_timeout", "seconds=0", "not_in_range"),
        ("internal_host_connect_timeout", "minutes=11", "not_in_range"),
        ("internal_host_connect_timeout", "soon", "not_a_duration"),
        ("internal_host_response_timeout", "days=2", "not_in_range"),
        ("internal_host_idle_timeout", "days=8", "not_in_range"),
        ("internal_host_connections", 0, "not_a_number"),
        ("internal_host_connections", 10_001, "not_a_number"),
        ("security_headers", "yes", "not_a_boolean"),
    ],
)
def test_what_is_refused_of_it(store: Store, field: str, value: object, code: str) -> None:
    assert [each[:2] for each in refusals(store, **AT, **{field: value})] == [(field, code)]


def test_certificates_for_the_way_there(store: Store) -> None:
    with store.write(ADMIN) as unit:
        whole = generate_certificate(unit, {"name": "web", "common_name": "wiki.example.com"})
        bare = create_certificate(unit, {"name": "bare", "certificate": whole.chain})
        named = {"internal_host_authorities": "bare", "internal_host_certificate": "web"}
        made = create_proxy_provider(unit, {**WIKI, **AT, **named}, OWN)
    assert (made.internal_host_authorities, made.internal_host_certificate) == (bare.id, whole.id)
    at = "https://b.example.com"
    assert refusals(store, name="b", external_host=at, internal_host_certificate="bare", **AT) == [
        ("internal_host_certificate", "no_private_key", "bare")
    ]
