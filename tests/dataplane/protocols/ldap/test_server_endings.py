"""What ends connections: revocations, silence, slow readers, drains; and what changes while they are open."""

from dataclasses import replace

import gevent
import pytest

from dataplane.config import Changed, DirectoryEdit, Edit, Ended
from dataplane.protocols.ldap.service import OperationLimits
from tests.dataplane.io.lines import until
from tests.dataplane.protocols.ldap.serving import (
    ALICE,
    BASE,
    CACHED,
    CROWD,
    ME,
    PASSWORD,
    PROVIDER,
    QUICK,
    SEARCH,
    SEARCHERS,
    STAFF,
    UNTIL,
    Client,
    codes_of,
    ended,
    entries,
    last_words,
    serving,
    session_of,
    trusting,
    user_dn,
)
from tests.support import ldap_ber as ber
from tests.support.ldap_ber import Search, equal
from tests.support.ldap_client import PASSWORD_MODIFY, WHO_AM_I
from tests.support.ldap_client import Ended as Closed
from tests.support.verifying import NOW


@pytest.mark.parametrize(
    ("resource", "reason"),
    [
        (ended(session="alice-1"), "session_ended"),
        (ended(subject=ALICE.id), "session_ended"),
        (ended(provider=PROVIDER.id), "session_ended"),
        (
            Changed(
                identity=session_of(ALICE).identity,
                at=NOW + 10,
                until=UNTIL,
                denied_providers=frozenset({PROVIDER.id}),
            ),
            "access_denied",
        ),
    ],
)
def test_a_revocation_ends_connections_at_once(resource: Ended | Changed, reason: str) -> None:
    with serving() as world, world.client("alice") as client, world.client() as anonymous:
        assert not world.apply({"r": resource})
        assert last_words(client)[0] == 8
        assert anonymous.who_am_i() == ""
        assert world.count("garrison_ldap_ended_total", reason=reason) == 1
        until(lambda: world.count("garrison_ldap_bound_connections") == 0)
        (event,) = world.server.take_events()
        assert (event.subject, event.reason) == (ALICE.id, reason.replace("_", " "))


@pytest.mark.parametrize(
    "resource",
    [
        ended(session="alice-9"),
        ended(subject="somebody"),
        ended(provider="p9"),
        ended(subject=ALICE.id, before=NOW - 10),
        Changed(identity=session_of(ALICE).identity, at=NOW + 10, until=UNTIL, denied_providers=frozenset({"p9"})),
    ],
)
def test_and_leaves_those_alone_that_it_does_not_concern(resource: Ended | Changed) -> None:
    with serving() as world, world.client("alice") as client:
        assert not world.apply({"r": resource})
        assert client.who_am_i() == f"dn:{user_dn('alice')}"


def test_who_binds_anew_is_judged_by_the_new_session() -> None:
    with serving(CACHED) as world, world.client("alice") as client:
        assert client.bind(user_dn("bob"), PASSWORD).code == 0
        assert not world.apply({"r": ended(subject=ALICE.id)})
        assert client.who_am_i() == f"dn:{user_dn('bob')}"


def test_a_provider_that_goes_or_moves_takes_its_connections_along() -> None:
    with serving() as world:
        key = f"provider/{PROVIDER.id}"
        with world.client("alice") as client:
            assert not world.apply({key: replace(PROVIDER, name="Renamed", size_limit=5)})
            assert client.who_am_i() == f"dn:{user_dn('alice')}"
            assert not world.apply({key: replace(PROVIDER, base_dn="dc=moved")})
            assert last_words(client)[0] == 8
        assert not world.apply({key: PROVIDER})
        with world.client("alice") as client:
            assert not world.apply({}, key)
            assert last_words(client)[0] == 8


def test_a_session_that_runs_out_ends_with_the_next_operation() -> None:
    with serving() as world, world.client("alice") as client:
        world.clock.now = NOW + 90_000
        client.send(ber.extended(WHO_AM_I))
        assert last_words(client)[0] == 8
        assert world.count("garrison_ldap_ended_total", reason="session_expired") == 1


def test_rights_follow_the_directory_at_each_operation() -> None:
    with serving() as world, world.client("alice") as client:
        others = Search(base=BASE, filter=equal("uid", "bob"), attributes=("1.1",))
        assert client.search(others).dns == []
        world.change(replace(ALICE, groups=(STAFF.id, SEARCHERS.id)))
        assert client.search(others).dns == [user_dn("bob")]
        world.change(ALICE)
        assert client.search(others).dns == []


def test_who_reads_slowly_is_sent_no_more_than_is_on_the_way_when_it_is_over() -> None:
    with serving() as world, world.client("search") as client:
        world.change(*CROWD)
        for _ in range(8):
            client.send(Search(base=BASE).ber)
        assert client.receive().tag == ber.ENTRY
        assert not world.apply({"ended/subject/s": ended(subject=SEARCH.id)})
        seen = 1
        while client.receive().number:
            seen += 1
        assert seen < 4 * len(CROWD)
        with pytest.raises(Closed):
            client.receive()


# Time and drains.


def test_idle_connections_are_closed_later_when_they_are_bound() -> None:
    limits = OperationLimits(idle=0.1, bound_idle=60)
    with serving(operations=limits) as world, world.client() as stranger, world.client("alice") as client:
        assert stranger.who_am_i() == ""
        with pytest.raises(Closed):
            stranger.receive()
        assert client.who_am_i() == f"dn:{user_dn('alice')}"
        assert world.limits() == {"idle_timeout": 1}
    limits = OperationLimits(idle=60, bound_idle=0.1)
    with serving(operations=limits) as world, world.client() as stranger, world.client("alice") as client:
        with pytest.raises(Closed):
            client.receive()
        assert stranger.who_am_i() == ""
        assert world.limits() == {"idle_timeout": 1}


def test_who_says_nothing_or_half_a_message_is_cut() -> None:
    with serving(limits=replace(QUICK, message=0.15)) as world:
        for begun in (b"", b"\x30"):
            with world.client() as client:
                client.socket.sendall(begun)
                with pytest.raises(Closed):
                    client.receive()
        assert world.limits() == {"message_timeout": 2}


def test_who_reads_nothing_is_cut() -> None:
    with serving(limits=replace(QUICK, write=0.2)) as world, world.client("search") as client:
        world.change(*CROWD)
        for _ in range(40):
            client.send(Search(base=BASE).ber)
        until(lambda: world.server.connections == 0)
        assert world.limits()["write_timeout"] >= 1


def test_a_drain_ends_what_is_asked_and_says_goodbye() -> None:
    with serving() as world, world.client("alice") as idle, world.client("search") as busy:
        world.gate.slowly = 0.2
        number = busy.send(ber.extended(PASSWORD_MODIFY, ber.sequence(ber.octets("old", 0x81))))
        until(lambda: bool(world.gate.changes))
        drain = gevent.spawn(world.server.drain, 5.0)
        assert last_words(idle)[0] == 52
        assert codes_of(busy, [number]) == {number: 0}
        assert last_words(busy)[0] == 52
        drain.join(5)


def test_a_client_behind_a_proxy() -> None:
    with serving(trusted=("127.0.0.1/32",)) as world:
        with Client(world.port) as client:
            client.socket.sendall(b"PROXY TCP4 192.0.2.7 127.0.0.1 4000 389\r\n")
            assert client.bind(user_dn("alice"), PASSWORD).code == 0
        with Client(world.tls_port) as client:
            client.socket.sendall(b"PROXY TCP6 2001:db8::7 ::1 4000 636\r\n")
            client.socket = trusting().wrap_socket(client.socket, server_hostname="localhost")
            assert client.bind(user_dn("alice"), PASSWORD).code == 0
        with Client(world.port, "127.0.0.2") as client:
            client.socket.sendall(b"PROXY TCP4 192.0.2.7 127.0.0.1 4000 389\r\n")
            assert last_words(client)[0] == 2
        assert [each.client_address for each in world.gate.attempts] == ["192.0.2.7", "2001:db8::7"]


def test_who_has_bound_before_is_shown_by_what_is_served_now() -> None:
    key = f"provider/{PROVIDER.id}"
    with serving() as world, world.client("alice") as client:
        others = Search(base=BASE, filter=equal("uid", "bob"), attributes=("1.1",))
        assert client.search(others).dns == []
        assert not world.apply({key: replace(PROVIDER, search_group=STAFF.id)})
        assert client.search(others).dns == [user_dn("bob")]
        world.server.prepare(Edit(changed={key: PROVIDER}))
        assert client.search(others).dns == [user_dn("bob")], "what is only prepared is not in force"


def test_what_is_served_may_change_while_a_copy_comes() -> None:
    key = f"provider/{PROVIDER.id}"
    with serving(loaded=False) as world, world.client("alice") as client:
        many = entries(STAFF, ALICE, *CROWD)

        def change_meanwhile() -> None:
            if world.wanted == 1:
                assert not world.apply({key: replace(PROVIDER, gid_start_number=9000)})

        world.server.apply_directory(DirectoryEdit(changed=many, begins=True), change_meanwhile)
        assert world.wanted >= 2, "what shows more asks again"
        world.load(STAFF, ALICE)
        assert client.search(ME).dns == [user_dn("alice")]
        assert world.count("garrison_ldap_directory_loaded") == 1


def test_a_directory_is_asked_for_when_there_is_none_and_when_more_of_it_is_shown() -> None:
    with serving() as world:
        assert world.wanted == 1
        key = f"provider/{PROVIDER.id}"
        assert not world.apply({key: replace(PROVIDER, time_limit=5.0)})
        assert world.wanted == 1
        assert not world.apply({key: replace(PROVIDER, uid_start_number=9000)})
        assert world.wanted == 2
        assert world.count("garrison_ldap_directory_loaded") == 0
        with world.client("alice") as client:
            assert client.search(ME).dns == [user_dn("alice")], "what was served before still is"
        world.load(STAFF, ALICE)
        assert world.count("garrison_ldap_directory_loaded") == 1
