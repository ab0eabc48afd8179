"""What others typed, made fit to be shown."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.domain.text import printable, resource_name


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("alice", "alice"),
        ("a\nb", "a\ufffdb"),
        ("\x1b[31mred", "\ufffd[31mred"),
        ("\u202eevil", "\ufffdevil"),
        ("", ""),
    ],
)
def test_what_could_hide_or_break_out_is_seen(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text())
def test_any_text_is_as_long_and_printable(text: str) -> None:
    assert printable(text).isprintable()
    assert len(printable(text)) == len(text)


@given(st.text())
def test_names_of_resources_are_labels(text: str) -> None:
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", resource_name(text, "fallback"))
