"""A machine of its own as far as the network goes: a Linux network namespace, joined with ours by one cable (veth).

Here the network can do what no relay can: lose every packet, acknowledgements included, and give control another
address. Needs root, iproute2 and nftables. Nothing of the machine's own network is touched but for the cable's end.
"""

import itertools
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.peers_program import require

# For measurements of devices (RFC 2544): no real network has it. Another run at the same time has another part of it.
NETWORK = f"198.19.{os.getpid() % 256}"
_numbers = itertools.count()


@dataclass
class Machine:
    """The other machine, and the ends of the cable. There control is called CONTROL and has `control` as its address.

    People reach the machine at `address`, through a network that has nothing to do with control's.
    """

    name: str
    cable: str
    address: str
    control: str
    hosts: Path

    CONTROL = "control.example.test"

    @property
    def prefix(self) -> tuple[str, ...]:
        """What precedes a command that runs there: its network, and its own /etc/hosts."""
        mount = 'mount --bind "$0" /etc/hosts && exec "$@"'
        return (require("ip", "iproute2"), "netns", "exec", self.name, "sh", "-c", mount, str(self.hosts))

    def lose(self, ports: Sequence[int]) -> None:
        """Lose every packet from and to these TCP ports of control."""
        listed = ", ".join(str(port) for port in ports)
        rules = f"""
            table inet fault {{
                chain arriving {{ type filter hook prerouting priority 0; tcp sport {{ {listed} }} drop; }}
                chain leaving {{ type filter hook postrouting priority 0; tcp dport {{ {listed} }} drop; }}
            }}
        """
        self._nft(rules)

    def find_again(self) -> None:
        """Lose nothing any more."""
        self._nft("delete table inet fault")

    def move_control(self) -> None:
        """Control has another address from now on, and nobody the old one; names aren't changed yet."""
        network, _, number = self.control.rpartition(".")
        moved = f"{network}.{int(number) + 1}"
        # In this order: with the first address of a network Linux takes away the others.
        _ip("address", "delete", f"{self.control}/29", "dev", self.cable)
        _ip("address", "add", f"{moved}/29", "dev", self.cable)
        self.control = moved

    def name_control(self) -> None:
        """Let control's name lead to its address."""
        # In place, since the file is mounted over /etc/hosts.
        self.hosts.write_text(f"127.0.0.1 localhost\n{self.control} {self.CONTROL}\n")

    def _nft(self, rules: str) -> None:
        nft = require("nft", "nftables")
        subprocess.run(
            [require("ip", "iproute2"), "netns", "exec", self.name, nft, "-f", "-"], input=rules, text=True, check=True
        )


@contextmanager
def machine(folder: Path) -> Iterator[Machine]:
    """A machine beside ours, until the block ends."""
    number = next(_numbers)
    name, cable, base = f"g-{os.getpid()}-{number}", f"g{os.getpid()}v{number}", 16 * number
    made = Machine(
        name=name, cable=cable, address=f"{NETWORK}.{base + 14}", control=f"{NETWORK}.{base + 1}",
        hosts=folder / f"hosts-{number}",
    )  # fmt: skip
    made.name_control()
    _ip("netns", "add", name)
    try:
        _ip("link", "add", cable, "type", "veth", "peer", "name", "cable", "netns", name)
        for ours in (made.control, f"{NETWORK}.{base + 9}"):
            _ip("address", "add", f"{ours}/29", "dev", cable)
        _ip("link", "set", cable, "up")
        for theirs in (f"{NETWORK}.{base + 6}", made.address):
            _ip("-n", name, "address", "add", f"{theirs}/29", "dev", "cable")
        _ip("-n", name, "link", "set", "cable", "up")
        _ip("-n", name, "link", "set", "lo", "up")
        yield made
    finally:
        # The cable goes with it.
        _ip("netns", "delete", name)


def _ip(*words: str) -> None:
    subprocess.run([require("ip", "iproute2"), *words], check=True)
