"""The subschema as a client reads it (RFC 4512 section 4.1): its text parsed, and entries held against it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from dataplane.protocols.ldap.schema import Attributes, Schema
from dataplane.protocols.ldap.subschema import subschema
from dataplane.protocols.ldap.syntaxes import SYNTAXES

_TOKEN = re.compile(r"\s*(?:([()$])|'([^']*)'|([^\s()$']+))")
_FLAGS = {"SINGLE-VALUE", "NO-USER-MODIFICATION", "ABSTRACT", "STRUCTURAL", "AUXILIARY", "COLLECTIVE", "OBSOLETE"}


@dataclass
class Description:
    """One element: its OID, and what stands behind each of its words."""

    oid: str
    said: dict[str, list[str]] = field(default_factory=dict)

    def names(self) -> list[str]:
        return self.said.get("NAME", [])


def parse(text: str) -> Description:
    """Read a description; fails where it is none."""
    tokens = list(_tokens(text))
    assert (tokens[0], tokens[-1]) == ("(", ")"), text
    found = Description(tokens[1])
    rest = iter(tokens[2:-1])
    for word in rest:
        assert word.isupper() or "-" in word, f"{word!r} in {text}"
        found.said[word] = [] if word in _FLAGS else _operands(rest)
    return found


def _operands(rest: Iterator[str]) -> list[str]:
    first = next(rest)
    if first != "(":
        return [first]
    listed = []
    while (token := next(rest)) != ")":
        if token != "$":
            listed.append(token)
    return listed


def _tokens(text: str) -> Iterator[str]:
    position = 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        assert found is not None, text[position:]
        yield next(group for group in found.groups() if group is not None)
        position = found.end()


class Published:
    """What the subschema subentry of a schema says."""

    def __init__(self, schema: Schema) -> None:
        texts = {kind.name: [value.decode() for value in values] for kind, values in subschema(schema)}
        self.types = [parse(text) for text in texts["attributeTypes"]]
        self.classes = [parse(text) for text in texts["objectClasses"]]
        self.rules = [parse(text) for text in texts["matchingRules"]]
        self.uses = [parse(text) for text in texts["matchingRuleUse"]]
        self.syntaxes = [parse(text) for text in texts["ldapSyntaxes"]]
        self.type_by_name = {name.lower(): each for each in self.types for name in each.names()}
        self.class_by_name = {name.lower(): each for each in self.classes for name in each.names()}
        self._holds = {each.oid: each.holds for each in SYNTAXES}

    def check(self, attributes: Attributes) -> None:
        """Fail unless the entry is valid: its classes known and one chain of them structural, MUST, MAY, values."""
        held = {kind.name: values for kind, values in attributes}
        assert len(held) == len(attributes)
        classes = [self.class_by_name[value.decode().lower()] for value in held["objectClass"]]
        self._check_structure(classes, held["structuralObjectClass"])
        users = {name.lower() for name, values in held.items() if "USAGE" not in self._type(name).said}
        demanded = {name.lower() for each in classes for name in each.said.get("MUST", [])}
        allowed = {name.lower() for each in classes for name in each.said.get("MAY", [])} | demanded
        assert demanded <= users, demanded - users
        assert users <= allowed or b"extensibleObject" in held["objectClass"], users - allowed
        for name, values in held.items():
            self._check_values(name, values)

    def _check_structure(self, classes: list[Description], said: tuple[bytes, ...]) -> None:
        named = {name.lower() for each in classes for name in each.names()}
        structural = [each for each in classes if "STRUCTURAL" in each.said]
        for each in classes:
            assert {name.lower() for name in each.said.get("SUP", [])} <= named, each
        above = {name.lower() for each in structural for name in each.said["SUP"]}
        lowest = [each for each in structural if each.names()[0].lower() not in above]
        assert [each.names()[0].encode() for each in lowest] == list(said)

    def _type(self, name: str) -> Description:
        return self.type_by_name[name.lower()]

    def _check_values(self, name: str, values: tuple[bytes, ...]) -> None:
        kind = self._type(name)
        assert values, name
        assert len(set(values)) == len(values), (name, values)
        assert len(values) == 1 or "SINGLE-VALUE" not in kind.said, (name, values)
        if name != "objectClass":  # authentik's names of classes are no descriptors
            assert all(self._holds[kind.said["SYNTAX"][0]](value) for value in values), (name, values)
