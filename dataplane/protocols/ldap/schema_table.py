"""The attribute types that Garrison knows, as rows: OID, names, how they match, and what they are for.

Those of RFC 4512, 4519, 4524, 2307, 2798, 3045, 4530, 5020 and the draft of password policies, some of Active
Directory's and Samba's that applications ask for, and authentik's own under authentik's OIDs. Two things are wider than
the RFCs: where RFC 2307 and 4524 have IA5 strings that hold user names or addresses, these are Directory Strings, since
names may have letters beyond ASCII; and uidNumber and gidNumber are ordered.
"""

from enum import Enum
from typing import NamedTuple
from uuid import UUID, uuid5

from dataplane.protocols.ldap.schema import Usage

_NAMESPACE = UUID("6f0c1c3e-5d0a-4c61-9d3a-1f1f4f6a8f10")


def generated_oid(name: str) -> str:
    """Return an OID for a name that nobody has registered: a UUID's arc (X.667), the same for the name in any case."""
    return f"2.25.{uuid5(_NAMESPACE, name.lower()).int}"


class Match(Enum):
    """How values of a type are written and matched; `schema_types` says by which syntax and rules."""

    TEXT = "text"
    EXACT = "exact"
    IA5 = "ia5"
    COUNTRY = "country"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    TIME = "time"
    NAME = "name"
    NAME_AND_UID = "name and uid"
    OID = "oid"
    OCTETS = "octets"
    NUMERIC = "numeric"
    TELEPHONE = "telephone"
    UUID = "uuid"
    POSTAL = "postal"
    PHOTO = "photo"
    TYPES = "attribute types"
    CLASSES = "object classes"
    RULES = "matching rules"
    RULE_USES = "matching rule uses"
    SYNTAXES = "syntaxes"


class Row(NamedTuple):
    """One type; the first of the `names` is the one shown, they are parted by spaces."""

    oid: str
    names: str
    match: Match = Match.TEXT
    single: bool = False
    usage: Usage = Usage.USER


_SYNTAX_ARC = "1.3.6.1.4.1.1466.101.120."

# What our entries hold without any mapping.
BUILT_IN = (
    Row("2.5.4.0", "objectClass", Match.OID),
    Row("2.5.4.3", "cn commonName"),
    Row("2.5.4.4", "sn surname"),
    Row("2.5.4.42", "givenName gn"),
    Row("2.5.4.11", "ou organizationalUnitName"),
    Row("2.5.4.10", "o organizationName"),
    Row("2.5.4.7", "l localityName"),
    Row("2.5.4.6", "c countryName", Match.COUNTRY, single=True),
    Row("0.9.2342.19200300.100.1.25", "dc domainComponent", single=True),
    Row("0.9.2342.19200300.100.1.1", "uid userid"),
    Row("0.9.2342.19200300.100.1.3", "mail rfc822Mailbox"),
    Row("2.16.840.1.113730.3.1.241", "displayName", single=True),
    Row("1.2.840.113556.1.4.1", "name", single=True),
    Row("1.2.840.113556.1.4.221", "sAMAccountName", single=True),
    Row("1.2.840.113556.1.2.102", "memberOf", Match.NAME),
    Row("2.5.4.31", "member", Match.NAME),
    Row("2.5.4.50", "uniqueMember", Match.NAME_AND_UID),
    Row("1.3.6.1.1.1.1.0", "uidNumber", Match.INTEGER, single=True),
    Row("1.3.6.1.1.1.1.1", "gidNumber", Match.INTEGER, single=True),
    Row("1.3.6.1.1.1.1.3", "homeDirectory", Match.EXACT, single=True),
    Row("1.3.6.1.1.1.1.12", "memberUid", Match.EXACT),
    Row("1.3.6.1.4.1.26027.1.1.2", "ak-superuser", Match.BOOLEAN, single=True),
    Row("1.3.6.1.4.1.26027.1.1.3", "ak-active", Match.BOOLEAN, single=True),
    Row("1.3.6.1.1.16.4", "entryUUID", Match.UUID, single=True, usage=Usage.DIRECTORY),
    Row("1.3.6.1.1.20", "entryDN", Match.NAME, single=True, usage=Usage.DIRECTORY),
    Row("2.5.18.1", "createTimestamp", Match.TIME, single=True, usage=Usage.DIRECTORY),
    Row("2.5.18.2", "modifyTimestamp", Match.TIME, single=True, usage=Usage.DIRECTORY),
    Row("1.3.6.1.4.1.42.2.27.8.1.16", "pwdChangedTime", Match.TIME, single=True, usage=Usage.DIRECTORY),
    Row("2.5.21.9", "structuralObjectClass", Match.OID, single=True, usage=Usage.DIRECTORY),
    Row("2.5.18.9", "hasSubordinates", Match.BOOLEAN, single=True, usage=Usage.DIRECTORY),
    Row("2.5.18.10", "subschemaSubentry", Match.NAME, single=True, usage=Usage.DIRECTORY),
    Row("2.5.21.5", "attributeTypes", Match.TYPES, usage=Usage.DIRECTORY),
    Row("2.5.21.6", "objectClasses", Match.CLASSES, usage=Usage.DIRECTORY),
    Row("2.5.21.4", "matchingRules", Match.RULES, usage=Usage.DIRECTORY),
    Row("2.5.21.8", "matchingRuleUse", Match.RULE_USES, usage=Usage.DIRECTORY),
    Row(_SYNTAX_ARC + "16", "ldapSyntaxes", Match.SYNTAXES, usage=Usage.DIRECTORY),
    Row(_SYNTAX_ARC + "5", "namingContexts", Match.NAME, usage=Usage.SERVER),
    Row(generated_oid("defaultNamingContext"), "defaultNamingContext", Match.NAME, single=True, usage=Usage.SERVER),
    Row(
        generated_oid("rootDomainNamingContext"),
        "rootDomainNamingContext",
        Match.NAME,
        single=True,
        usage=Usage.SERVER,
    ),
    Row(_SYNTAX_ARC + "7", "supportedExtension", Match.OID, usage=Usage.SERVER),
    Row(_SYNTAX_ARC + "13", "supportedControl", Match.OID, usage=Usage.SERVER),
    Row("1.3.6.1.4.1.4203.1.3.5", "supportedFeatures", Match.OID, usage=Usage.SERVER),
    Row(_SYNTAX_ARC + "15", "supportedLDAPVersion", Match.INTEGER, usage=Usage.SERVER),
    Row("1.3.6.1.1.4", "vendorName", Match.EXACT, single=True, usage=Usage.SERVER),
    Row("1.3.6.1.1.5", "vendorVersion", Match.EXACT, single=True, usage=Usage.SERVER),
)

# What a mapping may show under its proper type; and what no entry has, but applications ask not to be so, which is true
# of everybody only where the type is known: `(!(userAccountControl:1.2.840.113556.1.4.803:=2))`.
KNOWN = (
    Row("2.5.4.43", "initials"),
    Row("2.5.4.44", "generationQualifier"),
    Row("2.5.4.12", "title"),
    Row("2.5.4.13", "description"),
    Row("2.5.4.8", "st stateOrProvinceName"),
    Row("2.5.4.9", "street streetAddress"),
    Row("2.5.4.16", "postalAddress", Match.POSTAL),
    Row("2.5.4.17", "postalCode"),
    Row("2.5.4.18", "postOfficeBox"),
    Row("2.5.4.19", "physicalDeliveryOfficeName"),
    Row("2.5.4.20", "telephoneNumber", Match.TELEPHONE),
    Row("2.5.4.23", "facsimileTelephoneNumber fax", Match.TELEPHONE),
    Row("2.5.4.5", "serialNumber"),
    Row("2.5.4.15", "businessCategory"),
    Row("2.5.4.24", "x121Address", Match.NUMERIC),
    Row("2.5.4.32", "owner", Match.NAME),
    Row("2.5.4.34", "seeAlso", Match.NAME),
    Row("2.5.4.35", "userPassword", Match.OCTETS),
    Row("2.5.4.51", "houseIdentifier"),
    Row("0.9.2342.19200300.100.1.4", "info"),
    Row("0.9.2342.19200300.100.1.6", "roomNumber"),
    Row("0.9.2342.19200300.100.1.10", "manager", Match.NAME),
    Row("0.9.2342.19200300.100.1.20", "homePhone homeTelephoneNumber", Match.TELEPHONE),
    Row("0.9.2342.19200300.100.1.21", "secretary", Match.NAME),
    Row("0.9.2342.19200300.100.1.37", "associatedDomain", Match.IA5),
    Row("0.9.2342.19200300.100.1.39", "homePostalAddress", Match.POSTAL),
    Row("0.9.2342.19200300.100.1.40", "personalTitle"),
    Row("0.9.2342.19200300.100.1.41", "mobile mobileTelephoneNumber", Match.TELEPHONE),
    Row("0.9.2342.19200300.100.1.42", "pager pagerTelephoneNumber", Match.TELEPHONE),
    Row("0.9.2342.19200300.100.1.43", "co friendlyCountryName"),
    Row("0.9.2342.19200300.100.1.45", "uniqueIdentifier"),
    Row("0.9.2342.19200300.100.1.60", "jpegPhoto", Match.PHOTO),
    Row("2.16.840.1.113730.3.1.1", "carLicense"),
    Row("2.16.840.1.113730.3.1.2", "departmentNumber"),
    Row("2.16.840.1.113730.3.1.3", "employeeNumber", single=True),
    Row("2.16.840.1.113730.3.1.4", "employeeType"),
    Row("2.16.840.1.113730.3.1.39", "preferredLanguage", single=True),
    Row("1.3.6.1.4.1.250.1.57", "labeledURI", Match.EXACT),
    Row("1.3.6.1.1.1.1.2", "gecos", single=True),
    Row("1.3.6.1.1.1.1.4", "loginShell", Match.EXACT, single=True),
    Row("1.3.6.1.1.1.1.5", "shadowLastChange", Match.INTEGER, single=True),
    Row("1.3.6.1.1.1.1.6", "shadowMin", Match.INTEGER, single=True),
    Row("1.3.6.1.1.1.1.7", "shadowMax", Match.INTEGER, single=True),
    Row("1.3.6.1.1.1.1.8", "shadowWarning", Match.INTEGER, single=True),
    Row("1.3.6.1.1.1.1.9", "shadowInactive", Match.INTEGER, single=True),
    Row("1.3.6.1.1.1.1.10", "shadowExpire", Match.INTEGER, single=True),
    Row("1.3.6.1.1.1.1.11", "shadowFlag", Match.INTEGER, single=True),
    Row("1.2.840.113556.1.2.141", "department", single=True),
    Row("1.2.840.113556.1.2.146", "company", single=True),
    Row("1.2.840.113556.1.2.210", "proxyAddresses"),
    Row("1.2.840.113556.1.2.464", "wWWHomePage", single=True),
    Row("1.2.840.113556.1.4.8", "userAccountControl", Match.INTEGER, single=True),
    Row("1.2.840.113556.1.4.2", "objectGUID", Match.OCTETS, single=True),
    Row("1.2.840.113556.1.4.146", "objectSid", Match.OCTETS, single=True),
    Row("1.2.840.113556.1.4.159", "accountExpires", Match.INTEGER, single=True),
    Row("1.2.840.113556.1.4.662", "lockoutTime", Match.INTEGER, single=True),
    Row("1.2.840.113556.1.4.782", "objectCategory", Match.NAME, single=True),
    Row("2.16.840.1.113730.3.1.610", "nsAccountLock"),
    Row("1.3.6.1.4.1.42.2.27.8.1.17", "pwdAccountLockedTime", Match.TIME, single=True),
    Row("1.2.840.113556.1.4.35", "employeeID", single=True),
    Row("1.2.840.113556.1.4.98", "primaryGroupID", Match.INTEGER, single=True),
    Row("1.2.840.113556.1.4.261", "division", single=True),
    Row("1.2.840.113556.1.4.656", "userPrincipalName", single=True),
    Row("1.2.840.113556.1.4.750", "groupType", Match.INTEGER, single=True),
    Row("2.16.840.1.113730.3.1.35", "thumbnailPhoto", Match.OCTETS, single=True),
    Row("1.3.6.1.4.1.24552.500.1.1.1.13", "sshPublicKey", Match.OCTETS),
    Row("1.3.6.1.4.1.7165.2.1.19", "sambaGroupType", Match.INTEGER, single=True),
    Row("1.3.6.1.4.1.7165.2.1.20", "sambaSID", Match.IA5, single=True),
    Row("1.3.6.1.4.1.7165.2.1.23", "sambaPrimaryGroupSID", Match.IA5, single=True),
    Row("1.3.6.1.4.1.7165.2.1.25", "sambaNTPassword", Match.IA5, single=True),
    Row("1.3.6.1.4.1.7165.2.1.26", "sambaAcctFlags", Match.IA5, single=True),
    Row("1.3.6.1.4.1.7165.2.1.27", "sambaPwdLastSet", Match.INTEGER, single=True),
    Row("1.3.6.1.4.1.7165.2.1.38", "sambaDomainName"),
)

# Names and OIDs of types, in lower case, to the OID: what an OID in a value or an assertion may be written as.
TYPE_OIDS = {spelling.lower(): row.oid for row in (*BUILT_IN, *KNOWN) for spelling in (*row.names.split(), row.oid)}
