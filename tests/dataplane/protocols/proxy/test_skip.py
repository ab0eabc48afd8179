import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.config import ConfigRefused
from dataplane.protocols.proxy.skip import SkipPaths, find_plain_path

PUBLIC = SkipPaths(["^/public/", "^/health$"])


@pytest.mark.parametrize("path", [b"/public/", b"/public/a.css", b"/health", b"/public/caf%C3%A9", b"/public/a%20b"])
def test_opens(path: bytes) -> None:
    assert PUBLIC.match(path)


@pytest.mark.parametrize(
    "path",
    [
        b"/", b"/admin", b"/publicx", b"/health/",
        b"/public/../admin", b"/public/%2e%2e/admin", b"/public/%2E./admin", b"/public/.%2e/admin", b"/public/./a",
        b"/public//admin", b"//public/a", b"/public/..;/admin", b"/public/;/a", b"/public/a;x", b"/public/..%2fadmin",
        b"/public/%2fadmin", b"/public/%5c..%5cadmin", b"/public\\..\\admin", b"/public/%23", b"/public/a%3fb",
        b"/public/%252e%252e/admin", b"/public/%00", b"/public/%0d%0a", b"/public/%zz", b"/public/%", b"/public/%2",
        b"/public/%3b/", b"/public/\xff", b"/public/%ff", b"/public/%c0%ae%c0%ae/admin",
        b"/public/..%20/admin", b"/public/a.", b"/public/a%20/b", b"/public/.%20./a%20", b"/public/...",
        b"/public/%ef%bc%8e%ef%bc%8e/admin", b"/public/%e2%80%a5/admin", b"/public/a%ef%bc%8fb", b"/public/%ef%bc%bca",
        b"/%70ublic/..", b"/%70ublic/a", b"/public/%61", b"/public/%7Ea", b"public/",
    ],
)  # fmt: skip
def test_opens_nothing_that_might_be_read_otherwise(path: bytes) -> None:
    assert not PUBLIC.match(path)


def test_without_patterns_nothing_is_open() -> None:
    assert not SkipPaths([])
    assert not SkipPaths([]).match(b"/")


def test_patterns_are_unanchored() -> None:
    assert SkipPaths(["static"]).match(b"/a/static/b")


def test_a_domain_is_matched_with_scheme_and_host() -> None:
    skip = SkipPaths([r"^https://a\.corp\.test/open"])
    assert skip.match(b"/open", "https://a.corp.test")
    assert not skip.match(b"/open", "https://b.corp.test")
    assert not skip.match(b"/open")


@pytest.mark.parametrize("pattern", ["(", "(?=a)", r"(a)\1", "*"])
def test_what_re2_does_not_take_is_refused_by_name(pattern: str) -> None:
    with pytest.raises(ConfigRefused, match="skip_path_regex"):
        SkipPaths([pattern])


@given(st.binary(max_size=40))
def test_a_plain_path_has_no_trick_left(path: bytes) -> None:
    plain = find_plain_path(path)
    if plain is not None:
        assert plain.startswith("/")
        assert not set(plain) & set(";\\#?%\x00\r\n")
        assert not {"", ".", ".."} & set(plain.split("/")[1:-1])
