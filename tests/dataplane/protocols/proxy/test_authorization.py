"""The Authorization header to the letter: RFC 9110 section 11, RFC 7617, RFC 6750; one reading or none."""

import base64

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dataplane.gate import BasicCredentials, BearerToken, PasswordCredentials
from dataplane.protocols.proxy.authorization import Unusable, challenge, read_authorization, write_basic


def basic(text: str | bytes) -> bytes:
    raw = text.encode() if isinstance(text, str) else text
    return b"Basic " + base64.b64encode(raw)


def password(username: str, secret: str) -> PasswordCredentials:
    return PasswordCredentials(username=username, password=secret)


READ = [
    (b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", password("Aladdin", "open sesame")),  # RFC 7617 section 2
    (b"Basic dGVzdDoxMjPCow==", password("test", "123£")),  # RFC 7617 section 2.1
    (b"basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", password("Aladdin", "open sesame")),
    (b"BASIC   QWxhZGRpbjpvcGVuIHNlc2FtZQ==  ", password("Aladdin", "open sesame")),
    (basic("alice:with:colons:"), password("alice", "with:colons:")),
    (basic("alice:code;123456"), password("alice", "code;123456")),
    (basic(" alice : secret "), password(" alice ", " secret ")),
    (basic("ä:ö🔑"), password("ä", "ö🔑")),
    (basic("goauthentik.io/token:t0ken"), BearerToken("t0ken")),
    (basic("GOAUTHENTIK.IO/token:t0ken"), password("GOAUTHENTIK.IO/token", "t0ken")),
    (b"Bearer mF_9.B5f-4.1JqM", BearerToken("mF_9.B5f-4.1JqM")),  # RFC 6750 section 2.1
    (b"bearer a+b/c~d==", BearerToken("a+b/c~d==")),
]
UNUSABLE = [
    b"",
    b"Basic",
    b"Basic ",
    b"Basic\tQWxhZGRpbjpvcGVuIHNlc2FtZQ==",
    b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ",  # no padding
    b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZR==",  # bits that say nothing
    b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==, Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
    b"Basic QWxhZGRpbjpvcGVu IHNlc2FtZQ==",
    b"Basic realm=x",
    b"Basic YTpi YTpi",
    b"Basic _-_-",  # the other alphabet
    basic("no colon"),
    basic(":nobody"),
    basic("nothing:"),
    basic(":"),
    basic("a\0:b"),
    basic("a:b\r\nX-Admin: 1"),
    basic("a:b\x7f"),
    basic(b"caf\xe9:latin-1"),
    basic(b"a:\xed\xa0\x80"),  # a surrogate is no UTF-8
    basic(b"a:\xc0\x80"),  # nor is NUL in two bytes
    b"Digest username=alice",
    b"Negotiate YII=",
    b"Basicx QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
    b"QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
    b"\xff\xfe",
]


@pytest.mark.parametrize(("value", "expected"), READ)
def test_what_is_read(value: bytes, expected: PasswordCredentials | BearerToken) -> None:
    assert read_authorization(value) == expected


@pytest.mark.parametrize("value", UNUSABLE)
def test_what_has_no_reading_is_unusable(value: bytes) -> None:
    assert read_authorization(value) == Unusable()


@pytest.mark.parametrize(
    "value", [b"Bearer", b"Bearer ", b"Bearer a b", b"Bearer a,b", b"Bearer t\xc3\xb6", b"Bearer ="]
)
def test_what_was_meant_to_be_a_token(value: bytes) -> None:
    assert read_authorization(value) == Unusable(is_bearer=True)


PRINTED = st.text(st.characters(codec="utf-8", exclude_characters=[*map(chr, range(32)), "\x7f"]))


@given(username=PRINTED.filter(lambda each: each and ":" not in each), secret=PRINTED.filter(bool))
def test_what_is_written_is_read_as_it_was(username: str, secret: str) -> None:
    written = write_basic(BasicCredentials(username=username, password=secret))
    assert b"\r" not in written
    assert b"\n" not in written
    expected = BearerToken(secret) if username == "goauthentik.io/token" else password(username, secret)
    assert read_authorization(written) == expected


@given(st.binary(max_size=200))
@example(b"Basic " + b"=" * 10)
def test_any_value_is_read_or_unusable(value: bytes) -> None:
    read_authorization(value)
    for scheme in (b"Basic ", b"Bearer "):
        read_authorization(scheme + value)
        read_authorization(scheme + base64.b64encode(value))


BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=-_ \t,"


@given(
    secret=PRINTED.filter(bool), place=st.integers(0, 200), piece=st.sampled_from([bytes([each]) for each in BASE64])
)
def test_two_spellings_are_never_one_password(secret: str, place: int, piece: bytes) -> None:
    """What is kept is kept by what was read: nothing may be read from a header that isn't the one spelling of it."""
    token = base64.b64encode(f"alice:{secret}".encode())
    for changed in (token[:place] + piece + token[place:], token[:place] + piece + token[place + 1 :]):
        found = read_authorization(b"Basic " + changed)
        if isinstance(found, PasswordCredentials):
            written = write_basic(BasicCredentials(username=found.username, password=found.password))
            assert written == b"Basic " + changed.strip(b" \t")


def test_secrets_are_not_shown() -> None:
    for value, _ in READ:
        assert "sesame" not in repr(read_authorization(value))
        assert "t0ken" not in repr(read_authorization(value))


@pytest.mark.parametrize(
    ("realm", "shown"), [("Wiki", b"Wiki"), ('a"b\\c', b"a?b?c"), ("W\r\nX: y", b"W??X: y"), ("Käse", b"K?se")]
)
def test_the_challenge_names_the_realm_and_the_charset(realm: str, shown: bytes) -> None:
    """RFC 7617 section 2.1."""
    assert challenge(realm, is_bearer=False) == (
        (b"WWW-Authenticate", b'Basic realm="' + shown + b'", charset="UTF-8"'),
    )
    first, second = challenge(realm, is_bearer=True)
    assert first[1].startswith(b"Basic ")
    assert second == (b"WWW-Authenticate", b'Bearer realm="' + shown + b'", error="invalid_token"')
