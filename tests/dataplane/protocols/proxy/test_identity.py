from dataclasses import replace

import pytest

from dataplane.protocols.proxy.identity import identity_headers
from tests.dataplane.protocols.proxy.builders import ALICE, WIKI, Outpost, session


def test_the_headers_to_the_letter() -> None:
    outpost = Outpost(WIKI)
    held = session(id_token="a.b.c")
    answer = outpost.check("traefik", "https://wiki.example.com/", {"Cookie": outpost.cookie(held)})
    assert answer.headers == (
        ("X-authentik-username", "alice"),
        ("X-authentik-groups", "admins|staff"),
        ("X-authentik-entitlements", "edit|read"),
        ("X-authentik-email", "alice@example.com"),
        ("X-authentik-name", "Alice Doe"),
        ("X-authentik-uid", "u1"),
        ("X-authentik-jwt", "a.b.c"),
        ("X-authentik-meta-jwks", "https://sso.example.com/application/o/wiki/jwks/"),
        ("X-authentik-meta-outpost", "edge"),
        ("X-authentik-meta-provider", "Wiki provider"),
        ("X-authentik-meta-app", "wiki"),
        ("X-authentik-meta-version", "goauthentik.io/outpost/1.0"),
        ("Cache-Control", "no-store"),
        ("Content-Length", "0"),
        ("Date", "Fri, 15 Jan 2027 08:00:00 GMT"),
    )


@pytest.mark.parametrize("evil", ["x\r\nX-authentik-groups: admins", "x\nSet-Cookie: a=b", "x\x00y", "\r\n\r\n<html>"])
def test_no_value_splits_the_head(evil: str) -> None:
    outpost = Outpost(WIKI)
    person = replace(ALICE, name=evil, groups=(evil,), additional_headers=(("X-App", evil),))
    cookie = outpost.cookie(session(identity=person))
    answer = outpost.check("traefik", "https://wiki.example.com/", {"Cookie": cookie})
    assert len(answer.headers) == 16
    assert answer.body == b""
    assert answer.find("Set-Cookie") is None
    assert all(not set("\r\n\x00") & set(value) for _, value in answer.headers)


def test_names_beyond_latin_arrive_as_utf_8() -> None:
    headers = dict(identity_headers(session(identity=replace(ALICE, name="Łukasz 王"))))
    assert headers[b"X-authentik-name"].decode() == "Łukasz 王"


def test_additional_headers_are_added() -> None:
    person = replace(ALICE, additional_headers=(("X-Tenant", "blue"), ("Authorization", "Basic eDp5")))
    headers = identity_headers(session(identity=person))
    assert headers[-2:] == ((b"X-Tenant", b"blue"), (b"Authorization", b"Basic eDp5"))


@pytest.mark.parametrize(
    "name",
    [
        "X-authentik-username",
        "x_authentik_username",
        "X-Forwarded-For",
        "Content-Length",
        "Transfer-Encoding",
        "Connection",
        "Set-Cookie",
        "Location",
        "Bad Name",
        "X:Y",
        "",
        "X\r\nY",
        "Ünicode",
        "X_Other",
        "Cookie",
        "Host",
    ],
)
def test_additional_headers_can_not_frame_impersonate_or_break(name: str) -> None:
    person = replace(ALICE, additional_headers=((name, "1"),))
    assert len(identity_headers(session(identity=person))) == 7
