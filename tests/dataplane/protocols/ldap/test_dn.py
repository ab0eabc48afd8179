"""Distinguished names: RFC 4514, and what RFC 2253 had readers accept."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataplane.protocols.ldap import dn
from dataplane.protocols.ldap.dn import Assertion, Dn, escape, is_within, normalise, parse


def rdns(*pairs: tuple[str, str | bytes]) -> Dn:
    return Dn(tuple((Assertion(*pair),) for pair in pairs))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("", Dn(())),
        ("cn=x", rdns(("cn", "x"))),
        ("cn=", rdns(("cn", ""))),
        # RFC 4514 section 4.
        (
            "UID=jsmith,DC=example,DC=net",
            rdns(("uid", "jsmith"), ("dc", "example"), ("dc", "net")),
        ),
        (
            "OU=Sales+CN=J.  Smith,DC=example,DC=net",
            Dn(((Assertion("ou", "Sales"), Assertion("cn", "J.  Smith")), (Assertion("dc", "example"),),
                (Assertion("dc", "net"),))),
        ),
        (
            r'CN=James \"Jim\" Smith\, III,DC=example,DC=net',
            rdns(("cn", 'James "Jim" Smith, III'), ("dc", "example"), ("dc", "net")),
        ),
        (r"CN=Before\0dAfter,DC=example,DC=net", rdns(("cn", "Before\rAfter"), ("dc", "example"), ("dc", "net"))),
        ("1.3.6.1.4.1.1466.0=#04024869", rdns(("1.3.6.1.4.1.1466.0", "Hi"))),
        (r"CN=Lu\C4\8Di\C4\87", rdns(("cn", "Lučić"))),
        # Escapes.
        (r"cn=\ a\ ", rdns(("cn", " a "))),
        (r"cn=\20a\20", rdns(("cn", " a "))),
        (r"cn=\\", rdns(("cn", "\\"))),
        (r"cn=a\\ ", rdns(("cn", "a\\"))),
        (r"cn=a\\\ ", rdns(("cn", "a\\ "))),
        (r"cn=\#a", rdns(("cn", "#a"))),
        (r"cn=a#b", rdns(("cn", "a#b"))),
        (r"cn=\+\,\;\<\=\>\"\\", rdns(("cn", '+,;<=>"\\'))),
        ("cn=a=b", rdns(("cn", "a=b"))),
        (r"cn=\00", rdns(("cn", "\0"))),
        (r"cn=\e2\82\ac€", rdns(("cn", "€€"))),
        ("cn=a\nb", rdns(("cn", "a\nb"))),
        # Names of attribute types.
        ("CommonName=x", rdns(("cn", "x"))),
        ("2.5.4.3=x", rdns(("cn", "x"))),
        ("OID.2.5.4.3=x", rdns(("cn", "x"))),
        ("0.9.2342.19200300.100.1.25=x", rdns(("dc", "x"))),
        ("userId=x", rdns(("uid", "x"))),
        ("x-Custom-1=x", rdns(("x-custom-1", "x"))),
        # RFC 2253 section 4, RFC 1779: spaces, semicolons, quotes.
        (" cn = x , ou = y ", rdns(("cn", "x"), ("ou", "y"))),
        ("cn=x;ou=y", rdns(("cn", "x"), ("ou", "y"))),
        ('cn="x, y" ,ou=z', rdns(("cn", "x, y"), ("ou", "z"))),
        (r'cn=" \"x\" "', rdns(("cn", ' "x" '))),
        ('cn=""', rdns(("cn", ""))),
        # Values in BER.
        ("cn=#0c0161", rdns(("cn", "a"))),
        ("cn=#1301 61".replace(" ", ""), rdns(("cn", "a"))),
        ("cn=#0500", rdns(("cn", b"\x05\x00"))),
        ("cn=#0C8101C0 ,ou=y".replace("C0", "61"), rdns(("cn", "a"), ("ou", "y"))),
    ],
)  # fmt: skip
def test_a_name_is_read(text: str, name: Dn) -> None:
    assert parse(text) == name


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (" ", "no attribute type"),
        ("cn", "no attribute type"),
        ("=x", "no attribute type"),
        ("cn=x,", "no attribute type and equals sign at character 6"),
        (",cn=x", "no attribute type"),
        ("cn=x,,ou=y", "no attribute type"),
        ("cn=x+", "no attribute type"),
        ("cn=x,ou", "no attribute type"),
        ("c n=x", "no attribute type"),
        ("cn;lang-de=x", "no attribute type"),
        ("2.=x", "no attribute type"),
        ("2=x", "no attribute type"),
        (".5=x", "no attribute type"),
        ("-a=x", "no attribute type"),
        ("ça=x", "no attribute type"),
        ('cn=a"b', "must be escaped at character 5"),
        ("cn=a<b", "must be escaped"),
        ("cn=a>b", "must be escaped"),
        ("cn=a\0b", "must be escaped"),
        ('cn="a', "must be escaped"),
        ('cn="a"b', "must be escaped"),
        ("cn=a\\", "must be escaped"),
        (r"cn=\q", "must be escaped"),
        (r"cn=\e", "must be escaped"),
        (r"cn=\ff", "not UTF-8"),
        (r"cn=\c3\28", "not UTF-8"),
        ("cn=\ud800", "encode"),
        ("cn=#", "no hex pairs"),
        ("cn=#0", "no hex pairs"),
        ("cn=#0c01616", "more than one value|must be escaped"),
        ("cn=#zz", "no hex pairs"),
        ("cn=#0c", "no value in BER: a length is missing"),
        ("cn=#0c0261", "no value in BER"),
        ("cn=#0c016100", "more than one value in BER"),
        ("cn=#0c01ff", "not UTF-8"),
        ("cn=#1f0100", "no value in BER"),
    ],
)
def test_what_is_no_name_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse(text).key.encode()
    with pytest.raises(ValueError, match=why):
        normalise(text).encode()


SAME = [
    ("cn=x,ou=y", " CN = X ; OU = Y "),
    ("cn=a b", "cn=A    b"),
    ("cn=a b", r"cn=\20a  b\20"),
    ("cn=straße", "cn=STRASSE"),
    ("cn=ﬀ", "cn=FF"),
    ("cn=é", "cn=e\u0301"),
    ("cn=İ", "cn=i\u0307"),
    ("cn=a", "cn=\u00ada"),  # a soft hyphen
    ("ou=x+cn=y", "cn=y+ou=x"),
    ("2.5.4.3=x", "commonname=X"),
    ("cn=#0c0178", "cn=x"),
    ('cn="a,b"', r"cn=a\2Cb"),
    (r"cn=\#x", r"cn=\23x"),
    ("cn=a=b", r"cn=a\3db"),
    ("cn=#0500", "cn=#0500"),
    ("cn=\ue000", r"cn=\ee\80\80"),  # what can't be prepared is equal to itself
]
DIFFERENT = [
    ("cn=a b", "cn=ab"),
    ("cn=a", "ou=a"),
    ("cn=a,ou=b", "cn=a+ou=b"),
    (r"cn=a\,ou=b", "cn=a,ou=b"),
    (r"cn=a\+ou=b", "cn=a+ou=b"),
    (r"cn=\#0500", "cn=#0500"),
    ("cn=", "cn=\\20"),
    (r"cn=a\5c2c", "cn=a\\,"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_names_that_are_equal(one: str, other: str) -> None:
    assert normalise(one) == normalise(other) == parse(one).key == parse(other).key


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_names_that_differ(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("CN=Alice,ou=Users,DC=ldap,DC=goauthentik,DC=io", "cn=alice,ou=users,dc=ldap,dc=goauthentik,dc=io"),
        ("cn=a.b@c-d_e f,o=x y", "cn=a.b@c-d_e f,o=x y"),
        ("CN=Doe\\, Jane", "cn=doe\\2c jane"),
        ("", ""),
    ],
)
def test_keys(text: str, key: str) -> None:
    assert normalise(text) == parse(text).key == key


@pytest.mark.parametrize(
    ("key", "base", "within"),
    [
        ("cn=a,dc=x", "dc=x", True),
        ("dc=x", "dc=x", True),
        ("dc=x", "cn=a,dc=x", False),
        ("cn=a,dc=xx", "dc=x", False),
        ("adc=x", "dc=x", False),
        ("", "", True),
        ("dc=x", "", True),
        ("", "dc=x", False),
        (r"cn=a\,dc=x", "dc=x", False),
        (r"cn=a\\,dc=x", "dc=x", True),
    ],
)
def test_what_is_within(key: str, base: str, within: bool) -> None:
    assert is_within(normalise(key), normalise(base)) is within


def test_parents() -> None:
    name = parse("cn=a+sn=b,ou=c")
    assert name.parent == parse("ou=c")
    assert parse("ou=c").parent == Dn(())
    assert Dn(()).parent is None


@pytest.mark.parametrize(
    ("value", "escaped"),
    [
        ("", ""),
        ("plain", "plain"),
        ("R&D, Berlin", r"R&D\, Berlin"),
        (" a b ", r"\ a b\ "),
        (" ", r"\ "),
        ("  ", r"\ \ "),
        ("#a#", r"\#a#"),
        ('"+,;<=>\\', r"\"\+\,\;\<=\>\\"),
        ("a\0", r"a\00"),
        ("a \n", "a \n"),
        ("é", "é"),
    ],
)
def test_values_are_escaped(value: str, escaped: str) -> None:
    assert escape(value) == escaped


texts = st.text(st.characters(codec="utf-8"))
awkward = st.text(st.sampled_from(' "#+,;<=>\\\0a\n\u00e9=0c'))


@given(texts | awkward, texts | awkward)
def test_whatever_is_escaped_is_read_again(one: str, other: str) -> None:
    text = f"cn={escape(one)},ou={escape(other)}"
    name = parse(text)
    assert name == rdns(("cn", one), ("ou", other))
    assert parse(str(name)) == name
    assert text == str(name)
    assert is_within(normalise(text), normalise(f"ou={escape(other)}"))


@given(st.lists(st.lists(st.tuples(st.sampled_from(["cn", "ou"]), awkward), min_size=1, max_size=3), max_size=4))
def test_names_of_several_parts_are_read_again(parts: list[list[tuple[str, str]]]) -> None:
    name = Dn(tuple(tuple(Assertion(*each) for each in rdn) for rdn in parts))
    assert parse(str(name)) == name
    # A key is a name, and its own key.
    assert normalise(name.key) == name.key
    assert name.key.count(",") == max(0, len(parts) - 1)


def test_values_in_ber_are_written_as_such() -> None:
    assert str(parse("1.2.3=#0500+cn=x")) == "1.2.3=#0500+cn=x"


@given(st.text() | st.text(st.sampled_from('cn=,+;\\"#0c a1.\ud800\0\n')))
def test_nothing_but_value_error(text: str) -> None:
    with suppress(ValueError):
        assert parse(str(parse(text))).key == normalise(text)


@given(st.text(st.sampled_from("abcnoudi=,. @-_AB")))
def test_the_short_way_is_the_long_way(text: str) -> None:
    try:
        expected = parse(text).key
    except ValueError:
        with pytest.raises(ValueError, match="character"):
            normalise(text)
    else:
        assert normalise(text) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("cn=" + "a" * 9000, "characters"),
        ("cn=" + "\\," * 9000, "characters"),
        ("cn=a+" * 9000, "characters"),
        ("a=," * 64 + "dc=x", "RDNs"),
    ],
)
def test_names_have_bounds(text: str, why: str) -> None:
    """A base of 100,000 RDNs kept the whole server busy."""
    for read in (parse, normalise):
        with pytest.raises(ValueError, match=f"a name of more than .* {why}"):
            read(text)
    assert len(parse("a=," * 63 + "dc=x").rdns) == 64
    assert len(parse("cn=" + "a" * 8189).rdns) == 1


def test_long_names_are_not_kept() -> None:
    dn._remembered.cache_clear()
    normalise("cn=\\," + "x" * 1000)
    normalise("cn=\\,x")
    assert dn._remembered.cache_info().currsize == 1
