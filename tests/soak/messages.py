"""A million LDAP messages that are wrong somewhere: read, or refused as the peer's fault, in both forms of the codec.

Each goes the way of a client's bytes: into a session, in pieces, and as far as a name or a control's value is read from
it. Nothing else may be raised, both forms must agree, and memory must not grow.
"""

import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from dataplane.protocols.ldap import dn
from dataplane.protocols.ldap.messages import Extended, Malformed, Message, Search
from dataplane.sansio import PeerError
from tests.dataplane.protocols.ldap.vectors import REQUESTS
from tests.support import ldap_ber
from tests.support.ldap_forms import Codec, interpreted, running
from tests.support.ldap_mutations import mutated

MORE_MEMORY = 20.0
"""MiB that the process may have more at the end than after its first tenth."""
MOST_SHOWN = 10
LARGE = (
    ldap_ber.message(1, ldap_ber.Search(base="dc=x", attributes=["cn"] * 500).ber),
    ldap_ber.message(1, ldap_ber.Search(base="dc=x", filter=ldap_ber.every(*[ldap_ber.equal("uid", "x")] * 200)).ber),
    ldap_ber.message(
        1, ldap_ber.extended("1.3.6.1.4.1.4203.1.11.1", bytes.fromhex("300c 8001 78 8101 6f 8204 6e6e6e6e"))
    ),
    ldap_ber.message(
        1, ldap_ber.Search(base=r"cn=a\,b\20c+uid=x,dc=#0c0161").ber, ldap_ber.paged(900, b"x"), ldap_ber.sort("cn")
    ),
)
CORPUS = (*(data for _, _, data in REQUESTS), *LARGE)

Outcome = Message | str


def problems(count: int, chance: random.Random, say: Callable[[str], None]) -> Iterator[str]:
    """Send so many messages; say how it went."""
    forms = (interpreted(), running())
    outcomes: Counter[str] = Counter()
    began, before, found = time.monotonic(), _memory(), 0
    for number in range(count):
        if number == count // 10:
            before = _memory()
        stream = b"".join(mutated(chance.choice(CORPUS), CORPUS, chance) for _ in range(chance.choice((1, 1, 1, 3))))
        cut = chance.randrange(len(stream) + 1)
        try:
            first, second = (_read(codec, [stream[:cut], stream[cut:]]) for codec in forms)
        except Exception as error:  # noqa: BLE001  whatever it is, it is what is looked for
            yield f"{error!r} from {stream.hex()}"
            found += 1
        else:
            outcomes.update(_named(outcome) for outcome in first)
            if first != second:
                yield f"{first} interpreted, {second} compiled, from {stream.hex()}"
                found += 1
        if found == MOST_SHOWN:
            return
    grown = _memory() - before
    say(f"{count} wrong LDAP messages in {time.monotonic() - began:.0f} s, {grown:+.1f} MiB: {_listed(outcomes)}")
    if grown > MORE_MEMORY:
        yield f"{grown:.1f} MiB more after {count} messages"


def _read(codec: Codec, pieces: list[bytes]) -> list[Outcome]:
    session = codec.session.LdapSession()
    found: list[Outcome] = []
    try:
        for piece in pieces:
            session.receive(piece)
            for message in session.events():
                _look_into(codec, message)
                found.append(message)
    except PeerError as error:
        found.append(error.reason)
    return found


def _look_into(codec: Codec, message: Message) -> None:
    """Read what a handler would read next."""
    match message.request:
        case Search(base=base):
            with suppress(ValueError):
                dn.normalise(base)
        case Extended(value=value):
            with suppress(PeerError):
                codec.values.decode_password_modify(value)
        case Malformed(response=response):
            codec.wire.encode_response(message.id, response)
        case _:
            pass
    for control in message.controls:
        for decode in (codec.values.decode_paged, codec.values.decode_sort):
            with suppress(PeerError):
                decode(control.value)


def _named(outcome: Outcome) -> str:
    return "refused" if isinstance(outcome, str) else type(outcome.request).__name__


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.most_common())


def _memory() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
