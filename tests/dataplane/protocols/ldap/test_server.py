"""Operations of one connection and what ends it: pipelines, abandon, StartTLS, revocations, limits, drains."""

import socket
import ssl
from collections.abc import Sequence
from dataclasses import replace

import gevent
import pytest
from gevent.ssl import SSLContext

from dataplane.config import Changed, DirectoryEdit, Edit, Ended
from dataplane.protocols.ldap.handler import MOST_UNSENT
from dataplane.protocols.ldap.service import OperationLimits
from tests.dataplane.io.lines import until
from tests.dataplane.protocols.ldap.serving import (
    ALICE,
    BASE,
    CACHED,
    PASSWORD,
    PROVIDER,
    QUICK,
    SEARCH,
    SEARCHERS,
    STAFF,
    Client,
    certificate,
    entries,
    serving,
    session_of,
    user_dn,
)
from tests.support import ldap_ber as ber
from tests.support.ldap_ber import Search, equal
from tests.support.ldap_client import PASSWORD_MODIFY, START_TLS, WHO_AM_I
from tests.support.ldap_client import Ended as Closed
from tests.support.ldap_people import directory_user
from tests.support.verifying import NOW

UNTIL = NOW + 1e6
NOTICE = "1.3.6.1.4.1.1466.20036"
MANAGE_DSA_IT = "2.16.840.1.113730.3.4.2"
ME = Search(base=BASE, filter=equal("uid", "alice"), attributes=("1.1",))
CROWD = [replace(directory_user(f"user{number:05}"), number=10 + number) for number in range(6000)]


def last_words(client: Client) -> tuple[int, str]:
    """The notice of disconnection and nothing behind it."""
    heard = client.receive()
    assert heard.number == 0, heard
    notice = ber.answer(heard.operation, heard.controls, ())
    assert notice.oid == NOTICE
    with pytest.raises(Closed):
        client.receive()
    return notice.code, notice.text


def trusting(chain: str | None = None) -> SSLContext:
    context = SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    if chain is None:
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(cadata=chain)
    return context


def drain_in(client: Client, numbers: Sequence[int]) -> dict[int, int]:
    return {number: answer.code for number, answer in client.answers(numbers).items()}


# Operations.


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
        assert drain_in(client, numbers) == {numbers[0]: 0, numbers[1]: 0, numbers[2]: 51}
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        for _ in range(5):
            client.send(Search(base=BASE, attributes=("*", "+")).ber)
        until(lambda: world.limits() == {"password_changes": 1, "operations": 2})
        rejected = "authentik_outpost_ldap_requests_rejected_total"
        assert world.count(rejected, type="search", reason="busy") == 2


def test_who_reads_nothing_takes_little() -> None:
    """Of all that is asked for, what is found waits for the reader, and not in memory."""
    with serving(limits=replace(QUICK, write=5)) as world, world.client("search") as client:
        world.change(*CROWD)
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
        for _ in range(90):
            client.send(Search(base=BASE, attributes=("*", "+")).ber)
        (connection,) = world.connections()
        until(lambda: connection.busy >= 80)
        gevent.sleep(0.2)
        assert connection.unsent < MOST_UNSENT


def test_when_all_together_leave_too_much_unread_the_one_with_most_is_cut() -> None:
    with serving(limits=replace(QUICK, write=5, unsent=20_000)) as world, world.client("search") as reader:
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
        assert drain_in(client, [number]) == {number: 0}
        assert last_words(client)[0] == 8


def test_a_password_change_that_was_abandoned_is_not_answered() -> None:
    with serving() as world, world.client("alice") as client:
        world.gate.slowly = 0.1
        number = client.send(ber.extended(PASSWORD_MODIFY, ber.sequence(ber.octets("old", 0x81))))
        client.send(ber.abandon(number))
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


# TLS.


def test_start_tls_makes_anonymous_and_happens_once() -> None:
    web = certificate()
    with serving() as world, world.client("alice") as client:
        provider = replace(PROVIDER, certificate="certificate/web")
        assert not world.apply({"certificate/web": web, f"provider/{PROVIDER.id}": provider})
        client.start_tls(trusting(web.chain))
        assert client.who_am_i() == ""
        assert client.bind(user_dn("alice"), PASSWORD).code == 0
        found = client.ask(ber.extended(START_TLS))
        assert (found.code, found.oid) == (1, START_TLS)
        assert client.who_am_i() == f"dn:{user_dn('alice')}"


def test_start_tls_is_refused_while_anything_else_is_under_way() -> None:
    with serving() as world, world.client("alice") as client:
        world.gate.slowly = 0.2
        changing = client.send(ber.extended(PASSWORD_MODIFY, ber.sequence(ber.octets("old", 0x81))))
        starting = client.send(ber.extended(START_TLS))
        assert drain_in(client, [changing, starting]) == {changing: 0, starting: 1}
        pipelined = ber.message(50, ber.extended(START_TLS)) + ber.message(51, ber.extended(WHO_AM_I))
        client.socket.sendall(pipelined)
        assert drain_in(client, [50, 51]) == {50: 1, 51: 0}, "what came in the clear is not taken for what is secure"


def test_start_tls_on_tls() -> None:
    with serving() as world, Client(world.tls_port) as client:
        client.socket = trusting().wrap_socket(client.socket, server_hostname="localhost")
        assert client.ask(ber.extended(START_TLS)).code == 1
        assert client.bind(user_dn("alice"), PASSWORD).code == 0


def served(world_port: int, name: str | None) -> bytes:
    """The certificate that is shown to who asks for this name."""
    with Client(world_port) as client:
        context = trusting()
        with context.wrap_socket(client.socket, server_hostname=name) as secured:
            shown = secured.getpeercert(binary_form=True)
        assert shown is not None
        return bytes(shown)


def der(chain: str) -> bytes:
    return ssl.PEM_cert_to_DER_cert(chain)


def test_certificates_by_name() -> None:
    one, other = certificate("one"), certificate("other")
    named = replace(PROVIDER, certificate="certificate/one", tls_server_name="LDAP.example.com")
    elsewhere = replace(
        PROVIDER,
        id="p2",
        name="Elsewhere",
        base_dn="dc=other",
        certificate="certificate/other",
        tls_server_name="other.example.com",
    )
    with serving(named) as world:
        assert served(world.tls_port, "ldap.example.com") not in {der(one.chain), der(other.chain)}
        assert not world.apply({"certificate/one": one, "certificate/other": other, "provider/p2": elsewhere})
        assert served(world.tls_port, "ldap.example.com") == der(one.chain)
        assert served(world.tls_port, "OTHER.example.com") == der(other.chain)
        for name in ("whatever.example.com", None):
            assert served(world.tls_port, name) == der(one.chain), "that of the first by name"
        assert not world.apply({}, "certificate/one")
        assert served(world.tls_port, "ldap.example.com") == der(other.chain)


# What ends connections.


def ended(session: str = "", subject: str = "", provider: str = "", before: float = NOW + 10) -> Ended:
    return Ended(session=session, subject=subject, provider=provider, before=before, until=UNTIL)


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
    limits = OperationLimits(idle=0.1, bound_idle=0.4)
    with serving(operations=limits) as world, world.client() as stranger, world.client("alice") as client:
        assert stranger.who_am_i() == ""
        with pytest.raises(Closed):
            stranger.receive()
        assert client.who_am_i() == f"dn:{user_dn('alice')}"
        with pytest.raises(Closed):
            client.receive()
        assert world.limits() == {"idle_timeout": 2}


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
        assert drain_in(busy, [number]) == {number: 0}
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
