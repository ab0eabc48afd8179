from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dataplane.protocols.proxy.builders import DOMAIN, WIKI, Outpost

OUTPOST = Outpost(
    WIKI,
    DOMAIN,
    replace(DOMAIN, id="p3", external_host="https://auth.eu.corp.test", cookie_domain="eu.corp.test"),
    replace(WIKI, id="p4", external_host="http://own.corp.test"),
    replace(WIKI, id="p5", external_host="https://wiki.example.com:8443"),
)


def provider_of(host: str) -> str | None:
    found = OUTPOST.doors.routes.find(host)
    return found.provider.id if found else None


@pytest.mark.parametrize(
    ("host", "provider"),
    [
        ("wiki.example.com", "p1"),
        ("wiki.example.com:8443", "p5"),
        ("wiki.example.com:9443", None),
        ("x.wiki.example.com", None),
        ("auth.corp.test", "p2"),
        ("anything.corp.test", "p2"),
        ("anything.corp.test:8080", "p2"),
        ("a.b.corp.test", "p2"),
        ("corp.test", "p2"),
        ("a.eu.corp.test", "p3"),
        ("eu.corp.test", "p3"),
        ("own.corp.test", "p4"),
        ("evilcorp.test", None),
        ("corp.test.evil", None),
        ("test", None),
        ("", None),
        ("10.0.0.1", None),
        ("[::1]:9000", None),
    ],
)
def test_exact_first_then_the_longest_domain_at_a_dot(host: str, provider: str | None) -> None:
    assert provider_of(host) == provider


def test_the_only_application_is_no_fallback() -> None:
    assert Outpost(WIKI).doors.routes.find("other.example.com") is None


@given(st.text(max_size=30))
def test_no_host_breaks_it(host: str) -> None:
    found = OUTPOST.doors.routes.find(host)
    assert found is None or found.domain or found.origin.host == host


class TestReturnUrls:
    SINGLE = next(app for app in OUTPOST.doors.routes.applications if app.provider.id == "p1")
    WIDE = next(app for app in OUTPOST.doors.routes.applications if app.provider.id == "p2")

    @pytest.mark.parametrize(
        ("wanted", "allowed"),
        [
            ("/", "https://wiki.example.com/"),
            ("/a?b=c#d", "https://wiki.example.com/a?b=c#d"),
            ("https://wiki.example.com/a", "https://wiki.example.com/a"),
            ("https://wiki.example.com", "https://wiki.example.com"),
            ("HTTP://Wiki.Example.com/A", "https://wiki.example.com/A"),
            ("https://wiki.example.com:443/a", "https://wiki.example.com/a"),
            ("http://wiki.example.com/a?b", "https://wiki.example.com/a?b"),
            ("https://wiki.example.com//evil.test/", "https://wiki.example.com//evil.test/"),
        ],
    )
    def test_own_ones_are_allowed(self, wanted: str, allowed: str) -> None:
        assert self.SINGLE.find_return_url(wanted) == allowed

    @pytest.mark.parametrize(
        "wanted",
        [
            "https://evil.test/", "//evil.test/", "///evil.test", "/\\evil.test", "\\\\evil.test", "http:evil.test",
            "https://wiki.example.com.evil.test/", "https://wiki.example.com@evil.test/",
            "https://evil.test#wiki.example.com", "https://evil.test?https://wiki.example.com", "javascript:alert(1)",
            "data:text/html,x", "https:///evil.test", "https://wiki.example.com:8443/", "https://xwiki.example.com/",
            "https://wiki.example.com\r\nX: y", "https://wiki.example.com\t/", " https://wiki.example.com/", "wiki", "",
            "https://wiki.example.com\\@evil.test/", "https://[::1", "https://wiki.example.com:x/", "/\tevil",
            "https://wıki.example.com/", "HTTPS:evil.test", "//", "https://",
        ],
    )  # fmt: skip
    def test_open_redirects_are_not(self, wanted: str) -> None:
        assert self.SINGLE.find_return_url(wanted) is None

    @pytest.mark.parametrize("host", ["corp.test", "a.corp.test", "a.b.corp.test:8443", "auth.corp.test"])
    def test_a_domain_allows_its_hosts(self, host: str) -> None:
        assert self.WIDE.find_return_url(f"https://{host}/x") == f"https://{host}/x"

    @pytest.mark.parametrize("host", ["evilcorp.test", "corp.test.evil", "test", "a.corp.testx", "corp.test@evil"])
    def test_a_domain_ends_at_a_dot(self, host: str) -> None:
        assert self.WIDE.find_return_url(f"https://{host}/x") is None
