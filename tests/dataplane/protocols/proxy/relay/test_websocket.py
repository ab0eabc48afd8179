"""The handshake, without any sockets."""

import pytest

from dataplane.protocols.proxy.messages import Headers, Request
from dataplane.protocols.proxy.relay.websocket import accept_of, check_accepted, is_wanted, key_of
from dataplane.protocols.proxy.session import HttpSession
from dataplane.sansio import PeerError

KEY, ACCEPT = b"dGhlIHNhbXBsZSBub25jZQ==", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
GOOD = (b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: " + KEY, b"Sec-WebSocket-Version: 13")
ANSWER: Headers = ((b"Connection", b"Upgrade"), (b"Upgrade", b"websocket"), (b"Sec-WebSocket-Accept", ACCEPT))


def asked(*lines: bytes, first: bytes = b"GET /ws HTTP/1.1") -> Request:
    session = HttpSession()
    session.receive(b"\r\n".join([first, b"Host: a", *lines, b"", b""]))
    (request,) = session.events()
    assert isinstance(request, Request)
    return request


def test_the_example_of_the_rfc() -> None:
    request = asked(*GOOD)
    assert is_wanted(request)
    assert accept_of(key_of(request)) == ACCEPT
    check_accepted(KEY, ANSWER)


@pytest.mark.parametrize("other", [b"h2c", b"websocket, h2c", b"TLS/1.0"])
def test_other_upgrades_are_none_of_ours(other: bytes) -> None:
    assert not is_wanted(asked(b"Connection: Upgrade", b"Upgrade: " + other))


@pytest.mark.parametrize(
    "lines",
    [
        (*GOOD[:3], b"Sec-WebSocket-Version: 8"),
        GOOD[:3],
        (*GOOD[:2], GOOD[3]),
        (*GOOD[:2], b"Sec-WebSocket-Key: " + KEY[:-4], GOOD[3]),
        (*GOOD[:2], b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ", GOOD[3]),
        (*GOOD[:2], b"Sec-WebSocket-Key: dGhl IHNhbXBsZSBub25jZQ==", GOOD[3]),
        (*GOOD, GOOD[2]),
        (*GOOD, GOOD[3]),
    ],
    ids=["old version", "no version", "no key", "short key", "no padding", "space within", "two keys", "two versions"],
)
def test_what_is_no_handshake(lines: tuple[bytes, ...]) -> None:
    with pytest.raises(PeerError) as refused:
        key_of(asked(*lines))
    assert refused.value.code == 400


def test_it_begins_with_get() -> None:
    with pytest.raises(PeerError, match="GET"):
        key_of(asked(*GOOD, first=b"POST /ws HTTP/1.1"))


@pytest.mark.parametrize(
    "answer",
    [
        ANSWER[1:],
        (ANSWER[0], ANSWER[2]),
        ANSWER[:2],
        (*ANSWER[:2], (b"Sec-WebSocket-Accept", ACCEPT[::-1])),
        (*ANSWER, ANSWER[2]),
        (ANSWER[0], (b"Upgrade", b"h2c"), ANSWER[2]),
        (*ANSWER, (b"Upgrade", b"h2c")),
    ],
    ids=["no Connection", "no Upgrade", "no Accept", "wrong Accept", "two Accepts", "h2c", "h2c, too"],
)
def test_what_accepts_no_websocket(answer: Headers) -> None:
    with pytest.raises(PeerError) as refused:
        check_accepted(KEY, answer)
    assert refused.value.code == 502
