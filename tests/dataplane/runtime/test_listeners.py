"""Listening sockets: both families, one per slot, and a port that somebody else has."""

import errno
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from dataplane.runtime.listeners import ListenFailed, _probed, close_all, open_single, open_slots, queued, turn_away
from dataplane.runtime.plan import Listener, TcpAddress, UnixAddress
from tests.support.peers_program import free_port


def listener(host: str, port: int = 0) -> Listener:
    return Listener(address=TcpAddress(host=host, port=port), tls=False, origin="--http")


def test_every_slot_has_its_own_socket_on_the_same_port() -> None:
    slots = open_slots([listener("127.0.0.1"), listener("")], 3)
    ports = [[each.getsockname()[1] for each in slot] for slot in slots]
    assert len(slots) == 3
    assert ports[0] == ports[1] == ports[2]
    assert slots[0][0].getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    close_all(slots)


@pytest.mark.parametrize(("host", "families"), [("", 2), ("::", 2), ("0.0.0.0", 1), ("::1", 1), ("127.0.0.1", 1)])
def test_families(host: str, families: int) -> None:
    slots = open_slots([listener(host)], 1)
    port = slots[0][0].getsockname()[1]
    reached = 0
    for address in ("127.0.0.1", "::1"):
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as client:
            reached += client.connect_ex((address, port)) == 0
    assert reached == families
    close_all(slots)


KNOCKING = """
import select, socket, sys
print("knocking", flush=True)
let_in = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    for _ in range(100):
        with socket.socket() as client:
            let_in += not client.connect_ex(("127.0.0.1", int(sys.argv[1])))
print(let_in)
"""


def test_looking_whether_a_port_is_free_takes_no_connection() -> None:
    """Whoever is let in while it is looked at is reset: a proxy would take it for a request cut short."""
    port = free_port()
    command = [sys.executable, "-c", KNOCKING, str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as knocking:
        assert knocking.stdout
        knocking.stdout.readline()
        for _ in range(2000):
            _probed(TcpAddress(host="127.0.0.1", port=port))
        assert knocking.communicate("enough\n")[0] == "0\n"


def test_who_waits_is_counted_and_who_comes_later_is_turned_away() -> None:
    slots = open_slots([listener("127.0.0.1"), listener("")], 2)
    port = slots[0][1].getsockname()[1]
    with ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), 5))
        assert sum(queued(slot) for slot in slots) == 20
        turn_away(slots)
        late = stack.enter_context(socket.socket())
        late.settimeout(0.05)
        with pytest.raises(TimeoutError):
            late.connect(("127.0.0.1", port))
        assert sum(queued(slot) for slot in slots) == 20
        accepted = stack.enter_context(next(slot[1] for slot in slots if queued(slot)).accept()[0])
        accepted.sendall(b"served")
        close_all(slots)
        assert [queued(slot) for slot in slots] == [0, 0]
        # Its first packet comes again after a second.
        late.settimeout(30)
        assert late.connect_ex(("127.0.0.1", port)) in {errno.ECONNREFUSED, errno.EALREADY, errno.EINPROGRESS}


@pytest.mark.parametrize("shared", [False, True])
def test_a_port_that_somebody_has_is_not_shared(*, shared: bool) -> None:
    with socket.socket() as other:
        if shared:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ListenFailed, match=f"--http: can't listen on 127.0.0.1:{port}: another process listens"):
            open_slots([listener("127.0.0.1", port)], 2)


def test_an_address_of_another_host_is_named() -> None:
    with pytest.raises(ListenFailed, match=r"can't listen on 192.0.2.1:0: this host has no such address"):
        open_slots([listener("192.0.2.1")], 1)


def test_a_host_name_that_does_not_exist_is_named() -> None:
    with pytest.raises(ListenFailed, match=r"can't listen on nowhere.invalid:0"):
        open_slots([listener("nowhere.invalid")], 1)


def test_a_unix_socket_in_use_is_not_taken_over(tmp_path: Path) -> None:
    path = str(tmp_path / "m.sock")
    with open_single(UnixAddress(path), "--metrics"), pytest.raises(ListenFailed, match="another process listens"):
        open_single(UnixAddress(path), "--metrics")
