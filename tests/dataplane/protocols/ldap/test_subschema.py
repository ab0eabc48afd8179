"""Root DSE and subschema: what they say is what is served, and it hangs together."""

import re

import pytest

from dataplane.protocols.ldap import rootdse
from dataplane.protocols.ldap.rootdse import root_dse
from dataplane.protocols.ldap.schema import Attributes
from dataplane.protocols.ldap.schema_rules import RULES
from dataplane.protocols.ldap.schema_served import schema_of
from dataplane.protocols.ldap.schema_types import TYPES
from dataplane.protocols.ldap.subschema import subschema
from tests.support.ldap_people import ldap_provider
from tests.support.ldap_published import Published

SCHEMA = schema_of(ldap_provider(users={"fooBar": "x", "loginShell": "x"}, groups={"teamColour": "x", "mail": "x"}))
PUBLISHED = Published(SCHEMA)


def described(attributes: Attributes) -> dict[str, list[str]]:
    return {kind.name: [value.decode() for value in values] for kind, values in attributes}


def test_the_root_dse_says_what_is_served() -> None:
    assert described(root_dse(["dc=a", "dc=b", "dc=a"], "1.2.3")) == {
        "objectClass": ["top"],
        "namingContexts": ["dc=a", "dc=b"],
        "defaultNamingContext": ["dc=a"],
        "rootDomainNamingContext": ["dc=a"],
        "subschemaSubentry": ["cn=subschema"],
        "supportedLDAPVersion": ["3"],
        "supportedControl": ["1.2.840.113556.1.4.319", "1.2.840.113556.1.4.473", "2.16.840.1.113730.3.4.2"],
        "supportedExtension": ["1.3.6.1.4.1.1466.20037", "1.3.6.1.4.1.4203.1.11.1", "1.3.6.1.4.1.4203.1.11.3"],
        "supportedFeatures": ["1.3.6.1.4.1.4203.1.5.1", "1.3.6.1.4.1.4203.1.5.2", "1.3.6.1.4.1.4203.1.5.3"],
        "vendorName": ["Garrison"],
        "vendorVersion": ["1.2.3"],
    }


def test_without_providers_the_root_dse_names_no_context() -> None:
    shown = described(root_dse([], "1"))
    assert {"namingContexts", "defaultNamingContext", "rootDomainNamingContext"}.isdisjoint(shown)


def test_no_client_takes_this_for_active_directory() -> None:
    """sssd reads domainControllerFunctionality; OIDs of AD's capabilities say the rest."""
    names = {kind.name.lower() for kind, _ in root_dse(["dc=a"], "1")}
    assert names.isdisjoint(
        {"domaincontrollerfunctionality", "supportedcapabilities", "highestcommittedusn", "lastusn"}
    )
    assert not any(oid.startswith("1.2.840.113556.1.4.800") for oid in (*rootdse.CONTROLS, *rootdse.FEATURES))


def test_every_value_of_root_dse_and_subschema_is_of_its_syntax() -> None:
    for kind, values in (*root_dse(["dc=a"], "1"), *subschema(SCHEMA)):
        assert all(kind.syntax.holds(value) for value in values), kind
        assert len(set(values)) == len(values)
        if kind.equality is not None:
            assert None not in {kind.equality.normalise(value) for value in values}, kind


def test_everything_published_is_defined() -> None:
    syntaxes = {each.oid for each in PUBLISHED.syntaxes}
    rules = {name for each in PUBLISHED.rules for name in each.names()}
    for kind in PUBLISHED.types:
        assert kind.said["SYNTAX"][0] in syntaxes
        assert {kind.said[word][0] for word in ("EQUALITY", "ORDERING", "SUBSTR") if word in kind.said} <= rules
    assert all(each.said["SYNTAX"][0] in syntaxes for each in PUBLISHED.rules)
    for each in PUBLISHED.classes:
        named = each.said.get("MUST", []) + each.said.get("MAY", [])
        assert {name.lower() for name in named} <= set(PUBLISHED.type_by_name), each
        assert {name.lower() for name in each.said.get("SUP", [])} <= set(PUBLISHED.class_by_name)
    for use in PUBLISHED.uses:
        assert {name.lower() for name in use.said["APPLIES"]} <= set(PUBLISHED.type_by_name)


def test_all_that_is_known_is_published() -> None:
    assert {each.oid for each in PUBLISHED.types} >= {each.oid for each in TYPES}
    assert [each.oid for each in PUBLISHED.rules] == [each.oid for each in RULES]
    assert PUBLISHED.type_by_name["surname"] is PUBLISHED.type_by_name["sn"]


@pytest.mark.parametrize(
    ("name", "allowed"), [("fooBar", "goauthentik.io/ldap/user"), ("teamColour", "goauthentik.io/ldap/group")]
)
def test_what_a_mapping_adds_is_allowed_by_authentiks_class(name: str, allowed: str) -> None:
    allowing = [each for each in PUBLISHED.classes if name in each.said.get("MAY", [])]
    assert [each.names() for each in allowing] == [[allowed]]
    assert re.fullmatch(r"2\.25\.\d+", PUBLISHED.type_by_name[name.lower()].oid)


def test_a_description_is_written_as_the_rfc_has_it() -> None:
    texts = described(subschema(SCHEMA))
    assert (
        "( 2.5.4.3 NAME ( 'cn' 'commonName' ) EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch "
        "SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )"
    ) in texts["attributeTypes"]
    assert (
        "( 2.5.18.2 NAME 'modifyTimestamp' EQUALITY generalizedTimeMatch ORDERING generalizedTimeOrderingMatch "
        "SYNTAX 1.3.6.1.4.1.1466.115.121.1.24 SINGLE-VALUE NO-USER-MODIFICATION USAGE directoryOperation )"
    ) in texts["attributeTypes"]
    assert (
        "( 1.3.6.1.1.1.2.2 NAME 'posixGroup' SUP top AUXILIARY MUST ( cn $ gidNumber ) "
        "MAY ( memberUid $ userPassword $ description ) )"
    ) in texts["objectClasses"]
