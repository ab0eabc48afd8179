import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.protocols.proxy.known import find_known
from dataplane.protocols.proxy.messages import Event, Request
from dataplane.protocols.proxy.session import HttpSession
from dataplane.sansio import PeerError
from tests.dataplane.protocols.proxy.reading import joined, read


class TestRemembering:
    """Whole requests are parsed twice at most; nothing else may ever be answered from memory."""

    PLAIN = b"GET /remembered HTTP/1.1\r\nhost: a\r\nx-n: %d\r\n\r\n"

    def test_the_same_bytes_mean_the_same_again(self) -> None:
        raw = self.PLAIN % 1
        session = HttpSession()
        for _ in range(3):
            session.receive(raw)
            assert list(session.events()) == read(raw)

    @pytest.mark.parametrize(
        "before",
        [
            b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n",
            b"POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n",
            b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Le",
            b"GET /half HTTP/1.1\r\nHost: a\r\nX: ",
            b"GET /one HTTP/1.1\r\nHost: a\r\n\r\nGET /half HTTP/1.1\r\nX: ",
        ],
    )
    def test_within_another_message_they_are_that_messages(self, before: bytes) -> None:
        """Smuggling by memory: bytes of a body that look like a known request stay a body."""
        raw = self.PLAIN % 2
        assert len(read(raw) + read(raw)) == 2
        assert find_known(raw) is not None
        session = HttpSession()
        session.receive(before)
        events = list(session.events())
        try:
            session.receive(raw)
            events += session.events()
        except PeerError:
            pass
        assert not [event for event in events if isinstance(event, Request) and event.target == b"/remembered"]

    def test_after_a_body_requests_are_requests_again(self) -> None:
        raw = self.PLAIN % 3
        session = HttpSession()
        for _ in range(2):
            session.receive(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
            assert len(list(session.events())) == 3
            session.receive(raw)
            assert list(session.events()) == read(raw)

    def test_after_close_nothing_is_taken(self) -> None:
        raw = self.PLAIN % 4
        assert len(read(raw) + read(raw)) == 2
        session = HttpSession()
        session.receive(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        list(session.events())
        session.receive(raw)
        with pytest.raises(PeerError):
            list(session.events())

    @given(
        st.lists(st.sampled_from([PLAIN % 1, PLAIN % 2, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\n"])),
        st.lists(st.integers(1, 120)),
    )
    def test_however_it_is_cut_it_means_what_it_means_in_one_piece(self, parts: list[bytes], cuts: list[int]) -> None:
        raw = b"".join(parts)
        whole = HttpSession()
        whole._between = False  # parsed, whatever is remembered
        cut = HttpSession()
        got: list[Event] = []
        expected: list[Event] = []
        try:
            whole.receive(raw)
            expected += whole.events()
        except PeerError:
            return
        for size in [*cuts, len(raw)]:
            piece, raw = raw[:size], raw[size:]
            if piece:
                cut.receive(piece)
                got += cut.events()
        assert joined(got) == joined(expected)
