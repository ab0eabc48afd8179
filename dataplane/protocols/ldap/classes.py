"""Object classes (RFC 4512 section 4.1.1) such that every entry served is of a structural class and within its MAY.

The classes and their OIDs are those that applications look for; three things differ from where they come from. A group
may be empty, so groupOfNames and groupOfUniqueNames demand no member. An entry has one chain of structural classes:
inetOrgPerson for users, groupOfNames for groups; user, group, groupOfUniqueNames and posixGroup are auxiliary (the last
as in RFC 2307bis). And authentik's markers are auxiliary and allow whatever the provider's mappings add.
"""

from typing import NamedTuple

from dataplane.protocols.ldap.schema import ClassKind, ObjectClass
from dataplane.protocols.ldap.schema_table import TYPE_OIDS, generated_oid

USER_MARKER = "goauthentik.io/ldap/user"
GROUP_MARKER = "goauthentik.io/ldap/group"
VIRTUAL_GROUP_MARKER = "goauthentik.io/ldap/virtual-group"

USER_CLASSES = ("top", "person", "organizationalPerson", "inetOrgPerson", "user", "posixAccount", USER_MARKER)
GROUP_CLASSES = ("top", "group", "groupOfUniqueNames", "groupOfNames", "posixGroup", GROUP_MARKER)
VIRTUAL_GROUP_CLASSES = (*GROUP_CLASSES, VIRTUAL_GROUP_MARKER)

USER_STRUCTURE = "inetOrgPerson"
GROUP_STRUCTURE = "groupOfNames"

# What an entry is that has only a name, by the type of the name: the base DN and the branches below it.
CONTAINERS = {
    "dc": "domain",
    "ou": "organizationalUnit",
    "o": "organization",
    "l": "locality",
    "c": "country",
    "cn": "container",
}
OTHER_CONTAINER = "extensibleObject"

_PERSON = "seeAlso telephoneNumber description userPassword"
_ADDRESS = "street postOfficeBox postalCode postalAddress physicalDeliveryOfficeName st l"
_PLACE = f"{_ADDRESS} businessCategory telephoneNumber facsimileTelephoneNumber description seeAlso x121Address"


class _Row(NamedTuple):
    oid: str
    name: str
    kind: ClassKind
    superior: str | None = "top"
    must: str = ""
    may: str = ""


def _class(row: _Row) -> ObjectClass:
    return ObjectClass(
        name=row.name,
        oid=row.oid,
        kind=row.kind,
        superior=row.superior,
        must=tuple(row.must.split()),
        may=tuple(row.may.split()),
    )


_ABSTRACT, _STRUCTURAL, _AUXILIARY = ClassKind.ABSTRACT, ClassKind.STRUCTURAL, ClassKind.AUXILIARY

_ROWS = (
    _Row("2.5.6.0", "top", _ABSTRACT, superior=None, must="objectClass"),
    _Row("2.5.6.6", "person", _STRUCTURAL, must="sn cn", may=_PERSON),
    _Row(
        "2.5.6.7",
        "organizationalPerson",
        _STRUCTURAL,
        superior="person",
        may=f"title facsimileTelephoneNumber ou {_ADDRESS} x121Address",
    ),
    _Row(
        "2.16.840.1.113730.3.2.2",
        "inetOrgPerson",
        _STRUCTURAL,
        superior="organizationalPerson",
        may=(
            "businessCategory carLicense departmentNumber displayName employeeNumber employeeType givenName homePhone "
            "homePostalAddress initials jpegPhoto labeledURI mail manager mobile o pager preferredLanguage roomNumber "
            "secretary uid"
        ),
    ),
    _Row(
        "1.2.840.113556.1.5.9",
        "user",
        _AUXILIARY,
        may="name sAMAccountName memberOf userPrincipalName userAccountControl primaryGroupID department company "
        "division employeeID co proxyAddresses wWWHomePage thumbnailPhoto info",
    ),
    _Row(
        "1.3.6.1.1.1.2.0",
        "posixAccount",
        _AUXILIARY,
        must="cn uid uidNumber gidNumber homeDirectory",
        may="userPassword loginShell gecos description",
    ),
    _Row(
        "2.5.6.9", "groupOfNames", _STRUCTURAL, must="cn", may="member businessCategory seeAlso owner ou o description"
    ),
    _Row(
        "2.5.6.17",
        "groupOfUniqueNames",
        _AUXILIARY,
        must="cn",
        may="uniqueMember businessCategory seeAlso owner ou o description",
    ),
    _Row(
        "1.2.840.113556.1.5.8", "group", _AUXILIARY, must="cn", may="sAMAccountName memberOf member groupType mail info"
    ),
    _Row("1.3.6.1.1.1.2.2", "posixGroup", _AUXILIARY, must="cn gidNumber", may="memberUid userPassword description"),
    _Row("0.9.2342.19200300.100.4.13", "domain", _STRUCTURAL, must="dc", may=f"o {_PLACE} associatedDomain"),
    _Row("2.5.6.5", "organizationalUnit", _STRUCTURAL, must="ou", may=_PLACE),
    _Row("2.5.6.4", "organization", _STRUCTURAL, must="o", may=_PLACE),
    _Row("2.5.6.3", "locality", _STRUCTURAL, may="l st street seeAlso description"),
    _Row("2.5.6.2", "country", _STRUCTURAL, must="c", may="description"),
    _Row("1.2.840.113556.1.3.23", "container", _STRUCTURAL, must="cn", may="description"),
    _Row("1.3.6.1.4.1.1466.101.120.111", "extensibleObject", _AUXILIARY),
    _Row(
        "2.5.20.1",
        "subschema",
        _AUXILIARY,
        may="attributeTypes objectClasses matchingRules matchingRuleUse ldapSyntaxes",
    ),
    _Row("2.5.17.0", "subentry", _STRUCTURAL, must="cn"),
    # Nobody is one of these, but applications ask not to be so, which is true of everybody only of classes known.
    _Row("0.9.2342.19200300.100.4.5", "account", _STRUCTURAL, must="uid", may="description seeAlso l o ou"),
    _Row("2.5.6.8", "organizationalRole", _STRUCTURAL, must="cn", may=f"{_PLACE} ou"),
    _Row("2.5.6.14", "device", _STRUCTURAL, must="cn", may="serialNumber seeAlso owner ou o l description"),
    _Row("1.3.6.1.4.1.1466.344", "dcObject", _AUXILIARY, must="dc"),
    _Row("1.2.840.113556.1.3.30", "computer", _STRUCTURAL, must="cn", may="sAMAccountName description"),
    _Row("1.2.840.113556.1.5.15", "contact", _STRUCTURAL, must="cn", may="mail description"),
    _Row(
        "1.3.6.1.1.1.2.1",
        "shadowAccount",
        _AUXILIARY,
        must="uid",
        may="userPassword shadowLastChange shadowMin shadowMax shadowWarning shadowInactive shadowExpire shadowFlag "
        "description",
    ),
    _Row("1.3.6.1.4.1.24552.500.1.1.2.0", "ldapPublicKey", _AUXILIARY, may="sshPublicKey uid"),
    _Row(
        "1.3.6.1.4.1.7165.2.2.6",
        "sambaSamAccount",
        _AUXILIARY,
        must="uid sambaSID",
        may="cn sambaNTPassword sambaPwdLastSet sambaAcctFlags sambaPrimaryGroupSID sambaDomainName description",
    ),
    _Row(
        "1.3.6.1.4.1.7165.2.2.4",
        "sambaGroupMapping",
        _AUXILIARY,
        must="gidNumber sambaSID sambaGroupType",
        may="displayName description",
    ),
    _Row("1.3.6.1.4.1.26027.1.1.1", USER_MARKER, _AUXILIARY, may="ak-active ak-superuser"),
    _Row(generated_oid(GROUP_MARKER), GROUP_MARKER, _AUXILIARY, may="uid ak-superuser"),
    _Row(generated_oid(VIRTUAL_GROUP_MARKER), VIRTUAL_GROUP_MARKER, _AUXILIARY),
)

CLASSES = tuple(_class(row) for row in _ROWS)

CLASS_BY_NAME = {each.name.lower(): each for each in CLASSES}

# What an OID may be written as, in lower case, to its key; types and classes share one space (RFC 4512 section 1.4).
OID_KEYS = {spelling: oid.encode() for spelling, oid in TYPE_OIDS.items()} | {
    spelling: each.oid.encode() for each in CLASSES for spelling in (each.name.lower(), each.oid)
}
