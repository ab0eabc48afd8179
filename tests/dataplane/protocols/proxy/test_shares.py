"""Whose share of an application's connections a request takes."""

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from gevent.event import Event

from tests.dataplane.io.lines import until
from tests.dataplane.protocols.proxy.builders import ALICE, session
from tests.dataplane.protocols.proxy.servers import Peer, connect, read_all
from tests.dataplane.protocols.proxy.standing import OK, site

SHARE = 16
"""The least that anybody has."""


def test_people_behind_one_address_have_a_share_each(tmp_path: Path) -> None:
    freed = Event()

    def play(peer: Peer, head: bytes) -> None:
        if b" /hang " in head:
            freed.wait(10)
        peer.sendall(OK)

    bob = session(id="s2", identity=replace(ALICE, subject="bob", username="bob"))
    with site(tmp_path, play, connections=4 * SHARE) as wiki, ExitStack() as stack:
        for _ in range(SHARE + 1):
            client = stack.enter_context(connect(wiki.port))
            client.sendall(wiki.request(b"/hang", b"Connection: close"))
        until(lambda: len(wiki.seen) == SHARE)
        assert wiki.ask(signed_in=bob).status == 200
        assert len([head for head in wiki.seen if b" /hang " in head]) == SHARE
        freed.set()
        assert read_all(client).startswith(b"HTTP/1.1 200 ")
