"""Bugs that others have had, each as the attack that found it. Named after them."""

from dataclasses import replace
from typing import Any

import pytest

from dataplane.gate import Identity
from dataplane.sansio.clients import DEFAULT_TRUSTED
from tests.dataplane.protocols.proxy.browser import Browser
from tests.dataplane.protocols.proxy.builders import DOMAIN, WIKI, Outpost, session

DIALECTS = ["traefik", "caddy", "nginx", "envoy"]
HOST = "https://wiki.example.com"
OPEN = replace(WIKI, skip_path_regex=("^/public",))
PEERS = ["127.0.0.1", "10.0.0.1", "203.0.113.7"]


def passes(answer: Any) -> bool:
    return bool(200 <= answer.status < 300)


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize(
    "header",
    [{"X-Forwarded-Uri": "/public"}, {"X-Original-URI": "/public"}, {"X-Original-URL": f"{HOST}/public"},
     {"X-Rewrite-URL": "/public"}, {"X-Forwarded-Prefix": "/public"}],
)  # fmt: skip
@pytest.mark.parametrize("dialect", DIALECTS)
def test_cve_2026_40575_forwarded_uri_chooses_skip_path(dialect: str, header: dict[str, str], peer: str) -> None:
    """A client's own header beside the dialect's: another dialect's is ignored, the same one doubled is refused."""
    outpost = Outpost(OPEN, peer=peer)
    if dialect in {"traefik", "caddy"} and "X-Forwarded-Uri" in header:
        raw = (
            f"GET /outpost.goauthentik.io/auth/{dialect} HTTP/1.1\r\nHost: o\r\nX-Forwarded-Uri: /public\r\n"
            "X-Forwarded-Proto: https\r\nX-Forwarded-Host: wiki.example.com\r\nX-Forwarded-Uri: /admin\r\n\r\n"
        )
        ((answer,), _) = outpost.exchange(raw.encode())
    elif dialect == "nginx" and "X-Original-URL" in header:
        raw = (
            "GET /outpost.goauthentik.io/auth/nginx HTTP/1.1\r\nHost: wiki.example.com\r\n"
            f"X-Original-URL: {HOST}/public\r\n"
            f"X-Original-URL: {HOST}/admin\r\n\r\n"
        )
        ((answer,), _) = outpost.exchange(raw.encode())
    else:
        answer = outpost.check(dialect, f"{HOST}/admin", header)
    assert not passes(answer)


@pytest.mark.parametrize("peer", ["203.0.113.7", "8.8.8.8", "2001:db8::1"])
def test_cve_2026_76835_default_trust_denies_spoofing(peer: str) -> None:
    """The default itself, not one that the test sets."""
    assert not any(cidr.endswith("/0") for cidr in DEFAULT_TRUSTED)
    outpost = Outpost(WIKI, peer=peer)
    spoof = {"Host": "x.test", "X-Forwarded-Host": "wiki.example.com", "X-Forwarded-Proto": "https"}
    assert outpost.ask("/outpost.goauthentik.io/start", headers=spoof).status == 404


@pytest.mark.parametrize("query", ["?x=/public", "?/public", "?x=%2Fpublic", "?x=y&^/public"])
@pytest.mark.parametrize(
    "provider", [replace(WIKI, skip_path_regex=("/public",)), replace(DOMAIN, skip_path_regex=("/public",))]
)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_cve_2025_54576_query_matches_skip_path(dialect: str, provider: Any, query: str) -> None:
    url = HOST if provider.id == "p1" else "https://git.corp.test"
    assert not passes(Outpost(provider).check(dialect, f"{url}/admin{query}"))


@pytest.mark.parametrize("tail", ["#/public", "%23/public", "%2523/public", "#?/public", "/%23/../public"])
@pytest.mark.parametrize("dialect", ["traefik", "caddy", "nginx"])
def test_ghsa_pxq7_h93f_9jrg_fragment_matches_skip_path(dialect: str, tail: str) -> None:
    outpost = Outpost(replace(WIKI, skip_path_regex=("/public",)))
    assert not passes(outpost.check(dialect, f"{HOST}/admin{tail}"))


AGENTS = [
    "GoogleHC/1.0",
    "kube-probe/1.29",
    "ELB-HealthChecker/2.0",
    "Prometheus/2.50",
    "",
    "curl/8",
    "Go-http-client/1.1",
    "Uptime-Kuma",
    "Consul Health Check",
    "goauthentik.io/outpost/healthcheck",
]


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_cve_2026_34457_health_check_user_agent_passes(dialect: str, agent: str) -> None:
    assert not passes(Outpost(WIKI).check(dialect, f"{HOST}/", {"User-Agent": agent}))


@pytest.mark.parametrize(
    "name", ["X_Authentik_Username", "X_authentik-username", "x-authentik_username", "X_Forwarded_User"]
)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_cve_2025_64484_underscore_alias_of_an_identity_header(dialect: str, name: str) -> None:
    outpost = Outpost(WIKI)
    answer = outpost.check(dialect, f"{HOST}/", {"Cookie": outpost.cookie(), name: "admin"})
    assert answer.status == 400
    assert name.lower() in answer.json["message"].lower()


@pytest.mark.parametrize(
    "name", ["X.Authentik.Username", "X.Forwarded.Host", "X~Forwarded~Uri", "X-Forwarded.Uri", "X|Real|IP"]
)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_cve_2026_88011_dot_and_other_aliases_of_a_managed_header(dialect: str, name: str) -> None:
    """The property over all spellings is in test_wire; here the whole way."""
    outpost = Outpost(WIKI)
    assert outpost.check(dialect, f"{HOST}/", {"Cookie": outpost.cookie(), name: "x"}).status == 400


@pytest.mark.parametrize("dialect", ["traefik", "caddy", "nginx"])
@pytest.mark.parametrize(
    "listed", ["X-Forwarded-Host", "X-Forwarded-Uri", "X-Original-URL", "Cookie", "Host", "X-authentik-username"]
)
def test_cve_2024_45410_connection_lists_a_managed_header(dialect: str, listed: str) -> None:
    """In a check it changes nothing; test_relay has the forwarding side."""
    outpost = Outpost(WIKI)
    listing = {"Connection": f"close, {listed}"}
    assert (
        outpost.check(dialect, f"{HOST}/", {"Cookie": outpost.cookie(), **listing})["X-authentik-username"] == "alice"
    )
    assert not passes(outpost.check(dialect, f"{HOST}/", listing))


@pytest.mark.parametrize(
    "path",
    [
        "/public/../admin",
        "/public/%2e%2e/admin",
        "/public//../admin",
        "/public/..;/admin",
        "/public/%2fadmin",
        "/public;/admin",
        "//public",
        "/public/..%5cadmin",
        "/./public",
        "/public/%2E%2E%2fadmin",
    ],
)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_cve_2026_48020_raw_and_normalised_path_differ(dialect: str, path: str) -> None:
    assert not passes(Outpost(OPEN).check(dialect, HOST + path))


def test_ghsa_c5c4_8r6x_56w3_many_ats_pass_a_domain_check() -> None:
    """We let nobody in by an address; the same trick on a host or a return URL."""
    outpost = Outpost(WIKI, DOMAIN)
    for host in ("a@evil@corp.test", "evil.test@corp.test", "corp.test@evil.test", "git.corp.test@evil.test"):
        assert outpost.check("traefik", f"https://{host}/").status == 400
        start = f"https://auth.corp.test/outpost.goauthentik.io/start?rd=https://{host}/"
        assert Browser(outpost).visit(start).status == 400


def test_ghsa_f24x_5g9q_753f_session_fixation() -> None:
    """A session planted before the sign-in is replaced by it, and was never more than its own."""
    outpost = Outpost(WIKI)
    mallory = Identity(
        subject="u9", username="mallory", name="", email="", groups=(), entitlements=(), additional_headers=()
    )
    planted = outpost.cookie(session(id="s9", identity=mallory))
    name, _, value = planted.partition("=")
    outpost.gate.redeemed = session()
    browser = Browser(outpost)
    back = browser.sign_in_at_control(browser.visit(f"{HOST}/outpost.goauthentik.io/start", Cookie=planted)["Location"])
    browser.visit(back)
    assert browser.jar[name].value != value
    assert browser.check("traefik", f"{HOST}/")["X-authentik-username"] == "alice"


MALFORMED = [
    "",
    "x",
    "%",
    "http://",
    "://",
    "/%zz",
    "\t",
    "/\x7f",
    "http://[::1",
    "https://wiki.example.com:port/",
    "//",
    "?",
    "https:///",
    "https://wiki.example.com\\admin",
    "/a b",
    "*",
]


@pytest.mark.parametrize("value", MALFORMED)
@pytest.mark.parametrize(
    ("dialect", "name"),
    [
        ("traefik", "X-Forwarded-Uri"),
        ("caddy", "X-Forwarded-Host"),
        ("traefik", "X-Forwarded-Proto"),
        ("nginx", "X-Original-URL"),
        ("nginx", "X-Original-URI"),
        ("caddy", "X-Forwarded-Method"),
    ],
)
def test_cve_2021_32637_malformed_uri_is_allowed(dialect: str, name: str, value: str) -> None:
    """Without a session nothing malformed may pass, whatever the skip paths."""
    outpost = Outpost(replace(WIKI, skip_path_regex=("^/public$",)))
    asked = {
        "X-Forwarded-Proto": "https", "X-Forwarded-Host": "wiki.example.com", "X-Forwarded-Uri": "/", name: value,
    }  # fmt: skip
    assert not passes(outpost.ask(f"/outpost.goauthentik.io/auth/{dialect}", headers=asked))


@pytest.mark.parametrize(
    "address", ["", "garbage", "999.1.1.1", "1.2.3.4.5", "::g", "127.0.0.1, <script>", "unknown", "' OR 1=1"]
)
@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("peer", PEERS)
def test_cve_2024_47070_bad_forwarded_for_skips_the_check(dialect: str, address: str, peer: str) -> None:
    outpost = Outpost(WIKI, peer=peer)
    assert not passes(outpost.check(dialect, f"{HOST}/", {"X-Forwarded-For": address}))
    tampered = outpost.cookie()[:-4] + "AAAA"
    assert not passes(outpost.check(dialect, f"{HOST}/", {"X-Forwarded-For": address, "Cookie": tampered}))


def test_cve_2022_23555_an_attempt_is_used_twice() -> None:
    """A callback replayed in another browser, and in the same one once it is signed out, redeems nothing."""
    outpost = Outpost(WIKI)
    outpost.gate.redeemed = session()
    browser = Browser(outpost)
    back = browser.sign_in_at_control(browser.visit(f"{HOST}/outpost.goauthentik.io/start")["Location"])
    Browser(outpost).visit(back)
    assert outpost.gate.redemptions == []
    browser.visit(back)
    browser.visit(f"{HOST}/outpost.goauthentik.io/sign_out")
    browser.visit(back)
    assert len(outpost.gate.redemptions) == 1


SMUGGLED = b"GET /outpost.goauthentik.io/ping HTTP/1.1\r\nHost: evil\r\n\r\n"
POST = b"POST /outpost.goauthentik.io/auth/envoy/ HTTP/1.1\r\nHost: wiki.example.com\r\n"


@pytest.mark.parametrize(
    "raw",
    [
        POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n" + SMUGGLED,
        POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + SMUGGLED,
        POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nZ\r\nQ" + SMUGGLED,
        POST + b"Transfer-Encoding: chunked\r\n\r\n1;a=\nb\r\nZ\r\n" + SMUGGLED,
        POST + b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n" + SMUGGLED,
        POST + b"Transfer-Encoding:\x0bchunked\r\nContent-Length: 0\r\n\r\n" + SMUGGLED,
        POST + b"Content-Length: 0\r\nContent-Length: 9\r\n\r\n" + SMUGGLED,
        POST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n" + SMUGGLED,
        POST + b"Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n" + SMUGGLED,
    ],
)
def test_cve_2023_41419_trailers_or_chunks_become_a_request(raw: bytes) -> None:
    answers, _connection = Outpost(WIKI).exchange(raw)
    assert not any(answer.status == 204 for answer in answers)


def test_cve_2025_58068_trailers_become_headers() -> None:
    outpost = Outpost(WIKI)
    raw = (
        POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nCookie: " + outpost.cookie().encode()
        + b"\r\n\r\nPOST /outpost.goauthentik.io/auth/envoy/ HTTP/1.1\r\nHost: wiki.example.com\r\n\r\n"
    )  # fmt: skip
    answers, _ = outpost.exchange(raw)
    assert [answer.status for answer in answers] == [401, 401]


@pytest.mark.parametrize(
    "value", ["", "x", "1.", "1.x", "1..", "2.x", "null", "1." + "A" * 4000, "1.AAAAAAAA.AAAA", '"', "1.\x80"]
)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_cve_2026_25748_malformed_cookie_bypasses_forward_auth(dialect: str, value: str) -> None:
    """authentik's own: Traefik and Caddy took an answer to a broken cookie for a yes."""
    answer = Outpost(WIKI).check(dialect, f"{HOST}/", {"Cookie": f"authentik_proxy_633601a8={value}"})
    assert answer.status in {302, 401}


def test_caddy_2_6_passes_placeholders_on_for_headers_that_an_open_path_lacks() -> None:
    answer = Outpost(OPEN).check("caddy", "https://wiki.example.com/public/page")
    assert answer.status == 200
    names = {name for name, _ in answer.headers}
    assert {"X-authentik-username", "X-authentik-groups", "X-authentik-jwt", "X-authentik-uid"} <= names
    assert {answer[name] for name in names if name.startswith("X-authentik-") and "meta" not in name} == {""}
