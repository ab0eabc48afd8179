"""A network of a test's own (tests/support/networks.py): the machine's own hears nothing of what happens there."""

import socket
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.networks import new_network
from tests.support.peers_program import require

pytestmark = pytest.mark.interop
OWN = Path("/proc/thread-self/ns/net")
BRIDGE = "of-a-test"
CHANGES = 0x1 | 0x10 | 0x100  # linux/rtnetlink.h: of links and of addresses, as a browser watches them


def listener() -> socket.socket:
    """Hears of changes in the network in which it is made."""
    made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    made.bind((0, CHANGES))
    return made


def heard(listening: socket.socket) -> bytes:
    """All of it so far: whoever makes a change goes on when everybody was told."""
    messages = b""
    while True:
        try:
            messages += listening.recv(1 << 16)
        except BlockingIOError:
            return messages


def test_nobody_outside_hears_of_what_is_made_inside() -> None:
    before = OWN.readlink()
    with new_network() as network, closing(listener()) as outside:
        assert OWN.readlink() == before
        with network.entered(), closing(listener()) as inside:
            subprocess.run([require("ip", "iproute2"), "link", "add", "name", BRIDGE, "type", "bridge"], check=True)
            assert BRIDGE.encode() in heard(inside)
        assert BRIDGE.encode() not in heard(outside)
        assert OWN.readlink() == before


def test_what_is_led_outside_is_there() -> None:
    with new_network() as network, network.entered():
        told = subprocess.run(
            [require("nsenter", "util-linux"), f"--net={network.outside}", "readlink", "/proc/self/ns/net"],
            capture_output=True, text=True, check=True,
        ).stdout.strip()  # fmt: skip
        assert told != str(OWN.readlink())
    assert told == str(OWN.readlink())
