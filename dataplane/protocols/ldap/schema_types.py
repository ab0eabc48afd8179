"""Attribute types as objects: the rows of `schema_table` with the syntaxes and rules that they match by."""

from typing import NamedTuple

from dataplane.protocols.ldap import schema_rules as rules
from dataplane.protocols.ldap import syntaxes
from dataplane.protocols.ldap.schema import AttributeType, Rule
from dataplane.protocols.ldap.schema_table import BUILT_IN, KNOWN, Match, Row, generated_oid
from dataplane.protocols.ldap.syntaxes import Syntax


class _How(NamedTuple):
    syntax: Syntax
    equality: Rule | None = None
    ordering: Rule | None = None
    substrings: Rule | None = None


_HOW = {
    Match.TEXT: _How(syntaxes.DIRECTORY_STRING, rules.CASE_IGNORE, None, rules.CASE_IGNORE_SUBSTRINGS),
    Match.EXACT: _How(syntaxes.DIRECTORY_STRING, rules.CASE_EXACT, None, rules.CASE_EXACT_SUBSTRINGS),
    Match.IA5: _How(syntaxes.IA5_STRING, rules.CASE_IGNORE_IA5, None, rules.CASE_IGNORE_IA5_SUBSTRINGS),
    Match.COUNTRY: _How(syntaxes.COUNTRY, rules.CASE_IGNORE, None, rules.CASE_IGNORE_SUBSTRINGS),
    Match.INTEGER: _How(syntaxes.INTEGER, rules.INTEGER, rules.INTEGER_ORDERING),
    Match.BOOLEAN: _How(syntaxes.BOOLEAN, rules.BOOLEAN),
    Match.TIME: _How(syntaxes.GENERALIZED_TIME, rules.TIME, rules.TIME_ORDERING),
    Match.NAME: _How(syntaxes.DN, rules.NAME),
    Match.NAME_AND_UID: _How(syntaxes.NAME_AND_UID, rules.NAME_AND_UID),
    Match.OID: _How(syntaxes.OID, rules.OID),
    Match.OCTETS: _How(syntaxes.OCTET_STRING, rules.OCTETS),
    Match.NUMERIC: _How(syntaxes.NUMERIC_STRING, rules.NUMERIC, None, rules.NUMERIC_SUBSTRINGS),
    Match.TELEPHONE: _How(syntaxes.TELEPHONE_NUMBER, rules.TELEPHONE, None, rules.TELEPHONE_SUBSTRINGS),
    Match.UUID: _How(syntaxes.UNIVERSAL_ID, rules.UUID, rules.UUID_ORDERING),
    Match.POSTAL: _How(syntaxes.POSTAL_ADDRESS, rules.LIST, None, rules.LIST_SUBSTRINGS),
    Match.PHOTO: _How(syntaxes.JPEG),
    Match.TYPES: _How(syntaxes.ATTRIBUTE_TYPE, rules.FIRST_COMPONENT),
    Match.CLASSES: _How(syntaxes.OBJECT_CLASS, rules.FIRST_COMPONENT),
    Match.RULES: _How(syntaxes.MATCHING_RULE, rules.FIRST_COMPONENT),
    Match.RULE_USES: _How(syntaxes.MATCHING_RULE_USE, rules.FIRST_COMPONENT),
    Match.SYNTAXES: _How(syntaxes.LDAP_SYNTAX, rules.FIRST_COMPONENT),
}


def _type(row: Row) -> AttributeType:
    how = _HOW[row.match]
    return AttributeType(
        names=tuple(row.names.split()),
        oid=row.oid,
        syntax=how.syntax,
        equality=how.equality,
        ordering=how.ordering,
        substrings=how.substrings,
        single=row.single,
        usage=row.usage,
    )


def generated_type(name: str) -> AttributeType:
    """Return the type of a mapped attribute that nobody has defined: any text, any number of values."""
    return _type(Row(generated_oid(name), name))


TYPES = tuple(_type(row) for row in (*BUILT_IN, *KNOWN))
BUILT_IN_TYPES = TYPES[: len(BUILT_IN)]
TYPE_BY_NAME = {name.lower(): each for each in TYPES for name in each.names}
