"""What is a code and what is not: whatever people type, one of few shapes or nothing."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.auth.codes import (
    OneTimeCode,
    RecoveryText,
    grouped,
    new_app_password,
    new_recovery_code,
    read_app_password,
    read_code,
)

BASE32 = string.ascii_lowercase + "234567"
BETWEEN = st.text(" -\t\u00a0", max_size=2)


@given(st.text())
def test_reading_never_fails_and_gives_plain_text(text: str) -> None:
    match read_code(text):
        case OneTimeCode(digits):
            assert len(digits) == 6
            assert set(digits) <= set(string.digits)
        case RecoveryText(plain):
            assert len(plain) == 12
            assert set(plain) <= set(BASE32)
        case None:
            pass
    secret = read_app_password(text)
    assert secret is None or (len(secret) == 24 and set(secret) <= set(BASE32))


@given(st.text(string.digits, min_size=6, max_size=6), st.lists(BETWEEN, min_size=7, max_size=7))
def test_digits_are_a_code_however_they_are_spaced(digits: str, gaps: list[str]) -> None:
    spaced = gaps[0] + "".join(digit + gap for digit, gap in zip(digits, gaps[1:], strict=True))
    assert read_code(spaced) == OneTimeCode(digits)


@given(st.text(BASE32, min_size=12, max_size=12), BETWEEN)
def test_recovery_codes_are_read_in_capitals_and_groups(plain: str, between: str) -> None:
    assert read_code(grouped(plain, between or " ").upper()) == RecoveryText(plain)


@given(st.text(BASE32, min_size=24, max_size=24), BETWEEN)
def test_app_passwords_are_read_with_or_without_groups(plain: str, between: str) -> None:
    assert read_app_password(grouped(plain, between)) == plain


@pytest.mark.parametrize(
    "text",
    [
        "",
        "12345",
        "1234567",
        "12345a",
        "\u0661\u0662\u0663\u0664\u0665\u0666",
        "\uff11\uff12\uff13\uff14\uff15\uff16",
        "123456\n",
        "abcd-efgh-ijk",
        "abcd-efgh-ijk0",
        "abcd-efgh-ijkl-m",
        "123456" + " " * 200,
    ],
)
def test_what_has_no_shape_is_no_code(text: str) -> None:
    assert read_code(text) is None


def test_new_ones_are_read_as_what_they_are_and_differ() -> None:
    recovery, secrets = {new_recovery_code() for _ in range(50)}, {new_app_password() for _ in range(50)}
    assert len(recovery) == len(secrets) == 50
    assert all(isinstance(read_code(code), RecoveryText) and code.count("-") == 2 for code in recovery)
    assert all(read_app_password(secret) == secret for secret in secrets)


def test_no_code_shows_itself_in_a_log() -> None:
    assert "123456" not in repr(read_code("123456"))
    assert "abcd" not in repr(read_code("abcdabcdabcd"))
