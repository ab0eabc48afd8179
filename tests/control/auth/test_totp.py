"""RFC 6238 by its own vectors, and the Key URI as apps read it."""

from base64 import b32decode
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.auth import totp

# RFC 6238 appendix B and RFC 4226 appendix D use this secret.
SECRET = b"12345678901234567890"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
HERE = totp.step_of(NOW)


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_rfc_6238_appendix_b(seconds: int, code: str) -> None:
    step = totp.step_of(datetime.fromtimestamp(seconds, UTC))
    assert totp.code_at(SECRET, step, digits=8) == code
    assert totp.code_at(SECRET, step) == code[-6:]


def test_rfc_4226_appendix_d() -> None:
    codes = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"]
    assert [totp.code_at(SECRET, counter) for counter in range(10)] == codes


@pytest.mark.parametrize(("away", "fits"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_one_step_either_way_is_near_enough(away: int, *, fits: bool) -> None:
    code = totp.code_at(SECRET, HERE + away)
    assert totp.find_step(SECRET, code, NOW) == (HERE + away if fits else None)


def test_what_was_used_and_what_is_older_fits_no_more() -> None:
    for used in (HERE - 1, HERE, HERE + 1):
        found = [totp.find_step(SECRET, totp.code_at(SECRET, HERE + away), NOW, after=used) for away in (-1, 0, 1)]
        assert found == [step if step > used else None for step in (HERE - 1, HERE, HERE + 1)]


@given(st.text(max_size=20))
def test_only_codes_fit(text: str) -> None:
    codes = {totp.code_at(SECRET, HERE + away) for away in (-1, 0, 1)}
    assert (totp.find_step(SECRET, text, NOW) is not None) == (text in codes)


def test_steps_change_with_the_half_minute() -> None:
    start = NOW - timedelta(microseconds=1)
    assert totp.step_of(start) == HERE - 1
    assert totp.step_of(NOW + timedelta(seconds=29, microseconds=999_999)) == HERE


def test_secrets_are_random_and_read_in_groups() -> None:
    first, second = totp.new_secret(), totp.new_secret()
    assert first != second
    assert len(first) == 20
    assert b32decode(totp.secret_text(first).replace(" ", "")) == first


def test_the_key_uri_is_as_the_format_has_it() -> None:
    assert totp.otpauth_uri("Garrison", "alice@example.com", SECRET) == (
        "otpauth://totp/Garrison:alice@example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
        "&issuer=Garrison&algorithm=SHA1&digits=6&period=30"
    )


NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=60)


@given(NAMES, NAMES, st.binary(min_size=20, max_size=20))
def test_any_name_comes_back_from_the_key_uri(issuer: str, account: str, secret: bytes) -> None:
    parts = urlsplit(totp.otpauth_uri(issuer, account, secret))
    values = {name: found[0] for name, found in parse_qs(parts.query, keep_blank_values=True).items()}
    label = [unquote(part) for part in parts.path.removeprefix("/").split(":")]
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    assert label == [issuer.replace(":", " "), account.replace(":", " ")]
    assert values["issuer"] == label[0]
    assert b32decode(values["secret"] + "=" * (-len(values["secret"]) % 8)) == secret
    assert "+" not in parts.query
