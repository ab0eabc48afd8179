"""Operations of one connection: pipelines, abandon, limits, passwords."""

import socket
from dataclasses import replace

import gevent
import pytest
from gevent.event import Event

from dataplane.protocols.ldap.handler import MOST_UNSENT
from dataplane.protocols.ldap.service import OperationLimits
from tests.dataplane.io.lines import until
from tests.dataplane.protocols.ldap.serving import (
    ALICE,
    BASE,
    CROWD,
    ME,
    PASSWORD,
    PROVIDER,
    QUICK,
    codes_of,
    ended,
    last_words,
    serving,
    user_dn,
)
from tests.support import ldap_ber as ber
from tests.support.ldap_ber import Search
from tests.support.ldap_client import PASSWORD_MODIFY, WHO_AM_I
from tests.support.ldap_client import Ended as Closed

MANAGE_DSA_IT = "2.16.840.1.113730.3.4.2"


def test_what_would_change_the_directory_is_refused_for_everybody() -> None:
    changes = [
        ber.sequence(ber.octets(user_dn("alice")), ber.sequence(), tag=0x68),
        ber.sequence(ber.octets(user_dn("alice")), ber.sequence(), tag=0x66),
        ber.octets(user_dn("alice"), 0x4A),
        ber.sequence(ber.octets(user_dn("alice")), ber.octets("cn=b"), ber.boolean(True), tag=0x6C),
    ]
    with serving() as world, world.client() as client, world.client("search") as searcher:
        for each in (client, searcher):
            for change in changes:
                found = each.ask(change)
                assert found.code == 53
                assert "Garrison" in found.text


def test_an_extended_operation_that_is_not_served() -> None:
    with serving() as world, world.client() as client:
        assert client.ask(ber.extended("1.3.6.1.1.8", b"")).code == 2
        assert client.ask(ber.extended(WHO_AM_I)).code == 0


@pytest.mark.parametrize(
    ("operation", "control", "code"),
    [
        (ME.ber, "1.2.3", 12),
        (ME.ber, MANAGE_DSA_IT, 0),
        (ber.compare(user_dn("alice"), "uid", "alice"), MANAGE_DSA_IT, 6),
        (ber.compare(user_dn("alice"), "uid", "alice"), ber.PAGED, 12),
        (ber.bind("", ""), ber.PAGED, 12),
        (ber.extended(WHO_AM_I), "1.2.3", 12),
        (ber.octets(user_dn("alice"), 0x4A), "1.2.3", 12),
    ],
)
def test_critical_controls(operation: bytes, control: str, code: int) -> None:
    with serving() as world, world.client("alice") as client:
        assert client.ask(operation, ber.control(control, critical=True)).code == code
        assert client.ask(operation, ber.control("1.2.3")).code not in (12, 2)


def test_compare() -> None:
    with serving() as world, world.client("alice") as client:
        for value, code in (("alice", 6), ("ALICE", 6), ("bob", 5)):
            assert client.ask(ber.compare(user_dn("alice"), "uid", value)).code == code
        assert client.ask(ber.compare(user_dn("alice"), "noSuchThing", "x")).code == 17


def test_a_pipeline_is_answered() -> None:
    with serving() as world, world.client("alice") as client:
        numbers = [client.send(ME.ber) for _ in range(50)]
        found = client.answers(numbers)
        assert [found[number].dns for number in numbers] == [[user_dn("alice")]] * 50


def test_a_long_search_keeps_nobody_waiting_and_can_be_abandoned() -> None:
    with serving() as world, world.client("search") as client:
        world.change(*CROWD)
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        long = client.send(Search(base=BASE, attributes=("*", "+")).ber)
        short = client.send(ME.ber)
        client.send(ber.abandon(long))
        last = client.send(ber.extended(WHO_AM_I))
        ends: list[int] = []
        while last not in ends:
            heard = client.receive()
            if heard.tag != ber.ENTRY:
                ends.append(heard.number)
        assert ends == [short, last], "of what was abandoned the end never comes"
        assert client.who_am_i() == f"dn:{user_dn('search')}"


def test_a_bind_abandons_what_is_under_way() -> None:
    with serving() as world, world.client("search") as client:
        world.change(*CROWD)
        client.send(Search(base=BASE).ber)
        bound = client.send(ber.bind(user_dn("alice"), PASSWORD))
        while client.receive().number != bound:
            continue
        assert client.who_am_i() == f"dn:{user_dn('alice')}"


def test_a_message_id_that_is_in_use_ends_the_connection() -> None:
    with serving() as world, world.client("search") as client:
        world.change(*CROWD)
        client.socket.sendall(ber.message(99, Search(base=BASE).ber) * 2)
        while client.receive().number:
            continue
        with pytest.raises(Closed):
            client.receive()


def test_too_much_at_once_is_refused_and_counted() -> None:
    with serving(operations=OperationLimits(operations=3)) as world, world.client("search") as client:
        world.change(*CROWD)
        world.gate.slowly = 0.2
        change = ber.sequence(ber.octets("old", 0x81))
        numbers = [client.send(ber.extended(PASSWORD_MODIFY, change)) for _ in range(3)]
        assert codes_of(client, numbers) == {numbers[0]: 0, numbers[1]: 0, numbers[2]: 51}
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        for _ in range(5):
            client.send(Search(base=BASE, attributes=("*", "+")).ber)
        until(lambda: world.limits() == {"password_changes": 1, "operations": 2})
        rejected = "authentik_outpost_ldap_requests_rejected_total"
        assert world.count(rejected, type="search", reason="busy") == 2


def test_who_reads_nothing_takes_little() -> None:
    """Of all that is asked for, what is found waits for the reader, and not in memory."""
    with serving() as world, world.client("search") as client:
        world.change(*CROWD)
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        for _ in range(90):
            client.send(Search(base=BASE, attributes=("*", "+")).ber)
        (connection,) = world.connections()
        until(lambda: connection.busy >= 80)
        gevent.sleep(0.2)
        assert connection.unsent < MOST_UNSENT


def test_when_all_together_leave_too_much_unread_the_one_with_most_is_cut() -> None:
    # How much is found at a time, and so waits at a time, is a matter of the machine's speed.
    with serving(limits=replace(QUICK, write=60, unsent=0)) as world, world.client("search") as reader:
        world.change(*CROWD)
        with world.client("search") as client:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
            for _ in range(3):
                client.send(Search(base=BASE, attributes=("*", "+")).ber)
            until(lambda: world.limits().get("unsent", 0) >= 1)
            until(lambda: world.server.connections == 1)
        assert reader.search(ME).dns == [user_dn("alice")]


def test_what_is_malformed_in_itself_is_answered_and_what_breaks_the_encoding_ends_the_connection() -> None:
    with serving() as world, world.client() as client, world.client() as other:
        assert client.ask(Search(base=BASE, scope=9).ber).code == 2
        client.socket.sendall(b"\x30\x03\x02\x01\x07garbage")
        code, _ = last_words(client)
        assert code == 2
        assert other.who_am_i() == ""
        assert world.limits() == {"malformed": 1}


def test_garbage_ends_its_own_connection_only() -> None:
    with serving() as world, world.client("alice") as other:
        for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"\0" * 100, b"PROXY TCP4 x\r\n"):
            with world.client() as client:
                client.socket.sendall(garbage)
                assert last_words(client)[0] == 2
        assert other.who_am_i() == f"dn:{user_dn('alice')}"


def test_messages_are_bounded_and_more_so_of_strangers() -> None:
    limits = OperationLimits(message=2000, bound_message=20_000)
    long = ber.bind(user_dn("x" * 3000), "x")
    with serving(operations=limits) as world:
        with world.client() as client:
            client.socket.sendall(ber.message(1, long)[:20])
            assert last_words(client)[0] == 2
        with world.client("alice") as client:
            assert client.ask(long).code == 49
            client.socket.sendall(ber.message(9, long))
            assert last_words(client)[0] == 2, "nobody again, and bounded as such"
        assert world.limits() == {"message_size": 2}


# Passwords.


def test_a_password_is_changed() -> None:
    with serving() as world, world.client("alice") as client:
        change = ber.sequence(ber.octets("old", 0x81), ber.octets("new", 0x82))
        found = client.ask(ber.extended(PASSWORD_MODIFY, change))
        assert (found.code, found.value) == (0, None)
        (asked,) = world.gate.changes
        assert (asked.provider, asked.username, asked.present, asked.wanted) == (PROVIDER.id, "alice", "old", "new")
        assert client.who_am_i() == f"dn:{user_dn('alice')}"


def test_a_revocation_waits_for_the_answer_to_a_password_change() -> None:
    with serving() as world, world.client("alice") as client:
        world.gate.slowly = 0.1
        number = client.send(ber.extended(PASSWORD_MODIFY, ber.sequence(ber.octets("old", 0x81))))
        until(lambda: bool(world.gate.changes))
        assert not world.apply({"ended/subject/a": ended(subject=ALICE.id)})
        assert codes_of(client, [number]) == {number: 0}
        # No notice, which a client that reads both at once would take for the answer.
        with pytest.raises(Closed):
            client.receive()


def test_a_password_change_that_was_abandoned_is_not_answered() -> None:
    with serving() as world, world.client("alice") as client:
        world.gate.held = Event()
        number = client.send(ber.extended(PASSWORD_MODIFY, ber.sequence(ber.octets("old", 0x81))))
        until(lambda: bool(world.gate.changes))  # what has not begun would not be answered anyway
        client.send(ber.abandon(number))
        assert client.who_am_i() == f"dn:{user_dn('alice')}"
        world.gate.held.set()
        until(lambda: not world.connections()[0].busy)
        assert client.who_am_i() == f"dn:{user_dn('alice')}"
        assert len(world.gate.changes) == 1


def test_a_bind_waits_for_a_password_change() -> None:
    with serving() as world, world.client("alice") as client:
        world.gate.slowly = 0.1
        change = ber.extended(PASSWORD_MODIFY, ber.sequence(ber.octets("old", 0x81)))
        client.socket.sendall(ber.message(50, change) + ber.message(51, ber.bind("", "")))
        client.socket.sendall(ber.message(52, ber.extended(WHO_AM_I)))
        assert [client.receive().number for _ in range(3)] == [50, 51, 52]
