"""Ten thousand idle connections: what they cost, and that nobody else notices."""

import resource
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ldap_ber as ber
from tests.support.ldap_ber import Search, equal
from tests.support.ldap_client import Ldap, connected
from tests.support.ldap_site import BASE, LdapSite, user_dn
from tests.support.outpost_process import children
from tests.support.peers_http import ask
from tests.support.peers_program import eventually

pytestmark = pytest.mark.interop
IDLE, PER_PEER = 10_000, 900
SPARE = 500
"""Descriptors for what is no such connection."""
MOST_EACH = 20 * 1024
"""Bytes for a connection; 10 KiB were measured."""


@pytest.fixture
def descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard >= IDLE + SPARE, f"the limit of open files is {hard}"
    resource.setrlimit(resource.RLIMIT_NOFILE, (IDLE + SPARE, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def resident(process: int) -> int:
    """Bytes that a process has in memory."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * resource.getpagesize()


def open_connections(site: LdapSite) -> int:
    """As the outpost counts them."""
    text = ask(site.outpost.metrics, "/metrics").body.decode()
    (line,) = [line for line in text.splitlines() if line.startswith("garrison_ldap_connections ")]
    return int(float(line.split()[1]))


@pytest.mark.usefixtures("descriptors")
def test_ten_thousand_idle_connections(directory: LdapSite) -> None:
    (worker,) = children(directory.outpost.program.process.pid)
    before, crowd = resident(worker), []
    try:
        for number in range(IDLE):
            client = Ldap(directory.port, source=f"198.18.{number // PER_PEER}.1")
            client.send(ber.bind("", ""))
            crowd.append(client)
        for client in crowd:
            assert client.receive().number == 1
        assert open_connections(directory) >= IDLE
        assert (resident(worker) - before) / IDLE < MOST_EACH
        with connected(directory.port, directory.search) as other:
            began = time.monotonic()
            for _ in range(100):
                assert other.search(Search(base=BASE, filter=equal("uid", "alice"))).dns == [user_dn("alice")]
            assert time.monotonic() - began < 20
    finally:
        for client in crowd:
            client.socket.close()
    eventually(lambda: open_connections(directory) < SPARE, "they are gone")
