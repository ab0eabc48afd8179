"""What control answers the front door: large, split and endless answers."""

import pytest

from dataplane.protocols.proxy.messages import Data, End, UpstreamHead
from dataplane.protocols.proxy.relay.session import UpstreamSession
from dataplane.protocols.proxy.session import MAX_HEAD
from dataplane.sansio import PeerError


def asked(method: bytes = b"GET") -> UpstreamSession:
    return UpstreamSession(method)


def test_a_body_larger_than_any_head_arrives_whole() -> None:
    session, piece = asked(), b"x" * 16384
    session.receive(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (40 * len(piece)))
    arrived = [*session.events()]
    for _ in range(40):
        session.receive(piece)
        arrived += session.events()
    assert isinstance(arrived[0], UpstreamHead)
    assert sum(len(event.data) for event in arrived if isinstance(event, Data)) == 40 * len(piece)
    assert isinstance(arrived[-1], End)


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\nX-Long: ", b"HTTP/1.1 100 Continue\r\n\r\n" * 3])
def test_a_head_without_end_is_refused(start: bytes) -> None:
    session = asked()
    session.receive(start)
    with pytest.raises(PeerError, match=r"head of more than|answers before its answer"):
        for _ in range(3 * MAX_HEAD // 1024):
            session.receive(b"HTTP/1.1 100 Continue\r\n\r\n" * 40 if b"100" in start else b"x" * 1024)
            list(session.events())


def test_what_came_at_once_in_small_chunks_is_one_piece() -> None:
    session = asked()
    session.receive(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    session.receive(b"1\r\nx\r\n" * 10_000)
    _, data = session.events()
    assert data == Data(b"x" * 10_000)
    session.receive(b"1\r\ny\r\n" * 3 + b"0\r\n\r\n")
    assert list(session.events()) == [Data(b"yyy"), End()]
    assert session.reusable


def test_what_came_before_a_mistake_is_told_before_it() -> None:
    session = asked()
    session.receive(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 3 + b"!\r\n")
    events = session.events()
    assert isinstance(next(events), UpstreamHead)
    assert next(events) == Data(b"xxx")
    with pytest.raises(PeerError):
        next(events)
