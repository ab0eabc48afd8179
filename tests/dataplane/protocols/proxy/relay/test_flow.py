"""Bodies as they come in: whoever sends much has no more turns than others."""

import socket
from collections import Counter
from itertools import count

import gevent

from dataplane.io.connection import Connection
from dataplane.io.tcp import TcpServer
from dataplane.protocols.proxy.messages import Event, Request
from dataplane.protocols.proxy.relay.flow import Intake
from dataplane.protocols.proxy.session import HttpSession
from dataplane.sansio import PeerError
from tests.dataplane.io.lines import until
from tests.dataplane.protocols.proxy.relay.applications import CHUNKED, PATIENT, QUICK
from tests.dataplane.protocols.proxy.servers import connect


class Taker:
    """Takes bodies, and notes in which round of the loop it got each piece."""

    def __init__(self) -> None:
        self.rounds: list[int] = []
        self.size = 0
        self.whole = False
        self._round = 0

    def look(self) -> None:
        """Have a turn in each round."""
        for self._round in count():
            gevent.sleep(1e-6)

    def handle(self, event: Event, connection: Connection[Event]) -> bytes:
        """Take all of it."""
        if isinstance(event, Request):
            intake = Intake(connection, PATIENT)
            while (piece := intake.find_next()) is not None:
                self.rounds.append(self._round)
                self.size += len(piece)
            self.whole = True
        return b""

    def refuse(self, error: PeerError, connection: Connection[Event]) -> bytes:
        """There is nothing to refuse."""
        raise AssertionError(connection.peer) from error


def test_others_have_a_turn_between_pieces_that_lie_there_already() -> None:
    taker = Taker()
    server = TcpServer(lambda _: (HttpSession(), taker), QUICK)
    looking = gevent.spawn(taker.look)
    with socket.socket() as front:
        front.bind(("127.0.0.1", 0))
        front.listen(1)
        server.serve(front)
        with connect(front.getsockname()[1]) as client:
            client.sendall(CHUNKED + b"1\r\nx\r\n" * 100_000 + b"0\r\n\r\n")
            until(lambda: taker.whole)
        server.drain(0.05)
    looking.kill()
    assert taker.size == 100_000
    assert len(taker.rounds) > 70
    assert max(Counter(taker.rounds).values()) <= 3
