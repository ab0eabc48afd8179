"""What the benchmark asks an LDAP server, as files of messages for ldap_load.c."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support import ldap_ber as ber
from tests.support.ldap_ber import Search

ID = b"\x02\x04\x01\0\0\0"
PAGE = 1000
KINDS = 2000
"""Different requests of each kind, sent in turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Whom a directory has: what the requests are made of."""

    base: str
    usernames: Sequence[str]
    mails: Sequence[str]
    dns: Sequence[str]
    cuts: Sequence[str]
    """Pieces of names that few people have."""


def message(operation: bytes, *controls: bytes) -> bytes:
    """A message whose id has four bytes, to be counted up."""
    rest = [ber.sequence(*controls, tag=0xA0)] if controls else []
    return ber.tlv(0x30, ID + operation + b"".join(rest))


def write(path: Path, messages: Iterable[bytes]) -> Path:
    """A file of messages."""
    path.write_bytes(b"".join(messages))
    return path


def equality(people: People, chance: random.Random) -> list[bytes]:
    """(uid=x), all attributes."""
    names = chance.choices(people.usernames, k=KINDS)
    return [message(Search(base=people.base, filter=ber.equal("uid", name)).ber) for name in names]


def either(people: People, chance: random.Random) -> list[bytes]:
    """(|(uid=x)(mail=x)), where x is either."""
    names = [*chance.choices(people.usernames, k=KINDS // 2), *chance.choices(people.mails, k=KINDS // 2)]
    filters = [ber.either(ber.equal("uid", name), ber.equal("mail", name)) for name in names]
    return _shuffled([message(Search(base=people.base, filter=each).ber) for each in filters], chance)


def groups(people: People, chance: random.Random) -> list[bytes]:
    """(&(objectClass=groupOfNames)(member=dn)), the names of the groups."""
    kind = ber.equal("objectClass", "groupOfNames")
    filters = [ber.every(kind, ber.equal("member", dn)) for dn in chance.choices(people.dns, k=KINDS)]
    return [message(Search(base=people.base, filter=each, attributes=["cn"]).ber) for each in filters]


def parts(people: People, chance: random.Random) -> list[bytes]:
    """(cn=*x*) that few have, the name and the address."""
    filters = [ber.substrings("cn", "", cut, "") for cut in chance.choices(people.cuts, k=KINDS)]
    return [message(Search(base=people.base, filter=each, attributes=["cn", "mail"]).ber) for each in filters]


def dump(people: People) -> list[bytes]:
    """Everything with all attributes, page by page."""
    return [_paged(Search(base=people.base).ber)]


def binds(people: People, chance: random.Random, password: str) -> list[bytes]:
    """The same few people again and again, as behind a server that asks for each of its own requests."""
    return [message(ber.bind(dn, password)) for dn in chance.sample(people.dns, k=min(len(people.dns), 20))]


def mixed(of: Sequence[Sequence[bytes]], chance: random.Random) -> list[bytes]:
    """Some of each, in any order."""
    return _shuffled([each for kind in of for each in kind[: KINDS // 2]], chance)


def _shuffled(messages: list[bytes], chance: random.Random) -> list[bytes]:
    chance.shuffle(messages)
    return messages


def _paged(operation: bytes) -> bytes:
    """With lengths of two bytes wherever the cookie counts, which the load puts at the end."""
    value = _wide(0x30, ber.integer(PAGE) + _wide(0x04, b""))
    control = _wide(0x30, ber.octets(ber.PAGED) + _wide(0x04, value))
    return _wide(0x30, ID + operation + _wide(0xA0, control))


def _wide(tag: int, content: bytes) -> bytes:
    return bytes((tag, 0x82)) + len(content).to_bytes(2, "big") + content
