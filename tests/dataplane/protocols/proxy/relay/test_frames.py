"""Where frames of a WebSocket end, however the bytes are cut; frames as another implementation writes them."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Close, Frame, Opcode

from dataplane.protocols.proxy.relay.frames import Frames, close_frame

FRAME = st.builds(
    lambda opcode, masked, size: Frame(Opcode(opcode), b"\x88" * size, fin=opcode != 1).serialize(mask=masked),
    opcode=st.sampled_from([0, 1, 2, 9, 10]),
    masked=st.booleans(),
    size=st.sampled_from([0, 1, 124, 125]),
) | st.builds(
    lambda opcode, masked, size: Frame(Opcode(opcode), b"\x88" * size).serialize(mask=masked),
    opcode=st.sampled_from([0, 1, 2]),
    masked=st.booleans(),
    size=st.sampled_from([126, 127, 300, 65535, 65536, 70000]),
)


def frame(opcode: int, size: int, *, final: bool = True, masked: bool = False, wide: int = 0) -> bytes:
    """RFC 6455 5.2; `wide` for a length in more bytes than it needs."""
    mask = 0x80 if masked else 0
    width = wide or (0 if size < 126 else 2 if size < 65536 else 8)
    length = bytes([mask | (size if not width else 126 if width == 2 else 127)])
    head = bytes([(0x80 if final else 0) | opcode]) + length + (size.to_bytes(width, "big") if width else b"")
    return head + (b"\1\2\3\4" if masked else b"") + b"\x88" * size


def follow(*pieces: bytes) -> Frames:
    frames = Frames()
    for piece in pieces:
        frames.follow(piece)
    return frames


@given(st.lists(FRAME, min_size=1, max_size=5), st.data())
def test_between_two_frames_and_nowhere_else(sent: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(sent)
    ends = {sum(len(each) for each in sent[:count]) for count in range(len(sent) + 1)}
    cut = data.draw(st.one_of(st.sampled_from(sorted(ends)), st.integers(0, len(stream))))
    first = data.draw(st.integers(0, cut))
    assert follow(stream[:first], stream[first:cut]).between == (cut in ends)
    assert not follow(stream).closed


@given(st.lists(FRAME, min_size=1, max_size=5), st.data())
def test_what_is_left_of_a_frame_ends_where_it_does(sent: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(sent)
    ends = [sum(len(each) for each in sent[:count]) for count in range(1, len(sent) + 1)]
    begun = data.draw(st.integers(0, len(stream) - 1))
    upto = data.draw(st.one_of(st.just(len(stream)), st.integers(begun + 1, len(stream))))
    frames = follow(stream[:begun])
    end = next(each for each in ends if each > begun)
    assert frames.follow_to_end(stream[begun:upto]) == stream[begun : min(end, upto)]
    assert frames.between == (upto >= end)


@given(st.binary(max_size=400), st.integers(0, 400))
def test_rubbish_is_followed_the_same_however_it_is_cut(data: bytes, at: int) -> None:
    whole, cut, single = follow(data), follow(data[:at], data[at:]), follow(*(bytes([byte]) for byte in data))
    assert {(each.between, each.closed) for each in (whole, cut, single)} == {(whole.between, whole.closed)}


@pytest.mark.parametrize("masked", [False, True])
def test_a_close_frame_is_seen_at_its_head(masked: bool) -> None:
    assert follow(frame(8, 2, masked=masked)).closed
    assert not follow(frame(2, 300)).closed
    assert follow(frame(1, 5), frame(8, 0)).closed


def test_a_length_in_eight_bytes_where_one_would_do() -> None:
    assert follow(frame(2, 5, wide=8), frame(2, 7, wide=2)).between


def test_what_closes_is_what_another_implementation_closes_with() -> None:
    assert close_frame(1008) == Frame(Opcode.CLOSE, Close(1008, "").serialize()).serialize(mask=False)


@given(st.lists(st.tuples(st.sampled_from([0, 1, 2, 8, 9, 10]), st.integers(0, 130)), max_size=12), st.data())
def test_short_frames_in_a_row(sent: list[tuple[int, int]], data: st.DataObject) -> None:
    """RFC 6455 5.2: they are told apart, however many lie in one piece."""
    stream = b"".join(frame(opcode, size) for opcode, size in sent)
    ends = {sum(len(frame(*each)) for each in sent[:count]) for count in range(len(sent) + 1)}
    cut = data.draw(st.one_of(st.sampled_from(sorted(ends)), st.integers(0, len(stream))))
    frames = follow(stream[:cut])
    assert frames.between == (cut in ends)
    frames.follow(stream[cut:])
    assert frames.between
    assert frames.closed == any(opcode == 8 for opcode, _ in sent)


@pytest.mark.parametrize("size", [0, 1, 15, 63, 64, 125])
def test_following_costs_little_however_short_frames_are(size: int) -> None:
    """By the calls it takes: what an application echoes of one person's frames would hold up everybody."""
    calls = 0

    def count(_: object, event: str, __: object) -> None:
        nonlocal calls
        calls += event == "call"

    stream = frame(2, size) * (65536 // (size + 2))
    sys.setprofile(count)
    try:
        assert follow(stream).between
    finally:
        sys.setprofile(None)
    assert calls < 1100
