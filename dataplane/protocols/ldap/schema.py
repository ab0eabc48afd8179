"""The shape of a schema (RFC 4512 section 4.1): attribute types, matching rules, and finding a type by its names.

`schema_rules`, `schema_types` and `classes` hold the data; `Schema` is what one provider serves. A rule turns a value
into a key: two values match when their keys are equal, are ordered as their keys are, and keys hold one another as
substrings do. So an index is a table by key, and no one compares values. No type here has a supertype: `name` is
Active Directory's, as authentik serves it, and not the supertype of RFC 4519, of which cn and sn would be subtypes.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from dataplane.protocols.ldap.prepare import Place
from dataplane.protocols.ldap.syntaxes import Syntax

# What a value matches by: UTF-8 text as prepared (RFC 4518; compared by bytes as by code points), or an integer.
Key = bytes | int

# Descriptions found are remembered up to here: those of one spelling each are few, all spellings are not.
_REMEMBERED = 4096


class RuleKind(Enum):
    """What a matching rule says of a value and an assertion (RFC 4512 section 4.1.3, RFC 4517 section 4.1)."""

    EQUALITY = "equality"
    ORDERING = "ordering"
    SUBSTRINGS = "substrings"
    ALL_BITS = "all bits"
    ANY_BIT = "any bit"
    CHAIN = "chain"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rule:
    """A matching rule (RFC 4517 section 4).

    `assertion` is the OID of the assertion's syntax; `normalise` makes the key of a value or an assertion and returns
    None for what is not of the syntax. `spread` makes of a key what pieces are looked for in, `piece` prepares a piece:
    both only of rules for substrings. `syntaxes` holds the OIDs of the syntaxes of the values that it is for.
    """

    name: str
    oid: str
    kind: RuleKind
    assertion: str
    syntaxes: frozenset[str]
    normalise: Callable[[bytes], Key | None]
    spread: Callable[[bytes], bytes] | None = None
    piece: Callable[[bytes, Place], bytes | None] | None = None

    def __repr__(self) -> str:
        return f"<Rule {self.name}>"


class Usage(Enum):
    """What an attribute is for (RFC 4512 section 4.1.2); what isn't of users is operational."""

    USER = "userApplications"
    DIRECTORY = "directoryOperation"
    SERVER = "dSAOperation"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AttributeType:
    """An attribute type. One object stands for it wherever it is spoken of, so it is compared by identity.

    `names` has the name that is shown first.
    """

    names: tuple[str, ...]
    oid: str
    syntax: Syntax
    equality: Rule | None = None
    ordering: Rule | None = None
    substrings: Rule | None = None
    single: bool = False
    usage: Usage = Usage.USER
    name: str = field(init=False)
    key: str = field(init=False)
    wire: bytes = field(init=False)
    wire_key: bytes = field(init=False)

    def __post_init__(self) -> None:
        """Spell the name out in each form that the hot path asks for: shown, folded, and both as bytes."""
        name = self.names[0]
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "key", name.lower())
        object.__setattr__(self, "wire", name.encode())
        object.__setattr__(self, "wire_key", name.lower().encode())

    @property
    def operational(self) -> bool:
        """Whether it is returned only where asked for (RFC 4512 section 3.4)."""
        return self.usage is not Usage.USER

    def __repr__(self) -> str:
        return f"<AttributeType {self.name}>"


# What an entry holds: every type once, with at least one value, no two values equal.
Attributes = tuple[tuple[AttributeType, tuple[bytes, ...]], ...]


class ClassKind(Enum):
    """RFC 4512 section 2.4."""

    ABSTRACT = "ABSTRACT"
    STRUCTURAL = "STRUCTURAL"
    AUXILIARY = "AUXILIARY"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectClass:
    """An object class: `must` and `may` name attribute types, `superior` a class."""

    name: str
    oid: str
    kind: ClassKind
    superior: str | None = "top"
    must: tuple[str, ...] = ()
    may: tuple[str, ...] = ()


class Schema:
    """The types, rules and classes of one provider, by every name and OID; `held` are types that entries may hold."""

    __slots__ = ("_found", "_rules", "_types", "classes", "held", "rules", "types")

    def __init__(
        self,
        *,
        types: Iterable[AttributeType],
        held: Iterable[AttributeType],
        rules: Iterable[Rule],
        classes: Iterable[ObjectClass],
    ) -> None:
        self.types: tuple[AttributeType, ...] = tuple(types)
        self.held: tuple[AttributeType, ...] = tuple(held)
        self.rules: tuple[Rule, ...] = tuple(rules)
        self.classes: tuple[ObjectClass, ...] = tuple(classes)
        self._types = _by_name(self.types)
        self._rules = {spelling: rule for rule in self.rules for spelling in (rule.name.lower(), rule.oid)}
        self._found: dict[str, AttributeType] = {}

    def find(self, description: str) -> AttributeType | None:
        """Return the type of an attribute description without options, in any case, by any name or its OID.

        With options nothing is found: no entry holds a subtype by options (RFC 4512 section 2.5.2).
        """
        found = self._found.get(description)
        if found is not None:
            return found
        found = self._types.get(description.lower())
        if found is not None and len(self._found) < _REMEMBERED:
            self._found[description] = found
        return found

    def find_rule(self, name: str) -> Rule | None:
        """Return the matching rule of a name, in any case, or an OID."""
        return self._rules.get(name.lower())

    def get(self, name: str) -> AttributeType:
        """Return the type of a name that is known to be there; raises KeyError."""
        return self._types[name.lower()]


def _by_name(types: Iterable[AttributeType]) -> Mapping[str, AttributeType]:
    return {spelling: kind for kind in types for spelling in (*(name.lower() for name in kind.names), kind.oid)}
