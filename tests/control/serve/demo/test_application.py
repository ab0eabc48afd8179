"""The demo's page."""

import re

from control.serve.demo.application import page


def test_who_comes_first_and_the_token_last() -> None:
    names = [
        "X-authentik-jwt",
        "X-authentik-meta-app",
        "X-authentik-uid",
        "X-authentik-username",
        "X-authentik-x",
        "Date",
    ]
    text = page([(name, "v") for name in names], "/out").decode()
    assert re.findall("<th>(.+?)</th>", text) == [
        "X-authentik-username",
        "X-authentik-uid",
        "X-authentik-x",
        "X-authentik-meta-app",
        "X-authentik-jwt",
    ]


def test_values_are_no_markup() -> None:
    text = page([("X-authentik-name", "<script>alert(1)</script>")], '"><script>').decode()
    assert "<script>" not in text


def test_nobody_is_nobody() -> None:
    assert "Hello, nobody" in page([], "/out").decode()
