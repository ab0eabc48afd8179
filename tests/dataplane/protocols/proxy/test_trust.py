import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.protocols.proxy.messages import Body, Request
from dataplane.protocols.proxy.trust import Seen, Trust
from dataplane.sansio import PeerError
from dataplane.sansio.clients import DEFAULT_TRUSTED


def request(*headers: tuple[bytes, bytes]) -> Request:
    names = [name for name, _ in headers]
    repeated = frozenset(name for name in names if names.count(name) > 1)
    return Request(b"GET", b"/", "own.test", headers, dict(headers), repeated, b"1.1", True, Body.NONE, False)


FORWARDED = request(
    (b"x-forwarded-for", b"203.0.113.9, 10.1.1.1"), (b"x-forwarded-host", b"App.test"), (b"x-forwarded-proto", b"https")
)


@pytest.mark.parametrize("peer", ["127.0.0.1", "10.2.3.4", "172.31.0.1", "192.168.1.1", "::1", "fe80::1%eth0", "unix"])
def test_neighbours_are_trusted_by_default(peer: str) -> None:
    seen = Seen("app.test", "https", "203.0.113.9", "", ("10.1.1.1",))
    assert Trust(DEFAULT_TRUSTED).see(FORWARDED, peer, secure=False) == seen


@pytest.mark.parametrize("peer", ["203.0.113.7", "172.32.0.1", "2001:db8::1", "11.0.0.1", "garbage", ""])
def test_strangers_are_not(peer: str) -> None:
    assert Trust(DEFAULT_TRUSTED).see(FORWARDED, peer, secure=True) == Seen("own.test", "https", peer, peer)


def test_nobody_is_named_where_nothing_was_ignored() -> None:
    assert Trust(DEFAULT_TRUSTED).see(request(), "203.0.113.7", secure=False).distrusted == ""


@pytest.mark.parametrize(
    ("chain", "client"),
    [
        (b"198.51.100.1", "198.51.100.1"),
        (b"6.6.6.6, 198.51.100.1", "198.51.100.1"),
        (b"6.6.6.6, 198.51.100.1, 10.0.0.1", "198.51.100.1"),
        (b"2001:db8::5", "2001:db8::5"),
        (b"[2001:db8::5]", "2001:db8::5"),
        (b"::ffff:198.51.100.1", "198.51.100.1"),
        (b"198.51.100.1, ::ffff:10.0.0.1, ::ffff:127.0.0.1", "198.51.100.1"),
        (b"fe80::2%eth0", "fe80::2"),
        (b"198.51.100.1:4711", "198.51.100.1"),
        (b"[2001:db8::5]:80, 10.0.0.1:1", "2001:db8::5"),
        (b"198.51.100.1:", "127.0.0.1"),
        (b"198.51.100.1:80:80", "127.0.0.1"),
        (b"[2001:db8::5]:x", "127.0.0.1"),
        (b"2001:db8::5:80", "2001:db8::5:80"),
        (b"garbage:80", "127.0.0.1"),
        (b"garbage", "127.0.0.1"),
        (b"", "127.0.0.1"),
        (b"1.2.3.4, garbage", "127.0.0.1"),
        (b"garbage, 10.0.0.1", "10.0.0.1"),
    ],
)
def test_the_client_is_the_nearest_address_nobody_trusts(chain: bytes, client: str) -> None:
    seen = Trust(DEFAULT_TRUSTED).see(request((b"x-forwarded-for", chain)), "127.0.0.1", secure=False)
    assert seen.client == client


def test_a_doubled_host_is_refused() -> None:
    doubled = request((b"x-forwarded-host", b"a"), (b"x-forwarded-host", b"b"))
    with pytest.raises(PeerError):
        Trust(DEFAULT_TRUSTED).see(doubled, "127.0.0.1", secure=False)


def test_a_bad_network_is_named_with_its_setting() -> None:
    with pytest.raises(ValueError, match=r"AUTHENTIK_LISTEN__TRUSTED_PROXY_CIDRS: '10\.0\.0\.0/33'"):
        Trust(["10.0.0.0/33"])


@given(st.binary(max_size=40), st.binary(max_size=20), st.binary(max_size=20))
def test_garbage_never_becomes_a_client(chain: bytes, host: bytes, proto: bytes) -> None:
    fields = ((b"x-forwarded-for", chain), (b"x-forwarded-host", host), (b"x-forwarded-proto", proto))
    try:
        seen = Trust(DEFAULT_TRUSTED).see(request(*fields), "127.0.0.1", secure=False)
    except PeerError:
        return
    assert seen.scheme in {"http", "https"}
    assert " " not in seen.client
