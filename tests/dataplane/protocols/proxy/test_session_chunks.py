"""Bodies in many small chunks cost as little as the same in large ones, and no more than they carry."""

import pytest

from dataplane.protocols.proxy.messages import Data, End, Event, Request
from dataplane.protocols.proxy.session import MAX_TURN, HttpSession
from dataplane.sansio import PeerError
from tests.dataplane.protocols.proxy.reading import joined

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
TINY = b"1\r\nx\r\n"
READ = 65536


def fed(raw: bytes, size: int = READ) -> list[Event]:
    """The events of these bytes, which come by so many."""
    session = HttpSession()
    events: list[Event] = []
    for start in range(0, len(raw), size):
        session.receive(raw[start : start + size])
        events += session.events()
    return events


def test_what_came_at_once_is_one_piece() -> None:
    _, data, end = fed(HEAD + TINY * 1000 + b"0\r\n\r\n")
    assert (data, end) == (Data(b"x" * 1000), End())


def test_what_came_at_once_is_read_by_turns_while_chunks_are_small() -> None:
    """Others have theirs in between."""
    events = fed(HEAD + TINY * 50_000 + b"0\r\n\r\n")
    sizes = [len(event.data) for event in events if isinstance(event, Data)]
    assert sum(sizes) == 50_000
    assert max(sizes) <= MAX_TURN // len(TINY) + 1
    assert len(sizes) <= 50_000 * len(TINY) // MAX_TURN + 10


@pytest.mark.parametrize("framing", [b"Transfer-Encoding: chunked\r\n\r\n%x\r\n", b"Content-Length: %d\r\n\r\n"])
def test_large_ones_are_not_cut(framing: bytes) -> None:
    raw = b"POST / HTTP/1.1\r\nHost: a\r\n" + framing % 1_000_000 + b"x" * 1_000_000
    sizes = [len(event.data) for event in fed(raw) if isinstance(event, Data)]
    assert sum(sizes) == 1_000_000
    assert len(sizes) <= 1_000_000 // READ + 2


@pytest.mark.parametrize("size", [1, 5, 1000, READ])
def test_a_byte_at_a_time_is_nothing_bad(size: int) -> None:
    count = 20_000 if size == 1 else 100_000
    events = joined(fed(HEAD + TINY * count + b"0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", size))
    assert [type(event) for event in events] == [Request, Data, End, Request]
    assert events[1] == Data(b"x" * count)


@pytest.mark.parametrize("size", [97, 1000, READ])
@pytest.mark.parametrize("extension", [40, 1000, 10_000])
def test_chunks_that_are_nothing_but_framing_are_refused(extension: int, size: int) -> None:
    """CVE-2023-39326: extensions make a body of nothing cost as much as one likes."""
    chunk = b"1;" + b"e" * extension + b"\r\nx\r\n"
    with pytest.raises(PeerError, match="framing") as caught:
        fed(HEAD + chunk * (400_000 // len(chunk)), size)
    assert caught.value.code == 400


def test_a_long_extension_of_a_large_chunk_is_borne() -> None:
    chunk = b"%x;signature=" % 20_000 + b"e" * 1000 + b"\r\n" + b"x" * 20_000 + b"\r\n"
    events = joined(fed(HEAD + chunk * 50 + b"0\r\n\r\n"))
    assert events[1] == Data(b"x" * 1_000_000)


@pytest.mark.parametrize("size", [1000, READ])
def test_heads_behind_bodies_are_no_framing(size: int) -> None:
    request = b"POST / HTTP/1.1\r\nHost: a\r\nX: " + b"e" * 20_000 + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
    raw = (request + b"3e8\r\n" + b"x" * 1000 + b"\r\n" + TINY + b"0\r\n\r\n") * 10
    events = joined(fed(raw, size))
    assert [type(event) for event in events] == [Request, Data, End] * 10


@pytest.mark.parametrize("count", [1, 3, MAX_TURN // len(TINY), 20_000])
def test_what_came_before_a_mistake_is_told_before_it(count: int) -> None:
    session = HttpSession()
    session.receive(HEAD + TINY * count + b"!\r\n")
    seen: list[Event] = []
    with pytest.raises(PeerError):
        seen.extend(session.events())
    assert joined(seen)[1] == Data(b"x" * count)
