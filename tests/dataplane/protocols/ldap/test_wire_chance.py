"""Messages by chance: what is right comes back, what is not is the peer's fault, and both forms of the codec agree."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from dataplane.protocols.ldap.messages import Message
from dataplane.sansio import PeerError
from tests.dataplane.protocols.ldap.strategies import messages
from tests.dataplane.protocols.ldap.vectors import REQUESTS
from tests.support.ldap_encoding import encode
from tests.support.ldap_forms import Codec, compiled, interpreted
from tests.support.ldap_mutations import mutated

VALID = [data for _, _, data in REQUESTS]


def outcome(codec: Codec, data: bytes) -> Message | tuple[int, str]:
    """What a message is read as; any exception but PeerError fails the test."""
    try:
        found: Message = codec.wire.decode_message(data)
    except PeerError as error:
        return error.code, error.reason
    return found


def events(codec: Codec, pieces: list[bytes]) -> list[Message | tuple[int, str]]:
    """What a session makes of it."""
    session = codec.session.LdapSession()
    found: list[Message | tuple[int, str]] = []
    for piece in pieces:
        session.receive(piece)
        try:
            found.extend(session.events())
        except PeerError as error:
            return [*found, (error.code, error.reason)]
    return found


@given(messages)
def test_what_is_right_comes_back(message: Message) -> None:
    assert interpreted().wire.decode_message(encode(message)) == message


@given(messages)
def test_what_is_right_comes_back_compiled(message: Message) -> None:
    assert compiled().wire.decode_message(encode(message)) == message


@given(st.lists(messages, max_size=4), st.data())
def test_a_stream_is_the_same_however_it_is_cut(sent: list[Message], data: st.DataObject) -> None:
    stream = b"".join(map(encode, sent))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert events(interpreted(), pieces) == sent


@given(st.binary(max_size=200))
def test_garbage_is_the_peers_fault(data: bytes) -> None:
    outcome(interpreted(), data)
    outcome(interpreted(), b"\x30" + data)
    outcome(interpreted(), bytes((0x30, len(data) % 128)) + data[:127])
    events(interpreted(), [data])


@given(st.binary(max_size=120))
def test_garbage_in_a_good_envelope_is_the_peers_fault(data: bytes) -> None:
    for tag in (0x60, 0x63, 0x6E, 0x77, 0x68, 0xA0):
        outcome(interpreted(), bytes((0x30, 5 + len(data), 2, 1, 1, tag, len(data))) + data)


@settings(max_examples=300)
@given(st.integers(0, 2**64 - 1))
def test_mutations_are_the_peers_fault_and_the_same_in_both_forms(seed: int) -> None:
    chance = random.Random(seed)
    first, second = interpreted(), compiled()
    for _ in range(10):
        data = mutated(chance.choice(VALID), VALID, chance)
        assert outcome(first, data) == outcome(second, data)
        assert events(first, [data, data]) == events(second, [data, data])
