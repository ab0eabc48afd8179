"""Many who want few connections, in any order of events: nobody gets another's answer, and nothing is lost or left."""

import random

import gevent
import pytest

from dataplane.io.dial import TcpAddress, Upstream
from dataplane.io.pool import Full, PoolLimits, Target, Unreachable, Upstreams
from tests.dataplane.io.doors import Peer, Play, there
from tests.dataplane.io.lines import until
from tests.dataplane.io.upstreams import secured, way

CONNECTIONS, CLIENTS, REQUESTS = 4, 24, 12


class Crowd:
    """Clients that ask, leave in the midst of it, drop what is good, and are patient or not."""

    def __init__(self, upstreams: Upstreams, chance: random.Random) -> None:
        self.upstreams = upstreams
        self.chance = chance
        self.answered = 0
        self.busiest = 0

    def ask(self, words: bytes) -> None:
        try:
            lease = self.upstreams.take(self.chance.choice([0, 0.001, 5]), fresh=self.chance.random() < 0.1)
        except (Full, Unreachable):
            return
        self.busiest = max(self.busiest, self.upstreams.pools[0].open)
        done = False
        try:
            lease.wire.write(words + b"\n", 5)
            done = self.is_answered(lease.wire, words)
        except OSError:  # it had been ended when it was taken
            assert lease.reused
        finally:
            lease.give_back() if done and self.chance.random() < 0.9 else lease.drop()

    def is_answered(self, wire: Upstream, words: bytes) -> bool:
        answer = b""
        while not answer.endswith(b"\n"):
            piece = wire.read(5)
            if not piece:
                return False
            answer += piece
        assert answer == words.upper() + b"\n"
        self.answered += 1
        return True

    def come(self) -> None:
        clients = [gevent.spawn(self.visit, number) for number in range(CLIENTS)]
        gevent.joinall(clients, timeout=20, raise_error=True)
        assert all(each.ready() for each in clients)

    def visit(self, number: int) -> None:
        for request in range(REQUESTS):
            asking = gevent.spawn(self.ask, b"client %d asks %d" % (number, request))
            if self.chance.random() < 0.1:
                gevent.sleep(0)
                asking.kill()
            asking.join()
            assert asking.exception is None


def moody(chance: random.Random) -> Play:
    """Answers lines in capitals; now and then it ends the connection after that."""

    def play(peer: Peer) -> None:
        buffer = b""
        while data := peer.recv(1000):
            buffer += data
            while b"\n" in buffer:
                line, _, buffer = buffer.partition(b"\n")
                peer.sendall(line.upper() + b"\n")
                if chance.random() < 0.05:
                    return

    return play


@pytest.mark.parametrize("seed", range(6))
def test_a_crowd_is_served(seed: int) -> None:
    chance = random.Random(seed)  # to be repeated, not to be secret
    serve, tls = (secured, way()) if seed % 2 else (there, None)
    with serve(moody(chance)) as address:
        assert isinstance(address, TcpAddress)
        upstreams = Upstreams([Target(text="a", address=address, tls=tls)], PoolLimits(connections=CONNECTIONS))
        crowd = Crowd(upstreams, chance)
        crowd.come()
        [pool] = upstreams.pools
        until(lambda: pool.open == pool.idle)
        assert crowd.busiest == CONNECTIONS
        assert crowd.answered > CLIENTS
        assert (pool.waiting, pool.health.troubled) == (0, False)
        upstreams.close()
        assert (pool.open, pool.idle) == (0, 0)
