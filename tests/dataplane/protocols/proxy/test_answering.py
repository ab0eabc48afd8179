"""What a client gets of an application's headers."""

import pytest

from dataplane.protocols.proxy.answering import SECURITY, Answering
from dataplane.protocols.proxy.messages import Body, Headers, UpstreamHead, lower_names

SWITCHING = 101
OUTER = "https://wiki.example.com"
INNER = frozenset({"http://10.0.0.5:3000", "https://inner.test", "https://inner.test:443"})


def answered(*headers: tuple[bytes, bytes], path: str = "", security: Headers = (), status: int = 200) -> Headers:
    head = UpstreamHead(status, headers, Body.NONE, None, keep_alive=True, names=lower_names(headers))
    told = Answering(INNER, path, OUTER, security).headers(head, lambda: b"now")
    return told if status == SWITCHING else tuple(header for header in told if header != (b"Date", b"now"))


def location(value: bytes, path: str = "") -> bytes:
    ((_, told),) = answered((b"Location", value), path=path)
    return told


def test_everything_else_passes_as_it_is() -> None:
    headers = (
        (b"Content-Type", b"text/html"),
        (b"set-cookie", b"a=b"),
        (b"Set-Cookie", b"c=d"),
        (b"X-Frame-Options", b"x"),
    )
    assert answered(*headers) == headers


@pytest.mark.parametrize(
    "cookie",
    [
        b"authentik_proxy_12345678=x", b"authentik_proxy_12345678=; Max-Age=0; Path=/", b"AUTHENTIK_PROXY_1=x",
        b" authentik_proxy_1=x", b'"authentik_proxy_1"=x', b"\tauthentik_proxy_1_a_x=1",
        b"=authentik_proxy_1=x", b" = authentik_proxy_1",
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", [b"Set-Cookie", b"set-cookie", b"SET-COOKIE"])
def test_no_application_sets_our_cookies(name: bytes, cookie: bytes) -> None:
    assert answered((name, cookie), (b"Set-Cookie", b"mine=1")) == ((b"Set-Cookie", b"mine=1"),)


@pytest.mark.parametrize(
    ("inside", "outside"),
    [
        (b"http://10.0.0.5:3000/a?b=c#d", b"https://wiki.example.com/a?b=c#d"),
        (b"http://10.0.0.5:3000", b"https://wiki.example.com/"),
        (b"http://10.0.0.5:3000?x", b"https://wiki.example.com/?x"),
        (b"HTTPS://Inner.Test/A", b"https://wiki.example.com/A"),
        (b"https://inner.test:443/a", b"https://wiki.example.com/a"),
    ],
)  # fmt: skip
def test_redirects_within_lead_outside(inside: bytes, outside: bytes) -> None:
    assert location(inside) == outside
    assert answered((b"content-location", inside)) == ((b"content-location", outside),)


@pytest.mark.parametrize(
    "value",
    [
        b"/a", b"a/b", b"?x", b"", b"//inner.test/a", b"https://elsewhere.test/a", b"http://10.0.0.5:30001/a",
        b"http://10.0.0.5/a", b"http://inner.test/a", b"https://inner.test@evil.test/", b"https://inner.test.evil.test/",
        b"https://wiki.example.com/a", b"javascript:x", b"\xff\xfe",
    ],
)  # fmt: skip
def test_what_is_not_the_applications_own_stays(value: bytes) -> None:
    assert location(value) == value


@pytest.mark.parametrize(
    ("inside", "outside"),
    [
        (b"http://10.0.0.5:3000/app/a", b"https://wiki.example.com/a"),
        (b"http://10.0.0.5:3000/app", b"https://wiki.example.com/"),
        (b"http://10.0.0.5:3000/app?x", b"https://wiki.example.com/?x"),
        (b"http://10.0.0.5:3000/apple", b"https://wiki.example.com/apple"),
        (b"/app/a", b"https://wiki.example.com/a"), (b"/app", b"https://wiki.example.com/"),
        (b"/apple", b"/apple"), (b"/a", b"/a"), (b"//app/a", b"//app/a"),
        # Nothing that is left over names another host.
        (b"/app//evil.test/x", b"https://wiki.example.com//evil.test/x"),
        (b"/app/\\evil.test", b"https://wiki.example.com/\\evil.test"),
        (b"/app/\t/evil.test", b"https://wiki.example.com/\t/evil.test"),
    ],
)  # fmt: skip
def test_the_path_of_the_address_goes(inside: bytes, outside: bytes) -> None:
    assert location(inside, path="/app") == outside


@pytest.mark.parametrize(
    ("inside", "outside"),
    [
        (b"a=b; Path=/app; HttpOnly", b"a=b; Path=/; HttpOnly"), (b"a=b; path=/app/x", b"a=b; path=/x"),
        (b"a=b;PATH = /app/", b"a=b;PATH = /"), (b"a=/app; Path=/apple", b"a=/app; Path=/apple"),
        (b"a=b; Path=/", b"a=b; Path=/"), (b"Path=/app", b"Path=/app"), (b"a=b", b"a=b"),
    ],
)  # fmt: skip
def test_so_it_goes_from_cookies(inside: bytes, outside: bytes) -> None:
    assert answered((b"Set-Cookie", inside), path="/app") == ((b"Set-Cookie", outside),)
    assert answered((b"Set-Cookie", inside)) == ((b"Set-Cookie", inside),)


class TestSecurityHeaders:
    def test_are_added_where_they_are_missing(self) -> None:
        told = answered((b"x-frame-options", b"DENY"), security=SECURITY)
        assert [name for name, _ in told] == [b"x-frame-options", b"X-Content-Type-Options", b"Referrer-Policy"]

    def test_are_not_touched_unless_asked(self) -> None:
        assert answered((b"A", b"b")) == ((b"A", b"b"),)

    def test_a_policy_of_the_application_says_who_may_frame_it(self) -> None:
        told = answered((b"Content-Security-Policy", b"frame-ancestors https://a.test"), security=SECURITY)
        assert b"X-Frame-Options" not in dict(told)

    def test_a_websocket_is_no_page(self) -> None:
        assert answered(security=SECURITY, status=SWITCHING) == ()


@pytest.mark.parametrize(
    ("sent", "told"), [((b"date", b"then"), (b"date", b"then")), ((b"A", b"b"), (b"Date", b"now"))]
)
def test_every_answer_has_a_date(sent: tuple[bytes, bytes], told: tuple[bytes, bytes]) -> None:
    head = UpstreamHead(200, (sent,), Body.NONE, None, keep_alive=True, names=lower_names((sent,)))
    assert Answering(INNER, "", OUTER, ()).headers(head, lambda: b"now")[-1] == told
