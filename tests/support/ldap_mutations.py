"""LDAP messages that are wrong in some place: what a fuzzer, a bug or a cut line makes of good ones."""

import random
from collections.abc import Callable, Sequence

from tests.support import ldap_ber

INTERESTING = (
    0x00,
    0x01,
    0x02,
    0x04,
    0x0A,
    0x30,
    0x31,
    0x63,
    0x7F,
    0x80,
    0x81,
    0x84,
    0x88,
    0xA0,
    0xA2,
    0xA4,
    0xC3,
    0xFF,
)
HOW_MANY = (1, 1, 1, 2, 3, 6)


def mutated(data: bytes, corpus: Sequence[bytes], chance: random.Random) -> bytes:
    """The message with a few things changed, sometimes with lengths that fit again. It may still be a good one."""
    for _ in range(chance.choice(HOW_MANY)):
        data = chance.choice(_WAYS)(data, corpus, chance)
    return _fitting(data) if data and chance.random() < 0.5 else data


def _flip(data: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    if not data:
        return data
    at = chance.randrange(len(data))
    return data[:at] + bytes((data[at] ^ 1 << chance.randrange(8),)) + data[at + 1 :]


def _put(data: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    at = chance.randrange(len(data) + 1)
    return data[:at] + bytes((chance.choice(INTERESTING),)) + data[at + chance.randrange(2) :]


def _cut(data: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data) + 1)]


def _without(data: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    start = chance.randrange(len(data) + 1)
    return data[:start] + data[start + chance.randrange(1, 9) :]


def _twice(data: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    start = chance.randrange(len(data) + 1)
    piece = data[start : start + chance.randrange(1, 33)]
    return data[:start] + piece * chance.randrange(2, 5) + data[start:]


def _spliced(data: bytes, corpus: Sequence[bytes], chance: random.Random) -> bytes:
    other = chance.choice(corpus)
    return data[: chance.randrange(len(data) + 1)] + other[chance.randrange(len(other) + 1) :]


def _lengthened(data: bytes, _: Sequence[bytes], chance: random.Random) -> bytes:
    """A length in some place, in a form of chance."""
    at = chance.randrange(len(data) + 1)
    octets = chance.randrange(0, 12)
    return data[:at] + bytes((0x80 | octets,)) + chance.randbytes(octets) + data[at:]


_WAYS: tuple[Callable[[bytes, Sequence[bytes], random.Random], bytes], ...] = (
    _flip,
    _put,
    _cut,
    _without,
    _twice,
    _spliced,
    _lengthened,
)


def _fitting(data: bytes) -> bytes:
    """The envelope's length made right, so that what is inside is read."""
    _, start, _ = ldap_ber.header(data, 0)
    return ldap_ber.sequence(data[start:])
