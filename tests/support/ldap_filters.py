"""Filters, an entry, and what the filters are of it: true, false or undefined (RFC 4511 section 4.5.1.7)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from dataplane.protocols.ldap.messages import (
    And,
    Approximate,
    Equality,
    Extensible,
    Filter,
    GreaterOrEqual,
    LessOrEqual,
    Not,
    Or,
    Present,
    Substrings,
    Unknown,
)
from dataplane.protocols.ldap.schema import AttributeType
from dataplane.protocols.ldap.schema_served import schema_of
from tests.support.ldap_people import ldap_provider

SCHEMA = schema_of(
    ldap_provider(users={"telephoneNumber": "phone", "x121Address": "x", "jpegPhoto": "photo", "postalAddress": "a"})
)

IN_CHAIN = "1.2.840.113556.1.4.1941"
ALL_BITS = "1.2.840.113556.1.4.803"
ANY_BIT = "1.2.840.113556.1.4.804"


@dataclass
class Entry:
    """An entry of a test; `above` are the keys that following memberOf leads to."""

    held: dict[str, list[str]]
    name: list[tuple[str, str]] = field(default_factory=list)
    above: frozenset[str] = frozenset()

    def values(self, kind: AttributeType, /) -> Sequence[bytes]:
        return [value.encode() for value in self.held.get(kind.name, ())]

    def name_values(self) -> Iterable[tuple[AttributeType, bytes]]:
        return [(SCHEMA.get(name), value.encode()) for name, value in self.name]

    def reaches(self, kind: AttributeType, key: bytes, /) -> bool:
        return kind.name == "memberOf" and key.decode() in self.above


JANE = Entry(
    held={
        "objectClass": ["top", "person", "inetOrgPerson", "posixAccount", "goauthentik.io/ldap/user"],
        "cn": ["jdoe", "Jane  Doe"],
        "sn": ["Doe"],
        "uid": ["jdoe"],
        "mail": ["JDoe@Example.com"],
        "uidNumber": ["2007"],
        "ak-active": ["TRUE"],
        "telephoneNumber": ["+49 30 1234-56"],
        "x121Address": ["15 079 672"],
        "postalAddress": ["Main  Street 1$Price \\24 5$Berlin"],
        "homeDirectory": ["/home/jdoe"],
        "memberOf": ["cn=Staff,ou=groups,dc=example"],
        "modifyTimestamp": ["20200601120000Z"],
        "userAccountControl": ["514"],
        "entryUUID": ["597ae2f6-16a6-1027-98f4-d28b5365dc14"],
    },
    name=[("cn", "jdoe"), ("ou", "users"), ("dc", "example")],
    above=frozenset({"cn=staff,ou=groups,dc=example", "cn=everyone,ou=groups,dc=example"}),
)


def eq(attribute: str, value: str) -> Equality:
    return Equality(attribute, value.encode())


def sub(attribute: str, text: str) -> Substrings:
    """Pieces parted by asterisks."""
    first, *between, last = (piece.encode() for piece in text.split("*"))
    return Substrings(attribute=attribute, initial=first or None, any=tuple(between), final=last or None)


def ext(attribute: str | None, rule: str | None, value: str, *, dn: bool = False) -> Extensible:
    return Extensible(attribute=attribute, rule=rule, value=value.encode(), dn_attributes=dn)


def ge(attribute: str, value: str) -> GreaterOrEqual:
    return GreaterOrEqual(attribute, value.encode())


def le(attribute: str, value: str) -> LessOrEqual:
    return LessOrEqual(attribute, value.encode())


TRUE: list[Filter] = [
    eq("uid", "JDOE"),
    eq("UID", " jdoe "),
    eq("0.9.2342.19200300.100.1.1", "jdoe"),
    eq("userid", "jdoe"),
    eq("cn", "jane doe"),
    eq("mail", "jdoe@example.COM"),
    eq("objectClass", "POSIXACCOUNT"),
    eq("objectClass", "1.3.6.1.1.1.2.0"),
    eq("objectclass", "goauthentik.io/ldap/user"),
    eq("ak-active", "true"),
    eq("telephoneNumber", "+4930123456"),
    eq("x121Address", "15079672"),
    eq("memberOf", "CN=staff, OU=Groups, dc=EXAMPLE"),
    eq("modifyTimestamp", "202006011400+0200"),
    eq("entryUUID", "597AE2F6-16A6-1027-98F4-D28B5365DC14"),
    Approximate("sn", b"doe"),
    Present("uid"),
    Present("objectClass"),
    Present("2.5.4.3"),
    ge("uidNumber", "2007"),
    ge("uidNumber", "-1"),
    ge("uidNumber", "300"),
    le("uidNumber", "2007"),
    le("uidNumber", "10000"),
    ge("modifyTimestamp", "20200601115959.9Z"),
    le("modifyTimestamp", "20200601120000.1Z"),
    sub("uid", "jd*"),
    sub("uid", "*OE"),
    sub("uid", "*d*o*"),
    sub("uid", "j*d*e"),
    sub("cn", "jane*doe"),
    sub("cn", "jane * doe"),
    sub("cn", "*jane doe*"),
    sub("cn", "*e d*"),
    sub("cn", "* doe"),
    # Every value begins and ends with a space, and has two between words: as the letter has it (RFC 4518 2.6.1).
    sub("uid", "jdoe *"),
    sub("cn", "jane*  *  *doe"),
    sub("mail", "*@example.com"),
    sub("telephoneNumber", "+49*-5*"),
    sub("x121Address", "1 5*72"),
    sub("homeDirectory", "/home/*"),
    sub("postalAddress", "main street*"),
    sub("postalAddress", "*Street 1*berlin"),
    sub("postalAddress", "*price $ 5*"),
    eq("postalAddress", "main street 1 $ PRICE \\24 5 $ Berlin"),
    ext("telephoneNumber", "caseIgnoreMatch", "+49 30 1234-56"),
    Not(ext("telephoneNumber", "caseIgnoreMatch", "+49 30 123456")),
    And(()),
    Not(Or(())),
    And((eq("uid", "jdoe"), Not(eq("uid", "x")))),
    Or((eq("nosuch", "x"), eq("uid", "jdoe"))),
    Not(eq("givenName", "x")),
    Not(Present("givenName")),
    Not(ext("givenName", None, "x")),
    Not(eq("cn;lang-de", "jdoe")),
    Not(Present("cn;lang-de;lang-en-GB")),
    Not(ge("uidNumber;lang-de", "1")),
    Not(sub("cn;LANG-de", "j*")),
    Not(ext("cn;lang-de", "caseExactMatch", "jdoe", dn=True)),
    Not(ext("nsAccountLock", "caseIgnoreMatch", "TRUE")),
    ext("uid", None, "JDOE"),
    ext("uid", "caseExactMatch", "jdoe"),
    ext("uid", "2.5.13.5", "jdoe"),
    ext("homeDirectory", "caseIgnoreMatch", "/HOME/jdoe"),
    ext(None, "caseExactMatch", "Jane Doe"),
    ext(None, "integerMatch", "2007"),
    ext("uidNumber", "integerOrderingMatch", "2008"),
    Not(ext("uidNumber", "integerOrderingMatch", "2007")),
    ext("cn", "caseIgnoreOrderingMatch", "jf"),
    ext("cn", "caseIgnoreSubstringsMatch", "JANE*d*e"),
    ext("cn", "caseExactSubstringsMatch", "J*Doe"),
    ext("userAccountControl", ALL_BITS, "2"),
    ext("userAccountControl", ALL_BITS, "514"),
    ext("userAccountControl", ALL_BITS, "0"),
    ext("userAccountControl", ANY_BIT, "3"),
    Not(ext("userAccountControl", ALL_BITS, "3")),
    Not(ext("userAccountControl", ANY_BIT, "1")),
    Not(ext("groupType", ALL_BITS, "1")),
    ext("memberOf", IN_CHAIN, "cn=Everyone,ou=groups,dc=example"),
    Not(ext("memberOf", IN_CHAIN, "cn=other,ou=groups,dc=example")),
    ext("ou", None, "users", dn=True),
    ext("ou", "caseIgnoreMatch", "USERS", dn=True),
    ext(None, "caseIgnoreMatch", "users", dn=True),
    ext("dc", "caseIgnoreSubstringsMatch", "ex*", dn=True),
    Not(ext("ou", None, "groups", dn=True)),
    Not(ext("ou", None, "users")),
]

FALSE: list[Filter] = [
    eq("uid", "jdo"),
    eq("uid", "j doe"),
    eq("homeDirectory", "/HOME/jdoe"),
    eq("objectClass", "group"),
    eq("givenName", "Jane"),
    eq("memberOf", "cn=staff"),
    Present("givenName"),
    Present("cn;lang-de"),
    ge("uidNumber", "2008"),
    le("uidNumber", "2006"),
    le("uidNumber", "-3000"),
    ge("modifyTimestamp", "20200601120000.1Z"),
    ge("gidNumber", "0"),
    sub("uid", "jdoe*jdoe"),
    sub("uid", "jdo*oe"),
    sub("uid", "j*o*d*"),
    sub("cn", "jane* * * *doe"),
    sub("uid", "j doe*"),
    sub("uid", "jdoe *e"),
    sub("postalAddress", "*1$price*"),
    sub("cn", "* d*oe*e"),
    Or(()),
    Not(And(())),
    And((eq("nosuch", "x"), eq("uid", "x"))),
    ext("uid", "caseExactMatch", "JDOE"),
    ext(None, "caseExactMatch", "JANE DOE"),
]

UNDEFINED: list[Filter] = [
    eq("nosuch", "x"),
    Present("nosuch"),
    Present("cn;x-unknown"),
    Present("cn;lang-de;x-unknown"),
    Present("nosuch;lang-de"),
    ge("cn;lang-de", "a"),
    eq("uidNumber;lang-de", "x"),
    eq("cn;lang-de", ""),
    sub("uidNumber;LANG-de", "1*"),
    ext("cn;lang-de", "integerMatch", "1"),
    Present("jpegPhoto;binary"),
    Present("cn;"),
    Present(""),
    eq("member;range=0-*", "x"),
    eq("uid", ""),
    Equality("uid", b"\xff"),
    eq("uidNumber", "x"),
    eq("uidNumber", "02007"),
    eq("ak-active", "yes"),
    eq("modifyTimestamp", "yesterday"),
    eq("memberOf", "staff"),
    eq("objectClass", "noSuchClass"),
    eq("entryUUID", "x"),
    eq("jpegPhoto", "x"),
    ge("uid", "a"),
    le("cn", "z"),
    ge("ak-active", "TRUE"),
    ge("uidNumber", "x"),
    le("memberOf", "cn=x"),
    sub("uidNumber", "2*"),
    sub("memberOf", "cn=*"),
    sub("jpegPhoto", "x*"),
    sub("cn", "a**b"),
    Substrings(attribute="cn", initial=b""),
    Substrings(attribute="cn", final=b"\xff"),
    Substrings(attribute="x121Address", any=(b"x",)),
    sub("nosuch", "x*"),
    ext("uid", "noSuchRule", "x"),
    ext("uid", "integerMatch", "1"),
    ext("uid", ALL_BITS, "1"),
    ext("uidNumber", ALL_BITS, "x"),
    ext("uidNumber", "caseIgnoreMatch", "2007"),
    ext("nosuch", "caseIgnoreMatch", "x"),
    ext("nosuch", None, "x", dn=True),
    ext(None, "noSuchRule", "x"),
    ext(None, None, "x"),
    ext(None, "integerMatch", "x"),
    ext("memberOf", IN_CHAIN, "staff"),
    ext("uid", IN_CHAIN, "cn=x"),
    ext("cn", "caseIgnoreSubstringsMatch", "jane"),
    ext("cn", "caseIgnoreSubstringsMatch", "j**e"),
    Unknown(30),
    And((eq("uid", "jdoe"), eq("nosuch", "x"))),
    Or((eq("uid", "x"), eq("nosuch", "x"))),
    Not(eq("nosuch", "x")),
    Not(Not(eq("uidNumber", "x"))),
]

CLIENTS: list[tuple[str, Filter]] = [
    (
        "sssd, a login",
        And(
            (
                eq("uid", "jdoe"),
                eq("objectclass", "posixAccount"),
                Present("uid"),
                And((Present("uidNumber"), Not(eq("uidNumber", "0")))),
            )
        ),
    ),
    ("sssd, enumeration", And((eq("objectClass", "posixAccount"), ge("modifyTimestamp", "20200601115900Z")))),
    ("Nextcloud, nested groups", ext("memberOf", IN_CHAIN, "cn=everyone,ou=groups,dc=example")),
    ("Active Directory, enabled alone", Not(ext("nsAccountLock", "caseIgnoreMatch", "TRUE"))),
    (
        "Active Directory, no computers",
        And((eq("objectClass", "person"), Not(eq("objectClass", "computer")), Not(Present("lockoutTime")))),
    ),
    (
        "one of many names",
        Or((eq("sAMAccountName", "jdoe@example.com"), eq("mail", "jdoe@example.com"), eq("userPrincipalName", "x"))),
    ),
    ("pfSense", Or((Present("ou"), eq("cn", "jdoe")))),
]
