"""The same bytes to us, to nginx, HAProxy and Caddy before the same application, and to the parsers of h11 and aiohttp.

We are there twice: in mode proxy and as a front door. What we forward, the strict ones (h11, HAProxy) take too and as
the same; what all others take we refuse with a reason alone. Both lists of exceptions say that reason, and an exception
that is none any more fails.
"""

import pytest
from hypothesis import HealthCheck, given, settings

from tests.dataplane.protocols.proxy.test_session_hostile import mutated
from tests.support.hostile_corpus import cases
from tests.support.hostile_parsers import Aiohttp, read_with_h11
from tests.support.hostile_recorder import Malformed, Recorded
from tests.support.hostile_subjects import LAST, Outcome, Row

pytestmark = pytest.mark.interop
CASES = cases()
OURS = ("ours", "front")
PROXIES = ("nginx", "haproxy", "caddy")

FORWARDED_ALL_THE_SAME = {
    "cl many zeros": "1*DIGIT (RFC 9110 8.6); h11 stops at 20 digits; what we forward has none of the zeros",
    "chunk many zeros": "1*HEXDIG (RFC 9112 7.1); h11 stops at 20 digits; what we forward has none of the zeros",
    "upgrade 1.0": "it means nothing in 1.0 (RFC 9110 7.8), so we pass it on without; HAProxy refuses it",
    "name long": "a token has no length (RFC 9110 5.6.2); HAProxy's has 255 bytes at most",
}
"""What a strict one refuses, with what makes it right."""

REFUSED_BY_US_ALONE = {
    "chunk extension empty": "an extension has a name (RFC 9112 7.1.1)",
    "chunk extension nul": "none of the letters that an extension may have (RFC 9112 7.1.1)",
    "chunk extension in quotes with crlf": "a quoted string has no CR (RFC 9110 5.6.4)",
    "chunk trailer framing": "no trailer frames a message (RFC 9110 6.5.1)",
    "name underscore managed": "applications read it as X-Forwarded-For (CVE-2025-64484)",
    "name dot managed": "applications read it as X-authentik-username (CVE-2026-88011)",
    "target absolute ftp": "neither http nor https (RFC 9112 3.2.2)",
    "host port words": "no port (RFC 3986 3.2.3)",
    "host port twice": "no host (RFC 3986 3.2.2)",
    "host percent": "a reg-name may be encoded, a name that a certificate or a cookie is for may not (RFC 9110 4.2.3)",
    "host ipv6 bad": "no closing bracket (RFC 3986 3.2.2)",
    "host hyphens": "no label begins with a hyphen (RFC 952)",
    "host long": "no name is longer than 255 bytes (RFC 1035 2.3.4)",
    "method unknown": "501 for what the parser does not know (RFC 9110 9.1); it knows those of WebDAV and all in use",
    "method track": "as unknown ones; it has no use but the attack that TRACE has",
    "method describe": "a method of RTSP, which llhttp refuses in HTTP",
    "version 1.2": "there is none; 505 (RFC 9110 15.6.6)",
    "version 1.9": "there is none; 505 (RFC 9110 15.6.6)",
    "upgrade with body": "the switch would come behind the body (RFC 9110 7.8), where the parser stops before it",
    "upgrade with chunks": "as with a length",
}
"""What all others take, with the reason why nobody suffers."""


def lenient(found: dict[str, Outcome], raw: bytes) -> list[str]:
    """The strict ones that refuse what we forward."""
    if not any(found[name].requests for name in OURS):
        return []
    requests, _ = read_with_h11(raw + LAST)
    silent = ["h11"] if not without_last(requests) else []
    return silent + (["haproxy"] if not found["haproxy"].requests else [])


def is_alone(found: dict[str, Outcome], raw: bytes, aiohttp: Aiohttp) -> bool:
    """Whether all others take what we refuse."""
    requests, _ = read_with_h11(raw + LAST)
    others = bool(without_last(requests)) and aiohttp.accepts(raw)
    return not all(found[name].requests for name in OURS) and others and all(found[name].forwarded for name in PROXIES)


def without_last(requests: list[Recorded]) -> list[Recorded]:
    return [request for request in requests if request.target != "/last"]


def in_origin_form(target: str) -> str:
    """A target as proxies send it on (RFC 9112 3.2.1)."""
    _, scheme, rest = target.partition("://")
    if target.startswith("/") or not scheme:
        return target
    _, slash, path = rest.partition("/")
    return slash + path or "/"


def check_alike(ours: Outcome, raw: bytes) -> None:
    """That we forwarded what h11 reads, well-formed, request by request, and answered each."""
    assert not [request for request in ours.requests if isinstance(request, Malformed)]
    requests, _ = read_with_h11(raw + LAST)
    theirs = [(each.method, in_origin_form(each.target), each.body) for each in requests]
    forwarded = [each.essence for each in ours.forwarded] + ([("GET", "/last", b"")] if ours.reached_last else [])
    assert forwarded == theirs[: len(forwarded)]
    assert len(ours.statuses) >= len(forwarded)
    for request in ours.forwarded:
        check_head(request)


def check_head(request: Recorded) -> None:
    """What an application gets whatever the client said: one Host, one framing, our word on where it comes from."""
    assert len(request.all("host")) == 1
    framing = request.all("content-length") + request.all("transfer-encoding")
    assert len(framing) == bool(request.body) or framing in (["0"], ["chunked"])
    assert len(request.all("connection")) <= 1
    assert request.all("upgrade") in ([], ["websocket"])
    assert request.all("x-forwarded-for") == ["127.0.0.1"]
    assert request.all("x-forwarded-proto") == ["http"]
    for name in ("te", "trailer", "keep-alive", "proxy-connection", "proxy-authorization", "x-trailer", "forwarded"):
        assert not request.all(name), name
    names = [name for name, _ in request.headers if name.startswith("x-authentik-")]
    assert len(set(names)) == len(names)
    assert request.all("x-authentik-username") in ([], ["alice"])
    assert "authentik_proxy" not in str(request.headers)


@pytest.mark.parametrize("name", CASES)
def test_case(row: Row, aiohttp: Aiohttp, name: str) -> None:
    raw = CASES[name]
    found = row.ask(raw)
    mine = [found[each] for each in OURS]
    assert bool(lenient(found, raw)) == (name in FORWARDED_ALL_THE_SAME), (lenient(found, raw), mine)
    assert is_alone(found, raw, aiohttp) == (name in REFUSED_BY_US_ALONE), mine
    if lenient(found, raw) in ([], ["haproxy"]):
        for each in mine:
            check_alike(each, raw)


@given(mutated())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_nothing_generated_reaches_the_application_otherwise_than_h11_reads_it(row: Row, raw: bytes) -> None:
    for outcome in row.ask_us(raw):
        check_alike(outcome, raw)


def test_the_one_of_us_says_who_it_is_and_the_other_does_not(row: Row) -> None:
    """Else the rest would prove less than it seems to."""
    found = row.ask(CASES["cl none"])
    assert [each.all("x-authentik-username") for each in found["ours"].forwarded] == [["alice"]]
    assert [each.all("x-authentik-username") for each in found["front"].forwarded] == [[]]
