"""The root DSE (RFC 4512 section 5.1): what this server serves, said before anyone has bound.

Only what works is named here, and the handler serves by these very lists. Nothing of Active Directory's is among it,
such as domainControllerFunctionality, by which sssd takes a server for a domain controller.
"""

from collections.abc import Sequence

from dataplane.protocols.ldap.entries import SUBSCHEMA_DN
from dataplane.protocols.ldap.schema import Attributes
from dataplane.protocols.ldap.schema_types import TYPE_BY_NAME

PAGED_RESULTS = "1.2.840.113556.1.4.319"
SERVER_SIDE_SORTING = "1.2.840.113556.1.4.473"
MANAGE_DSA_IT = "2.16.840.1.113730.3.4.2"

START_TLS = "1.3.6.1.4.1.1466.20037"
PASSWORD_MODIFY = "1.3.6.1.4.1.4203.1.11.1"
WHO_AM_I = "1.3.6.1.4.1.4203.1.11.3"

ALL_OPERATIONAL_ATTRIBUTES = "1.3.6.1.4.1.4203.1.5.1"
ATTRIBUTES_BY_CLASS = "1.3.6.1.4.1.4203.1.5.2"
TRUE_AND_FALSE_FILTERS = "1.3.6.1.4.1.4203.1.5.3"

CONTROLS = (PAGED_RESULTS, SERVER_SIDE_SORTING, MANAGE_DSA_IT)
EXTENSIONS = (START_TLS, PASSWORD_MODIFY, WHO_AM_I)
FEATURES = (ALL_OPERATIONAL_ATTRIBUTES, ATTRIBUTES_BY_CLASS, TRUE_AND_FALSE_FILTERS)

VENDOR = "Garrison"


def root_dse(base_dns: Sequence[str], version: str) -> Attributes:
    """Return the attributes of the root DSE of a server of these base DNs, in Garrison's `version`.

    The first base DN is the one for clients that ask for one.
    """
    said = {
        "objectclass": ("top",),
        "namingcontexts": tuple(dict.fromkeys(base_dns)),
        "defaultnamingcontext": tuple(base_dns[:1]),
        "rootdomainnamingcontext": tuple(base_dns[:1]),
        "subschemasubentry": (SUBSCHEMA_DN,),
        "supportedldapversion": ("3",),
        "supportedcontrol": CONTROLS,
        "supportedextension": EXTENSIONS,
        "supportedfeatures": FEATURES,
        "vendorname": (VENDOR,),
        "vendorversion": (version,),
    }
    return tuple(
        (TYPE_BY_NAME[name], tuple(value.encode() for value in values)) for name, values in said.items() if values
    )
