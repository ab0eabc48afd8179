import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.sansio import Cursor, PeerError


def test_reads_in_order() -> None:
    cursor = Cursor(b"\x01\x02\x03abc", 2)
    assert (cursor.unsigned(1), cursor.unsigned(2), cursor.take(3), cursor.remaining) == (1, 0x0203, b"abc", 0)


def test_reads_no_further_than_there_is() -> None:
    cursor = Cursor(b"abc", 2)
    with pytest.raises(PeerError, match="4 bytes expected, 3 left") as caught:
        cursor.take(4)
    assert caught.value.code == 2


@pytest.mark.parametrize("count", [-1, -100])
def test_negative_lengths_are_the_peers_fault(count: int) -> None:
    with pytest.raises(PeerError):
        Cursor(b"abc", 2).take(count)


def test_a_nested_length_bounds_reads() -> None:
    cursor = Cursor(b"abcdef", 2)
    with pytest.raises(PeerError), cursor.within(2):
        cursor.take(3)


def test_a_nested_length_has_to_be_used_up() -> None:
    cursor = Cursor(b"abcdef", 2)
    with pytest.raises(PeerError, match="1 bytes too many"), cursor.within(2):
        cursor.take(1)


def test_after_a_nested_length_the_outer_one_counts_again() -> None:
    cursor = Cursor(b"abcdef", 2)
    with cursor.within(4):
        with cursor.within(2):
            cursor.take(2)
            assert cursor.remaining == 0
        cursor.take(2)
    assert cursor.remaining == 2


@given(st.binary(max_size=50), st.lists(st.integers(-5, 30), max_size=10))
def test_any_reads_yield_the_data_or_a_peer_error(data: bytes, sizes: list[int]) -> None:
    cursor, read = Cursor(data, 1), b""
    try:
        for size in sizes:
            read += cursor.take(size)
    except PeerError:
        pass
    assert data.startswith(read)
    assert len(read) + cursor.remaining == len(data)
