"""Where the directory goes: to a worker in the place of one that died, to each of several, anew when more is shown."""

import os
import signal
from functools import partial

import pytest

from tests.support.garrison import short_folder
from tests.support.ldap_ber import Search, equal
from tests.support.ldap_client import Ended, connected
from tests.support.ldap_site import BASE, STAFF, LdapOutpost, LdapSite, user_dn
from tests.support.outpost_process import children
from tests.support.peers_program import eventually

UNAVAILABLE = 52

pytestmark = pytest.mark.interop
ALICE = Search(base=BASE, filter=equal("uid", "alice"), attributes=("uidNumber", "memberOf"))


def alice(port: int, search: tuple[str, str]) -> list[str]:
    """The number of alice, found on a connection of its own; nothing while nobody answers, or can't ask control yet."""
    try:
        with connected(port) as client:
            if client.bind(*search).code == UNAVAILABLE:
                return []
            return [number for entry in client.search(ALICE).entries for number in entry.texts("uidNumber")]
    except Ended:
        return []


def test_a_worker_that_dies_is_replaced_by_one_that_knows_as_much(directory: LdapSite) -> None:
    before = alice(directory.port, directory.search)
    (worker,) = children(directory.outpost.program.process.pid)
    with connected(directory.port, directory.search) as client:
        os.kill(worker, signal.SIGKILL)
        with pytest.raises(Ended):
            client.receive()
    eventually(lambda: alice(directory.port, directory.search) == before, "the directory is served again")
    assert children(directory.outpost.program.process.pid) != [worker]
    eventually(directory.outpost.is_ready, "the outpost says so")
    directory.person(STAFF)  # which waits until it is found: changes come to the new one


def test_each_of_several_workers_has_it(directory: LdapSite) -> None:
    with short_folder() as folder:
        outpost = LdapOutpost(directory.garrison, "directory", folder, workers=2).start()
        found = {tuple(eventually(partial(alice, outpost.ldap, directory.search), "it answers")) for _ in range(16)}
        assert found == {tuple(alice(directory.port, directory.search))}
        outpost.stop()


def test_what_a_provider_shows_is_in_force_at_once(directory: LdapSite) -> None:
    provider = {"name": "directory", "type": "ldap", "base_dn": BASE}
    (before,) = alice(directory.port, directory.search)
    with connected(directory.port, directory.search) as client:
        directory.garrison.apply({"providers": [{**provider, "uid_start_number": 500_000}]})
        try:
            eventually(lambda: client.search(ALICE).entries[0].texts("uidNumber") != [before], "another number")
            (entry,) = client.search(ALICE).entries
            assert int(entry.texts("uidNumber")[0]) == int(before) - 2000 + 500_000
            assert client.who_am_i() == f"dn:{user_dn('search')}", "the connection goes on"
        finally:
            directory.garrison.apply({"providers": [{**provider, "uid_start_number": 2000}]})
            eventually(lambda: alice(directory.port, directory.search) == [before], "the number of before")
