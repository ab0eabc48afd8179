"""The subschema subentry (RFC 4512 section 4.2): the schema as text, generated from what filters and entries go by."""

from collections.abc import Iterable
from functools import lru_cache

from dataplane.protocols.ldap.entries import SUBSCHEMA_DN
from dataplane.protocols.ldap.schema import Attributes, AttributeType, ObjectClass, Rule, Schema, Usage
from dataplane.protocols.ldap.schema_types import TYPE_BY_NAME
from dataplane.protocols.ldap.syntaxes import SYNTAXES, Syntax


@lru_cache(maxsize=64)
def subschema(schema: Schema) -> Attributes:
    """Return the attributes of the subentry, those that are operational included."""
    said = {
        "objectclass": ("top", "subentry", "subschema", "extensibleObject"),
        "cn": ("subschema",),
        "structuralobjectclass": ("subentry",),
        "hassubordinates": ("FALSE",),
        "subschemasubentry": (SUBSCHEMA_DN,),
        "ldapsyntaxes": tuple(_syntax(each) for each in SYNTAXES),
        "matchingrules": tuple(_rule(each) for each in schema.rules),
        "matchingruleuse": tuple(_rule_use(each, schema) for each in schema.rules if _applies(each, schema)),
        "attributetypes": tuple(_type(each) for each in schema.types),
        "objectclasses": tuple(_class(each) for each in schema.classes),
    }
    return tuple((TYPE_BY_NAME[name], tuple(value.encode() for value in values)) for name, values in said.items())


def _syntax(syntax: Syntax) -> str:
    return f"( {syntax.oid} DESC '{syntax.description}' )"


def _rule(rule: Rule) -> str:
    return f"( {rule.oid} NAME '{rule.name}' SYNTAX {rule.assertion} )"


def _applies(rule: Rule, schema: Schema) -> list[str]:
    return [each.name for each in schema.types if each.syntax.oid in rule.syntaxes]


def _rule_use(rule: Rule, schema: Schema) -> str:
    return f"( {rule.oid} NAME '{rule.name}' APPLIES {_oids(_applies(rule, schema))} )"


def _type(kind: AttributeType) -> str:
    words = ["(", kind.oid, "NAME", _quoted(kind.names)]
    for keyword, rule in (("EQUALITY", kind.equality), ("ORDERING", kind.ordering), ("SUBSTR", kind.substrings)):
        words += [keyword, rule.name] if rule else []
    words += ["SYNTAX", kind.syntax.oid]
    words += ["SINGLE-VALUE"] if kind.single else []
    words += ["NO-USER-MODIFICATION"] if kind.operational else []
    words += ["USAGE", kind.usage.value] if kind.usage is not Usage.USER else []
    return " ".join((*words, ")"))


def _class(each: ObjectClass) -> str:
    words = ["(", each.oid, "NAME", _quoted((each.name,))]
    words += ["SUP", each.superior] if each.superior else []
    words += [each.kind.value]
    words += ["MUST", _oids(each.must)] if each.must else []
    words += ["MAY", _oids(each.may)] if each.may else []
    return " ".join((*words, ")"))


def _quoted(names: Iterable[str]) -> str:
    quoted = [f"'{name}'" for name in names]
    return quoted[0] if len(quoted) == 1 else f"( {' '.join(quoted)} )"


def _oids(names: Iterable[str]) -> str:
    listed = tuple(names)
    return listed[0] if len(listed) == 1 else f"( {' $ '.join(listed)} )"
