"""What is remembered of strangers' words takes a bounded room, however long they are."""

from collections.abc import Callable

import pytest

from dataplane.protocols.proxy import dialects, onward
from dataplane.protocols.proxy.dialects import nginx
from dataplane.protocols.proxy.messages import Request
from dataplane.protocols.proxy.onward import foreign_cookies, may_pass
from tests.dataplane.protocols.proxy.reading import read


def by_url(text: bytes) -> None:
    """A check about a URL."""
    (request,) = read(b"GET /c HTTP/1.1\r\nhost: a\r\nx-original-url: https://a/" + text + b"\r\n\r\n")
    assert isinstance(request, Request)
    assert nginx(request).target == b"/" + text


def by_name(text: bytes) -> None:
    """A header of that name."""
    assert may_pass(text)


def by_cookies(text: bytes) -> None:
    """A Cookie header with that."""
    assert foreign_cookies(b"a=" + text) == b"a=" + text


CACHES = [(by_url, dialects._split_again), (by_name, onward._passes_again), (by_cookies, onward._foreign_again)]


@pytest.mark.parametrize(("use", "cache"), CACHES)
def test_long_words_are_not_remembered(use: Callable[[bytes], None], cache: Callable[..., object]) -> None:
    size = cache.cache_info().currsize  # type: ignore[attr-defined]  # of functools.lru_cache
    use(b"x" * 5000)
    assert cache.cache_info().currsize == size  # type: ignore[attr-defined]  # of lru_cache
    use(b"remembered-%d" % id(use))
    assert cache.cache_info().currsize == min(size + 1, cache.cache_info().maxsize)  # type: ignore[attr-defined]  # of lru_cache
