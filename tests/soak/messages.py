"""A million LDAP messages that are wrong somewhere: read, or refused as the peer's fault, in both forms of the codec.

Each goes the way of a client's bytes: into a session, in pieces, and what can be read is searched and compared for, by
somebody who sees all and somebody who sees little. Nothing else may be raised, both forms must agree, and memory must
not grow.
"""

import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from dataplane.protocols.ldap import search
from dataplane.protocols.ldap.messages import Compare, Extended, Malformed, Message, Search
from dataplane.protocols.ldap.trees import Trees
from dataplane.sansio import PeerError
from tests.dataplane.protocols.ldap.vectors import REQUESTS
from tests.support import ldap_ber as ber
from tests.support.ldap_forms import Codec, interpreted, running
from tests.support.ldap_mutations import mutated
from tests.support.ldap_trees import BASE, STAFF, Searcher, group, load, provider, user

MORE_MEMORY = 20.0
"""MiB that the process may have more at the end than after its first tenth."""
MOST_SHOWN = 10
STAFF_DN = f"cn={STAFF},ou=groups,{BASE}"
FILTERS = (
    ber.equal("uid", "ada"),
    ber.every(ber.equal("objectClass", "posixAccount"), ber.negated(ber.equal("uidNumber", "0"))),
    ber.either(*[ber.equal("mail", f"{number}@example.com") for number in range(100)]),
    ber.substrings("cn", "a", "d", "a"),
    ber.at_least("modifyTimestamp", "20200101000000Z"),
    ber.at_most("uidNumber", "3000"),
    ber.extensible("memberOf", "1.2.840.113556.1.4.1941", STAFF_DN),
    ber.extensible("uidNumber", "1.2.840.113556.1.4.803", "2"),
    ber.extensible("", "caseIgnoreMatch", "ada", of_dn=True),
    ber.either(ber.present("ou"), ber.equal("entryDN", STAFF_DN)),
)
SEARCHES = (
    *(ber.message(1, ber.Search(base=BASE, filter=each, attributes=["*", "+"]).ber) for each in FILTERS),
    ber.message(1, ber.Search(base=BASE, attributes=["cn"] * 500).ber),
    ber.message(1, ber.Search(base=BASE).ber, ber.paged(2), ber.sort("cn", "-uidNumber")),
    ber.message(1, ber.Search(base=rf"cn=a\,b\20c+uid=x,dc=#0c0161,{BASE}").ber, ber.paged(0, b"x")),
    ber.message(1, ber.Search(base="", scope=ber.BASE, attributes=["+"]).ber),
    ber.message(1, ber.compare(STAFF_DN, "member", f"cn=ada,ou=users,{BASE}")),
    ber.message(1, ber.extended("1.3.6.1.4.1.4203.1.11.1", bytes.fromhex("300c 800178 81016f 82046e6e6e6e"))),
)
CORPUS = (*(data for _, _, data in REQUESTS), *SEARCHES)

Outcome = Message | str


def problems(count: int, chance: random.Random, say: Callable[[str], None]) -> Iterator[str]:
    """Send so many messages; say how it went."""
    forms = (interpreted(), running())
    searchers = _searchers()
    outcomes: Counter[str] = Counter()
    began, before, found = time.monotonic(), _memory(), 0
    for number in range(count):
        if number == count // 10:
            before = _memory()
        stream = b"".join(mutated(chance.choice(CORPUS), CORPUS, chance) for _ in range(chance.choice((1, 1, 1, 3))))
        cut = chance.randrange(len(stream) + 1)
        try:
            first, second = (_read(codec, [stream[:cut], stream[cut:]]) for codec in forms)
            for outcome in first:
                if isinstance(outcome, Message):
                    _answer(searchers, outcome)
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


def _searchers() -> list[Searcher]:
    people = [
        user("ada", STAFF, number=1),
        *[user(f"user{number}", "others", number=number) for number in range(2, 30)],
    ]
    trees = load(Trees((provider(),)), group(STAFF), group("others", STAFF), *people)
    return [Searcher.of(trees, "ada"), Searcher.of(trees, "user2"), Searcher(trees)]


def _answer(searchers: list[Searcher], message: Message) -> None:
    """All that is answered to a search or a compare."""
    for each in searchers:
        match message.request:
            case Search():
                for batch in search.answer(each.trees, message, each.viewer, each.pages, time.monotonic):
                    assert isinstance(batch, bytes)
            case Compare():
                search.compare(each.trees, message.request, each.viewer)
            case _:
                return


def _named(outcome: Outcome) -> str:
    return "refused" if isinstance(outcome, str) else type(outcome.request).__name__


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.most_common())


def _memory() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
