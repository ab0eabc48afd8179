import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.protocols.proxy.identity import is_settable_header
from dataplane.protocols.proxy.wire import encode_head, find_canonical_name, is_managed, parse_host, safe_value
from dataplane.sansio import PeerError

MANAGED = [
    "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Uri", "X-Forwarded-Method",
    "X-Forwarded-Prefix", "X-Original-URL", "X-Original-URI", "X-Real-IP", "X-Request-Id", "Forwarded",
    "X-authentik-username", "X-authentik-groups", "X-authentik-entitlements", "X-authentik-email", "X-authentik-name",
    "X-authentik-uid", "X-authentik-jwt", "X-authentik-meta-jwks", "X-authentik-meta-app", "Cookie", "Authorization",
    "Host",
]  # fmt: skip


def folded(name: str) -> str:
    return re.sub("[^A-Za-z0-9]", "_", name).upper()


@given(st.sampled_from(MANAGED), st.data())
def test_every_spelling_that_folds_to_a_managed_name_is_refused(name: str, data: st.DataObject) -> None:
    """CVE-2025-64484, CVE-2026-54763 and its incomplete fix CVE-2026-88011: `_`, then `.`, then whatever else."""
    separators = st.sampled_from("-_.!#$%&'*+^`|~")
    spelling = "".join(data.draw(separators) if letter == "-" else letter for letter in name)
    spelling = "".join(letter.swapcase() if data.draw(st.booleans()) else letter for letter in spelling)
    assert folded(spelling) == folded(name)
    if set(spelling) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"):
        assert is_managed(spelling.encode())
    else:
        with pytest.raises(PeerError):
            find_canonical_name(spelling.encode())
    assert not is_settable_header(spelling) or folded(name) == "AUTHORIZATION"


@given(st.from_regex(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,40}", fullmatch=True))
def test_names_outside_letters_digits_and_hyphen_never_arrive(name: str) -> None:
    try:
        canonical = find_canonical_name(name.encode())
    except PeerError:
        assert is_managed(name.encode())
        return
    assert (canonical is None) == (re.fullmatch("[A-Za-z0-9-]+", name) is None)


@pytest.mark.parametrize(
    ("value", "host"),
    [
        (b"App.Example.COM", "app.example.com"),
        (b"app.example.com.", "app.example.com"),
        (b"app.example.com:443", "app.example.com"),
        (b"app.example.com:", "app.example.com"),  # RFC 3986 3.2.3
        (b"app.example.com:80", "app.example.com"),
        (b"app.example.com:8443", "app.example.com:8443"),
        (b"[::1]:9000", "[::1]:9000"),
        (b"localhost:9000", "localhost:9000"),
        (b"a_b.example.com", "a_b.example.com"),
    ],
)
def test_hosts_have_one_form(value: bytes, host: str) -> None:
    assert parse_host(value) == host


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"a b",
        b"a,b",
        b"a@b",
        b"a/b",
        b"a:b",
        b"a:123456",
        b".a",
        b"a..",
        b"-a",
        b"[::1",
        b"a\x00",
        b"\xffa",
        b"a" * 300,
    ],
)
def test_no_hosts(value: bytes) -> None:
    with pytest.raises(PeerError):
        parse_host(value)


@given(st.binary(max_size=40))
def test_a_host_parses_or_is_the_peers_fault(value: bytes) -> None:
    try:
        host = parse_host(value)
    except PeerError:
        return
    assert parse_host(host.encode()) == host


@given(st.text())
def test_values_can_split_nothing(text: str) -> None:
    value = safe_value(text)
    assert not re.search(rb"[\x00-\x1f\x7f]", value)
    assert encode_head(200, ((b"X", value),)).count(b"\r\n") == 3


def test_values_are_utf_8() -> None:
    assert safe_value("Zoë 王") == "Zoë 王".encode()
