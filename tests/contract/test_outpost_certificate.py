"""The certificate of an outpost that has been given none: all workers show the same one, so that it can be accepted."""

import ssl
from pathlib import Path

from tests.support.fake_control import FakeControl, options
from tests.support.outpost_process import OutpostProcess
from tests.support.peers_program import free_port

CONNECTIONS = 30


def shown(port: int) -> str:
    return ssl.get_server_certificate(("127.0.0.1", port), timeout=30)


def test_every_worker_shows_the_same(tmp_path: Path) -> None:
    with FakeControl() as control:
        outpost = OutpostProcess(tmp_path, control.environment(), workers=3)
        outpost.https_port = free_port()
        with outpost:
            control.settled(control.hold(options()))
            outpost.ready()
            assert len({shown(outpost.https_port) for _ in range(CONNECTIONS)}) == 1
