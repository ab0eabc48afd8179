"""Distinguished names as text (RFC 4514), and names of attributes (RFC 4512)."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.domain.names import NotADn, is_attribute_name, parse_dn

ALIKE = [
    ("DC=ldap,DC=goauthentik,DC=io", "dc=LDAP,domainComponent=goauthentik,0.9.2342.19200300.100.1.25=io"),
    ("ou=a+cn=b,dc=x", "CN=B+organizationalUnitName=A,dc=X"),
    ("o=Sue\\, Grabbit and Runn,c=GB", "O=sue\\2c grabbit   and runn,C=gb"),
    ("cn=Lu\\C4\\8Di\\C4\\87", "cn=Lučić"),
    ("cn=\\ x\\ ", "cn=x"),
    ("cn=a\\\\b", "cn=a\\5Cb"),
    ("1.3.6.1.4.1.1466.0=#04024869", "1.3.6.1.4.1.1466.0=#04024869"),
    ("cn=a=b", "cn=A\\=B"),
    ("o=Straße", "o=STRASSE"),
]
BAD = [
    ("dc", "lacks its ="),
    ("dc=a,", "lacks its ="),
    ("dc=a,,dc=b", "lacks its ="),
    (",dc=a", "lacks its ="),
    ("=a", "names no attribute"),
    ("d c=a", "names no attribute"),
    ("dc=a, dc=b", "' dc' names no attribute"),
    ("1.=a", "names no attribute"),
    ("01.2=a", "names no attribute"),
    ("dc=", "has no value"),
    ("dc=a+", "lacks its ="),
    ("dc= a", "not escaped"),
    ("dc=a ", "not escaped"),
    ("dc=a;dc=b", "';'"),
    ('o="a"', "not escaped"),
    ("o=a<b", "not escaped"),
    ("o=a\\", "not escaped"),
    ("o=a\\zz", "not escaped"),
    ("o=#04z", "not hexadecimal"),
    ("o=\\FF", "not UTF-8"),
    ("o=a\0b", "not escaped"),
]


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_names_that_ldap_calls_equal_are_equal(one: str, other: str) -> None:
    assert parse_dn(one) == parse_dn(other)


def test_names_that_differ_are_not() -> None:
    names = ["dc=a,dc=b", "dc=b,dc=a", "dc=a", "dc=a+dc=b", "o=a,dc=b", "dc=ab", "cn=a\\,dc\\=b", ""]
    assert len({parse_dn(name) for name in names}) == len(names)


@pytest.mark.parametrize(("text", "why"), BAD)
def test_what_is_no_name_is_told_why(text: str, why: str) -> None:
    with pytest.raises(NotADn) as caught:
        parse_dn(text)
    assert why in str(caught.value)


@given(st.text(alphabet='dcouDC=,+\\ #"<>;0aF\0é', max_size=40) | st.text(max_size=40))
def test_any_text_is_a_name_or_is_refused(text: str) -> None:
    with suppress(NotADn):
        parse_dn(text)


@pytest.mark.parametrize("name", ["cn", "x-y", "sshPublicKey", "a1", "A"])
def test_names_of_attributes(name: str) -> None:
    assert is_attribute_name(name)


@pytest.mark.parametrize("name", ["", "1a", "-a", "a_b", "a b", "cn;lang-de", "é", "2.5.4.3", "a\n"])
def test_names_of_no_attribute(name: str) -> None:
    assert not is_attribute_name(name)
