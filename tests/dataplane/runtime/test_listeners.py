"""Listening sockets: both families, one per slot, and a port that somebody else has."""

import socket
from pathlib import Path

import pytest

from dataplane.runtime.listeners import ListenFailed, close_all, open_single, open_slots
from dataplane.runtime.plan import Listener, TcpAddress, UnixAddress


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
