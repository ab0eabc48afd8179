"""Bytes cut into messages, however they come."""

import sys
import time
from itertools import pairwise

import pytest

from dataplane.protocols.ldap.faults import Crowded, TooLong
from dataplane.protocols.ldap.messages import Delete, Message, ResultCode, Unbind
from dataplane.sansio import PeerError
from tests.dataplane.protocols.ldap.vectors import REQUESTS
from tests.support import ldap_ber
from tests.support.ldap_forms import Codec

STREAM = b"".join(data for _, _, data in REQUESTS)
MESSAGES = [message for _, message, _ in REQUESTS]


def test_byte_by_byte(codec: Codec) -> None:
    session = codec.session.LdapSession()
    found: list[Message] = []
    for at in range(len(STREAM)):
        session.receive(STREAM[at : at + 1])
        found += session.events()
    assert found == MESSAGES
    assert session.pending == 0


@pytest.mark.parametrize("size", [2, 3, 7, 16, 100, 1000, len(STREAM)])
def test_in_pieces(codec: Codec, size: int) -> None:
    session = codec.session.LdapSession()
    found: list[Message] = []
    for start, end in pairwise([*range(0, len(STREAM), size), len(STREAM)]):
        session.receive(STREAM[start:end])
        found += session.events()
    assert found == MESSAGES
    assert session.pending == 0


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_each_message_as_soon_as_it_is_whole(codec: Codec, cut: int) -> None:
    first, second = ldap_ber.message(1, ldap_ber.bind("cn=x", "y" * 40)), ldap_ber.message(2, ldap_ber.unbind())
    session = codec.session.LdapSession()
    session.receive(first[:cut])
    assert (list(session.events()), session.pending) == ([], cut)
    session.receive(first[cut:] + second[:-1])
    assert [message.id for message in session.events()] == [1]
    assert session.pending == len(second) - 1
    session.receive(second[-1:])
    assert [message.id for message in session.events()] == [2]
    assert session.pending == 0


def test_more_may_arrive_between_two_messages(codec: Codec) -> None:
    session = codec.session.LdapSession()
    session.receive(ldap_ber.message(1, ldap_ber.unbind()) + ldap_ber.message(2, ldap_ber.unbind()))
    events = session.events()
    assert next(events).id == 1
    session.receive(ldap_ber.message(3, ldap_ber.unbind()))
    assert [message.id for message in events] == [2, 3]


def test_what_is_behind_a_message_is_pending_until_asked_for(codec: Codec) -> None:
    session = codec.session.LdapSession()
    second = ldap_ber.message(2, ldap_ber.unbind())
    session.receive(ldap_ber.message(1, ldap_ber.extended("1.3.6.1.4.1.1466.20037")) + second)
    next(session.events())
    assert session.pending == len(second)


def test_unfinished_messages_share_a_room(codec: Codec) -> None:
    room = codec.session.Room(3000)
    first, second = (codec.session.LdapSession(room=room) for _ in range(2))
    message = ldap_ber.message(1, ldap_ber.bind("cn=x", "y" * 2000))
    for session in (first, second):
        session.receive(message[:10])
        assert list(session.events()) == []
    first.receive(message[10:-1])
    assert list(first.events()) == []
    second.receive(message[10:-1])
    with pytest.raises(Crowded):
        list(second.events())
    second.release()
    first.receive(message[-1:])
    assert [each.id for each in first.events()] == [1]
    assert room.left == 3000, "what is whole takes no room any more"


def test_nothing_and_the_end_are_nothing(codec: Codec) -> None:
    session = codec.session.LdapSession()
    assert list(session.events()) == []
    session.receive(b"\x30")
    session.receive(b"")
    assert list(session.events()) == []


@pytest.mark.parametrize("byte", [byte for byte in range(256) if byte != 0x30])
def test_garbage_is_refused_at_its_first_byte(codec: Codec, byte: int) -> None:
    session = codec.session.LdapSession()
    session.receive(bytes((byte,)))
    with pytest.raises(PeerError, match=f"can't begin with {byte:#04x}"):
        list(session.events())


def test_garbage_behind_a_message_comes_after_it(codec: Codec) -> None:
    session = codec.session.LdapSession()
    session.receive(ldap_ber.message(1, ldap_ber.unbind()) + b"GET / HTTP/1.1\r\n")
    events = session.events()
    assert next(events) == Message(id=1, request=Unbind())
    with pytest.raises(PeerError) as caught:
        next(events)
    assert caught.value.code == ResultCode.PROTOCOL_ERROR


def test_what_is_broken_stays_broken(codec: Codec) -> None:
    session = codec.session.LdapSession()
    session.receive(ldap_ber.sequence(ldap_ber.integer(0)))
    for _ in range(2):
        with pytest.raises(PeerError, match="a message id out of range"):
            list(session.events())
        session.receive(ldap_ber.message(1, ldap_ber.unbind()))


@pytest.mark.parametrize(
    ("header", "size"),
    [
        ("30 84 7fffffff", 2**31 + 5),
        ("30 83 010000", 65_536 + 5),
        ("30 82 fffd", 65_536 + 1),
        ("30 88 ffffffffffffffff", 2**64 + 9),
    ],
)
def test_a_length_over_the_limit_is_refused_by_its_header(codec: Codec, header: str, size: int) -> None:
    session = codec.session.LdapSession()
    data = bytes.fromhex(header)
    session.receive(data[:-1])
    assert list(session.events()) == []
    session.receive(data[-1:])
    with pytest.raises(TooLong, match=f"a message of {size} bytes, at most 65536 are taken"):
        list(session.events())


@pytest.mark.parametrize("header", ["30 80", "30 ff", "30 89"])
def test_a_length_that_ldap_does_not_have_is_refused_by_its_first_byte(codec: Codec, header: str) -> None:
    session = codec.session.LdapSession()
    session.receive(bytes.fromhex(header))
    with pytest.raises(PeerError, match="a length"):
        list(session.events())


def sized(size: int, number: int = 1) -> bytes:
    """A message of so many bytes, more than 128 and at most 65,535."""
    data = ldap_ber.message(number, ldap_ber.octets("x" * (size - 11), 0x4A))
    assert len(data) == size
    return data


def test_the_limit_counts_the_whole_message(codec: Codec) -> None:
    session = codec.session.LdapSession(limit=1000)
    session.receive(sized(1000) + sized(1001, 2))
    events = session.events()
    assert next(events).id == 1
    with pytest.raises(TooLong):
        next(events)


def test_the_limit_may_change_between_two_messages(codec: Codec) -> None:
    session = codec.session.LdapSession(limit=400)
    session.receive(sized(400) + sized(1001, 2))
    events = session.events()
    assert next(events).id == 1
    session.limit = 1001
    assert next(events).id == 2


def test_dripping_bytes_cost_no_more_than_as_many_in_all(codec: Codec) -> None:
    """A megabyte byte by byte: copied anew for each byte it would take minutes."""
    contents = b"x" * (1 << 20)
    data = ldap_ber.message(1, ldap_ber.octets(contents, 0x4A))
    session = codec.session.LdapSession(limit=1 << 21)
    began = time.process_time()
    for at in range(len(data)):
        session.receive(data[at : at + 1])
        if at % 16 == 0:
            assert not list(session.events())
    assert [message.request for message in session.events()] == [Delete(contents.decode())]
    assert time.process_time() - began < 20


def test_many_messages_at_once_cost_no_more_than_one_by_one(codec: Codec) -> None:
    one = ldap_ber.message(1, ldap_ber.unbind())
    session = codec.session.LdapSession()
    began = time.process_time()
    session.receive(one[:3])
    session.receive(one[3:] + one * 100_000)  # a cut one first, so that all lie behind it
    assert sum(1 for _ in session.events()) == 100_001
    assert time.process_time() - began < 20


def test_nothing_is_kept_of_what_was_read(codec: Codec) -> None:
    session = codec.session.LdapSession(limit=1 << 20)
    data = sized(60_000)
    for at in range(0, len(data), 1000):
        session.receive(data[at : at + 1000])
        list(session.events())
    assert session.pending == 0
    assert all(sys.getsizeof(getattr(session, name)) < 1000 for name in ("_partial",))


def test_answers_go_out_as_they_are(codec: Codec) -> None:
    assert codec.session.LdapSession().send(b"\x30\x00") == b"\x30\x00"
