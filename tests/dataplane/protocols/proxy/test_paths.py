"""Paths that lead above where they are joined to, whoever reads them."""

import itertools
import posixpath
import re
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.protocols.proxy.paths import find_destination, may_climb

CLIMBING = [
    b"/..",
    b"/../",
    b"/../tenant2/x",
    b"/a/../../tenant2/x",
    b"/a/../b",
    b"/..?x=1",
    b"//../x",
    b"/./../x",
    b"/%2e%2e/x",
    b"/%2E./x",
    b"/.%2e",
    b"/..%2fx",
    b"/..%2Fx",
    b"/a%2f..%2f..%2fx",
    b"/..\\x",
    b"\\..\\x",
    b"/\\..\\x",
    b"/..%5cx",
    b"/%5c..%5cx",
    b"/a\\..",
    b"/..;/x",
    b"/..;a=b/x",
    b"/..;",
    b"/..%3b/x",
    b"/%252e%252e/x",
    b"/%25252e%25252e/x",
    b"/..%252fx",
    b"/..%255cx",
    b"/..%00/x",
    b"/..%23x",
    b"/..%3fx",
    b"/..%20/x",
    b"/.../x",
    b"/.%09./x",
    b"/.%0d%0a./x",
    b"/%ef%bc%8e%ef%bc%8e/x",  # fullwidth full stops
    b"/..%ef%bc%8fx",  # a fullwidth slash
    b"/%e2%80%a5/x",  # a two dot leader
    b"/\xef\xbc\x8e./x",
    b"/%c0%ae%c0%ae/x",  # a dot in two bytes
    b"/%c0%ae./x",
    b"/..%c0%afx",
    b"/..%c1%9cx",
    b"/%e0%80%ae./x",
    b"/%u002e%u002e/x",
    b"/..%u2215x",
    b"/%25c0%25ae./x",
    b"/%252525252525252e",  # who writes like this means no good
]

STAYING = [
    b"/",
    b"//",
    b"/x",
    b"/.",
    b"/./x",
    b"/..x",
    b"/x..",
    b"/a..b",
    b"/compare/v1...v2",
    b"/1..2/x",
    b"/.well-known/x",
    b"/?next=/../x",
    b"/x?..",
    b"/search/100%25",
    b"/a%20b",
    b"/%2fx",
    b"/a%2fb",
    b"/caf%c3%a9",
    b"/%ff",
    b"/a%2525",
    b"/%zz",
    b"/a;b=c/d",
]


@pytest.mark.parametrize("target", CLIMBING)
def test_what_leads_up_for_anybody_is_seen(target: bytes) -> None:
    assert may_climb(target)


@pytest.mark.parametrize("target", STAYING)
def test_anything_else_stays(target: bytes) -> None:
    assert not may_climb(target)


def readers(path: bytes) -> list[bytes]:
    """The path as different servers come to see it."""
    found = []
    for decodings, backslashes, parameters, merges in itertools.product(range(4), (0, 1), (0, 1), (0, 1)):
        seen = path
        for _ in range(decodings):
            seen = unquote_to_bytes(seen)
        seen = seen.partition(b"\0")[0]
        if backslashes:
            seen = seen.replace(b"\\", b"/")
        if parameters:
            seen = re.sub(rb";[^/]*", b"", seen)
        if merges:
            seen = re.sub(rb"/+", b"/", seen)
        found.append(posixpath.normpath(seen))
    return found


@given(
    st.lists(
        st.sampled_from(
            [b"/", b"/", b".", b"..", b"\\", b";", b"a", b"tenant2", b"%2e", b"%2f", b"%5c", b"%252e", b"%3b", b"%00"]
        ),
        max_size=9,
    )
)
def test_what_stays_stays_for_every_reader(pieces: list[bytes]) -> None:
    target = b"/" + b"".join(pieces)
    if not may_climb(target):
        for seen in readers(b"/tenant1" + target):
            assert seen == b"/tenant1" or seen.startswith((b"/tenant1/", b"/tenant1\\", b"/tenant1%", b"/tenant1;"))


@pytest.mark.parametrize(
    ("value", "joined"),
    [
        (b"/b", b"/base/b"),
        (b"/b%20c?x", b"/base/b%20c?x"),
        (b"https://wiki.example.com/b", b"https://wiki.example.com/base/b"),
        (b"HTTP://WIKI.example.com:443/", b"HTTP://WIKI.example.com:443/base/"),
        (b"https://other.example.com/b", None),
        (b"https://wiki.example.com.evil.test/b", None),
        (b"https://wiki.example.com@evil.test/b", None),
        (b"https://wiki.example.com", None),
        (b"https://wiki.example.com/../b", None),
        (b"/a/%2e%2e/%2e%2e/b", None),
        (b"//evil.test/b", b"/base//evil.test/b"),
        (b"https:/b", None),
        (b"https:///b", None),
        (b"wiki.example.com/b", None),
        (b"b", None),
        (b"/b#c", None),
        (b"file:///etc/passwd", None),
        (b"", None),
    ],
)
def test_destinations_stay_below_the_path(value: bytes, joined: bytes | None) -> None:
    assert find_destination(value, "wiki.example.com", b"/base", b"") == joined


def test_destinations_name_the_host_that_the_application_is_told() -> None:
    found = find_destination(b"https://wiki.example.com/b", "wiki.example.com", b"/base", b"inner:81")
    assert found == b"https://inner:81/base/b"
    assert find_destination(b"/b", "wiki.example.com", b"/base", b"inner:81") == b"/base/b"
