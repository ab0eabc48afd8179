"""The same entries in the outpost and in OpenLDAP's slapd, the same questions: the same answers.

A failure prints the questions as ldapsearch would put them. Where RFC 4511 to 4520 say otherwise than slapd does, or
leave it open, the test says so beside the reason.
"""

from collections.abc import Iterator

import pytest

from tests.interop.ldap.oracle import Copy, asked_both, copied, readable
from tests.interop.ldap.questions import Chance
from tests.support import ldap_ber as ber
from tests.support.garrison import short_folder
from tests.support.ldap_ber import Filter, Search
from tests.support.ldap_client import Ldap, connected
from tests.support.ldap_entries import in_their_words, plain
from tests.support.ldap_site import BASE, LdapSite

pytestmark = pytest.mark.interop
FILTERS, SEARCHES, COMPARISONS, SEEDS = 2500, 800, 600, (1, 2)


@pytest.fixture(scope="module")
def copy(directory: LdapSite) -> Iterator[Copy]:
    """slapd with the outpost's entries; nothing changes while the block lasts."""
    with short_folder() as folder, copied(folder, directory.port, directory.search) as copy:
        yield copy


@pytest.fixture(scope="module")
def ours(directory: LdapSite) -> Iterator[Ldap]:
    with connected(directory.port, directory.search) as client:
        yield client


@pytest.fixture(scope="module")
def theirs(copy: Copy) -> Iterator[Ldap]:
    with connected(copy.slapd.port, copy.slapd.manager) as client:
        yield client


def assert_alike(ours: Ldap, theirs: Ldap, asked: list[tuple[str, bytes]]) -> None:
    """Each of these is answered alike."""
    differences = asked_both(ours, theirs, [operation for _, operation in asked])
    found = [f"{text}\n    {differs}" for (text, _), differs in zip(asked, differences, strict=True) if differs]
    assert not found, f"{len(found)} of {len(asked)} differ:\n" + "\n".join(found[:40])


@pytest.mark.parametrize("seed", SEEDS)
def test_filters(copy: Copy, ours: Ldap, theirs: Ldap, seed: int) -> None:
    chance = Chance(seed, copy.entries)
    asked = [Search(base=BASE, filter=chance.filter(), attributes=["1.1"]) for _ in range(FILTERS)]
    assert_alike(ours, theirs, [(each.filter.text, each.ber) for each in asked])


@pytest.mark.parametrize("seed", SEEDS)
def test_bases_scopes_and_selections(copy: Copy, ours: Ldap, theirs: Ldap, seed: int) -> None:
    chance = Chance(seed, copy.entries)
    asked = [chance.search(BASE) for _ in range(SEARCHES)]
    assert_alike(ours, theirs, [(readable(each), each.ber) for each in asked])


@pytest.mark.parametrize("seed", SEEDS)
def test_comparisons(copy: Copy, ours: Ldap, theirs: Ldap, seed: int) -> None:
    chance = Chance(seed, copy.entries)
    asked = [chance.comparison() for _ in range(COMPARISONS)]
    assert_alike(ours, theirs, [(repr(each), ber.compare(*each)) for each in asked])


def test_every_value_finds_its_entries(copy: Copy, ours: Ldap, theirs: Ldap) -> None:
    chance = Chance(0, copy.entries)
    asked = [
        Search(base=BASE, filter=ber.equal(name, value), attributes=["1.1"])
        for name in chance.names
        for value in chance.values[name]
    ]
    assert_alike(ours, theirs, [(each.filter.text, each.ber) for each in asked])


@pytest.mark.parametrize(
    ("asked", "same"),
    [
        (ber.equal("ak-active", "true"), ber.equal("ak-active", "TRUE")),
        (ber.equal("displayName", "JÜRGEN GRÜN"), ber.equal("uid", "dävid")),
        (ber.equal("cn", "HÖHE FINE"), ber.equal("cn", "Höhe ﬁne")),
        (ber.substrings("cn", "", " ali", ""), ber.substrings("cn", "ali", "")),
        (ber.extensible("objectClass", "2.5.13.0", "INETORGPERSON"), ber.equal("objectClass", "inetOrgPerson")),
        (ber.equal("subschemaSubentry", "CN=Subschema"), ber.every()),
        (ber.equal("hasSubordinates", "TRUE"), ber.either(ber.present("ou"), ber.present("dc"))),
    ],
    ids=lambda value: value.text.replace("*", "_"),
)
def test_where_slapd_does_otherwise(ours: Ldap, asked: Filter, same: Filter) -> None:
    """What questions.py leaves out, as the RFCs have it (the reasons are there)."""
    found = ours.search(Search(base=BASE, filter=asked, attributes=["1.1"]))
    assert found.entries
    assert sorted(found.dns) == sorted(ours.search(Search(base=BASE, filter=same, attributes=["1.1"])).dns)


@pytest.mark.parametrize(
    "keys",
    [("uidNumber",), ("-uidNumber",), ("-gidNumber", "uidNumber"), ("modifyTimestamp", "-uidNumber")],
    ids=" ".join,
)
def test_sorting(ours: Ldap, theirs: Ldap, keys: tuple[str, ...]) -> None:
    asked = Search(base=BASE, filter=ber.present("uidNumber"), attributes=["1.1"])
    mine, other = (client.search(asked, ber.sort(*keys, critical=True)) for client in (ours, theirs))
    assert [plain(dn) for dn in mine.dns] == [plain(dn) for dn in other.dns]
    assert mine.controls == other.controls


def test_sorting_by_what_is_no_attribute(ours: Ldap) -> None:
    """RFC 2891 section 2: unavailableCriticalExtension if it must be, else unsorted; slapd says noSuchAttribute."""
    asked = Search(base=BASE, filter=ber.present("uidNumber"), attributes=["1.1"])
    found = ours.search(asked, ber.sort("nosuch", critical=True))
    assert (found.code, found.entries, list(found.controls)) == (12, (), [ber.SORTED])
    assert set(ours.search(asked, ber.sort("nosuch")).dns) == set(ours.search(asked).dns)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_pages_are_the_whole(copy: Copy, ours: Ldap, theirs: Ldap, size: int) -> None:
    chance = Chance(size, copy.entries)
    for _ in range(30):
        asked = Search(base=BASE, filter=chance.filter(2), attributes=["1.1"])
        pages = list(ours.pages(asked, size))
        found = [dn for page in pages for dn in page.dns]
        assert found == ours.search(asked).dns, asked.filter.text
        of_slapd = theirs.ask(in_their_words(asked.ber)).dns
        assert {plain(dn) for dn in found} == {plain(dn) for dn in of_slapd}
        assert all(len(page.entries) == size for page in pages[:-1])
