"""Framing between supervisor and worker: one table both ways, cut anywhere, and garbage."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.gate import Event, EventAction
from dataplane.link.held import HeldResource
from dataplane.link.target import Credentials
from dataplane.runtime import messages as m
from dataplane.runtime.pipe import Frames, PipeBroken, encode
from dataplane.runtime.server import Histogram, Sample, Snapshot
from dataplane.verifier import Kept, Lesson
from tests.support.verifying import YES

CREDENTIALS = Credentials(
    certificate="C", private_key="K", authority="A", addresses=("a:1",), outpost="o", name="n", issued=1.0, expires=2.0
)
MESSAGES: list[m.Message] = [
    m.Setup(
        slot=1,
        type="proxy",
        version="0.1.0",
        listeners=(m.InheritedListener(descriptor=7, tls=True),),
        control_socket="",
        trusted_cidrs=None,
        service_hosts=(),
        browser_url="https://auth.example.com",
        log_level="info",
        certificate=("CHAIN", "KEY"),
    ),
    m.Connect(credentials=CREDENTIALS),
    m.Prepare(serial=1, changed=(HeldResource(key="k", digest="d", data=b"\x00\xff"),), removed=("gone",)),
    m.Commit(serial=2),
    m.Serve(),
    m.Scrape(serial=3),
    m.Ping(serial=4),
    m.Drain(serial=4, seconds=8.5),
    m.Ready(),
    m.Prepared(serial=1, refused={"provider/ü": "because"}),
    m.PrepareFailed(serial=1, reason="bug"),
    m.Committed(serial=2),
    m.Scraped(
        serial=3,
        snapshot=Snapshot(
            histograms=(Histogram(name="h", help="?", labels={"a": "b"}, bounds=(0.1,), counts=(1, 2), sum=0.5),),
            counters=(Sample(name="c", help="?", labels={}, value=3.0),),
        ),
    ),
    m.Pong(serial=4),
    m.Draining(serial=4),
    m.SessionEnded(provider="p", session="s"),
    m.Happened(events=(Event(id="e", at=1.5, action=EventAction.ADMITTED, username="alice", count=3),)),
    m.Learned(lesson=Lesson(digest=b"\x00\xff", kept=Kept(allowed=YES, provider="p", at=1.5))),
    m.TakeDirectory(serial=5, entries=(b"\x00\xff", b""), removed=("user/ü",), begins=True, complete=False),
    m.DirectoryTaken(serial=5, reason="bug"),
    m.DirectoryWanted(),
]


def read(*chunks: bytes) -> Iterator[m.Message]:
    frames = Frames()
    for chunk in chunks:
        frames.receive(chunk)
        yield from frames.messages()


def test_every_kind_is_in_the_table() -> None:
    assert [type(message) for message in MESSAGES] == list(m.KINDS)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_what_is_written_is_read(message: m.Message) -> None:
    assert list(read(encode(message))) == [message]


def test_that_nothing_is_kept_any_more_travels_too() -> None:
    message = m.Learned(lesson=Lesson(digest=b"\x00", kept=None))
    assert list(read(encode(message))) == [message]


def test_a_stream_may_be_cut_anywhere() -> None:
    data = b"".join(map(encode, MESSAGES))
    assert list(read(*(data[at : at + 1] for at in range(len(data))))) == MESSAGES
    assert list(read(data)) == MESSAGES


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_cut_frame_waits_for_the_rest(message: m.Message) -> None:
    data = encode(message)
    for length in range(len(data)):
        assert list(read(data[:length])) == []


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_garbage_is_a_broken_pipe_and_nothing_else(chunks: list[bytes]) -> None:
    try:
        list(read(*chunks))
    except PipeBroken:
        return


@given(st.integers(0, 255), st.binary(max_size=200))
def test_a_garbled_payload_is_a_broken_pipe_or_a_message(kind: int, payload: bytes) -> None:
    frame = len(payload).to_bytes(4, "big") + kind.to_bytes(1, "big") + payload
    try:
        (message,) = read(frame)
    except PipeBroken:
        return
    assert type(message) is m.KINDS[kind]


def test_a_frame_without_end_is_refused_at_once() -> None:
    with pytest.raises(PipeBroken, match="a frame of"):
        list(read(b"\xff\xff\xff\xff\x00"))


def test_nesting_without_end_is_refused() -> None:
    payload = b"\x81\xa1x" + b"\x91" * 100_000 + b"\xc0"
    with pytest.raises(PipeBroken):
        list(read(len(payload).to_bytes(4, "big") + b"\x03" + payload))
