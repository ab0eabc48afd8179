"""What other directories once got wrong, each with the one that did."""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ldap_ber as ber
from tests.support.ldap_ber import BASE as BASE_SCOPE
from tests.support.ldap_ber import Filter, Search, equal, every, negated, present
from tests.support.ldap_client import Ended, Ldap, connected
from tests.support.ldap_site import BASE, PASSWORD, STAFF, LdapSite, group_dn, user_dn
from tests.support.outpost_process import children

pytestmark = pytest.mark.interop
SUCCESS, PROTOCOL_ERROR, ADMIN_LIMIT, INVALID, RIGHTS, UNWILLING = 0, 2, 11, 49, 50, 53
CANARY = "canary-3f9d2c-secret"
DRIPS = 200
_addresses = (f"198.51.100.{number}" for number in itertools.count(1))


@pytest.fixture
def stranger(directory: LdapSite) -> Iterator[Ldap]:
    """A client at an address that nobody came from, so that its failures are its own."""
    client = Ldap(directory.port, source=next(_addresses))
    yield client
    client.close()


def memory(directory: LdapSite) -> int:
    """Bytes that the outpost's processes have in memory."""
    first = directory.outpost.program.process.pid
    pages = [int(Path(f"/proc/{each}/statm").read_text().split()[1]) for each in (first, *children(first))]
    return sum(pages) * 4096


def nested(depth: int, tag: int) -> bytes:
    """A filter in a filter in a filter."""
    found = present("objectClass").ber
    for _ in range(depth):
        found = ber.tlv(tag, found)
    return found


def alive(directory: LdapSite) -> None:
    """Others are answered."""
    with connected(directory.port, directory.search) as client:
        assert client.search(Search(base=BASE, scope=BASE_SCOPE)).code == SUCCESS


@pytest.mark.parametrize("tag", [0xA0, 0xA1, 0xA2], ids=["and", "or", "not"])
@pytest.mark.parametrize("depth", [300, 10_000, 100_000])
def test_nested_filters_exhaust_nothing(directory: LdapSite, depth: int, tag: int) -> None:
    """OpenLDAP CVE-2020-12243; 10,000 is Samba's own test."""
    with connected(directory.port, directory.search) as client:
        asked = Search(base=BASE, filter=Filter("nested", nested(depth, tag)))
        try:
            assert client.search(asked).code in (PROTOCOL_ERROR, ADMIN_LIMIT)
        except (Ended, BrokenPipeError):
            assert depth > 10_000, "a message within the limits ended the connection"
    alive(directory)


def test_a_message_of_two_gigabytes_is_not_waited_for(directory: LdapSite) -> None:
    """lldap GHSA-qcxq-75wr-5cm8."""
    before = memory(directory)
    client = Ldap(directory.port)
    client.socket.sendall(bytes.fromhex("30847fffffff"))
    with pytest.raises((Ended, BrokenPipeError)):
        for _ in range(DRIPS):
            client.socket.sendall(b"\x02" * 4096)
        client.receive()
        client.receive()
    client.socket.close()
    assert memory(directory) - before < 16 << 20
    alive(directory)


def test_ten_thousand_controls_are_refused_at_once(directory: LdapSite) -> None:
    """389 Directory Server CVE-2026-9064."""
    with connected(directory.port, directory.search) as client:
        began = time.monotonic()
        many = [ber.control(f"1.2.3.{number}") for number in range(10_000)]
        assert client.search(Search(base=BASE, scope=BASE_SCOPE), *many).code in (PROTOCOL_ERROR, ADMIN_LIMIT)
        assert time.monotonic() - began < 10
    alive(directory)


def test_nobody_learns_who_there_is(directory: LdapSite) -> None:
    """389 Directory Server CVE-2020-35518: 32 or 48 in place of 49. That the time doesn't tell is control's to show."""
    silent = directory.person(password=None)
    gone = directory.person(active=False)
    answers = set()
    for name in ("alice", "nobody-at-all", silent, gone):
        client = Ldap(directory.port, source=next(_addresses))
        found = client.bind(user_dn(name), "wrong")
        answers.add((found.code, found.matched, found.text))
        client.close()
    assert len(answers) == 1, answers
    assert next(iter(answers))[0] == INVALID


def test_no_password_lets_nobody_in(directory: LdapSite, stranger: Ldap) -> None:
    """GLAuth 471, 470: who had none came in by any; who was disabled came in."""
    silent, gone = directory.person(password=None), directory.person(active=False)
    for name, password, code in ((silent, "x", INVALID), (silent, "", UNWILLING), (gone, PASSWORD, INVALID)):
        assert stranger.bind(user_dn(name), password).code == code, (name, password)
        assert stranger.who_am_i() == ""


def test_a_failed_bind_makes_anonymous(directory: LdapSite, stranger: Ldap) -> None:
    """lldap and GLAuth kept the identity of before (RFC 4511 section 4.2.1)."""
    assert stranger.bind(*directory.search).code == SUCCESS
    assert stranger.who_am_i() == f"dn:{directory.search[0]}"
    assert stranger.bind(user_dn("alice"), "wrong").code == INVALID
    assert stranger.who_am_i() == ""
    assert stranger.search(Search(base=BASE)).code == RIGHTS
    assert stranger.bind(*directory.search).code == SUCCESS
    assert stranger.bind("", "").code == SUCCESS
    assert stranger.search(Search(base=BASE)).code == RIGHTS


def test_hidden_values_leak_in_no_way(directory: LdapSite) -> None:
    """389 Directory Server CVE-2019-14824: what may not be read could be asked about otherwise."""
    hidden = directory.person(STAFF, attributes={"private": CANARY, "description": CANARY})
    with (
        connected(directory.port, directory.search) as full,
        connected(directory.port, (user_dn("bob"), PASSWORD)) as bob,
    ):
        for wanted in (equal("private", CANARY), negated(equal("private", CANARY)), present("private")):
            assert full.search(Search(base=BASE, filter=wanted)).dns == []
        for wanted in (equal("description", CANARY), ber.substrings("description", "canary", ""), equal("uid", hidden)):
            assert full.search(Search(base=BASE, filter=wanted)).dns == [user_dn(hidden)]
            assert bob.search(Search(base=BASE, filter=wanted)).dns == []
        absent = bob.ask(ber.compare(user_dn("nobody-at-all"), "cn", "x"))
        unseen = bob.ask(ber.compare(user_dn(hidden), "description", CANARY))
        assert (unseen.code, unseen.matched, unseen.text) == (absent.code, absent.matched, absent.text)
        based = [bob.search(Search(base=user_dn(name), scope=BASE_SCOPE)) for name in (hidden, "nobody-at-all")]
        assert based[0] == based[1]
        staff = bob.search(Search(base=group_dn("engineers"), scope=BASE_SCOPE, attributes=["*", "+"])).entries[0]
        assert staff.texts("member") == staff.texts("uniqueMember") == [user_dn("bob")]
        assert staff.texts("memberUid") == ["bob"]
        others = every(equal("cn", "engineers"), equal("member", user_dn("alice")))
        assert bob.search(Search(base=BASE, filter=others)).dns == []
        inverse = every(equal("cn", "engineers"), negated(equal("member", user_dn("alice"))))
        assert bob.search(Search(base=BASE, filter=inverse)).dns == [group_dn("engineers")]
        sorted_ = [bob.search(Search(base=BASE), ber.sort(name)).dns for name in ("description", "nosuch", "cn")]
        assert {frozenset(dns) for dns in sorted_} == {frozenset(sorted_[0])}
        assert not any(hidden in dn for dns in sorted_ for dn in dns)
        counted = bob.search(Search(base=BASE, attributes=["1.1"]), ber.paged(100))
        assert b"\x02\x01\x00" in counted.controls[ber.PAGED][:5], "an estimate of the size would count what is hidden"


@pytest.mark.parametrize(
    "value",
    ["'; DROP TABLE users; --", '" OR 1=1', "*", ")(uid=*", "\\2a", "\0", "%", "_", "a\0b", "${x}", "\u2028", "😀"],
)
def test_a_value_is_itself_and_nothing_else(directory: LdapSite, stranger: Ldap, value: str) -> None:
    """lldap 0.3.0: injections between two libraries."""
    with connected(directory.port, directory.search) as client:
        for name in ("uid", "mail", "description", "member"):
            assert client.search(Search(base=BASE, filter=equal(name, value))).entries == ()
    assert stranger.bind(value, "wrong").code in (INVALID, 34)


def test_secrets_are_in_no_log(directory: LdapSite, stranger: Ldap) -> None:
    """GLAuth 451, authentik 2024: credentials in the log."""
    name = directory.person()
    assert stranger.bind(user_dn(name), CANARY).code == INVALID
    assert stranger.bind(user_dn(name), PASSWORD).code == SUCCESS
    change = ber.sequence(ber.octets(CANARY, 0x81), ber.octets(CANARY * 2, 0x82))
    assert stranger.ask(ber.extended("1.3.6.1.4.1.4203.1.11.1", change)).code == INVALID
    stranger.socket.sendall(ber.message(99, ber.bind(user_dn(name), CANARY))[:-3] + b"\xff\xff\xff\xff" * 10)
    for program in (directory.outpost.program, directory.garrison.program):
        assert CANARY not in program.output()
        assert PASSWORD not in program.output()
    state = b"".join(path.read_bytes() for path in directory.folder.rglob("directory/**/*") if path.is_file())
    assert PASSWORD.encode() not in state
    trail = directory.garrison.run("audit")
    assert name in trail
    assert CANARY not in trail
