"""From the filter a client sent to nodes that can be evaluated (RFC 4511 section 4.5.1.7).

Nothing here raises: an attribute that nobody knows, a rule that there isn't or that isn't for the attribute, or a value
not of the rule's syntax makes `Undefined`. An attribute with language tags (RFC 3866) is known, and no entry has it;
any other option is unknown, and so is the attribute with it (RFC 4512 section 2.5.2).
"""

import re
from collections.abc import Generator
from dataclasses import replace
from typing import Final, assert_never

from dataplane.protocols.ldap.filters import (
    NOTHING,
    AllBits,
    AnyBit,
    AtLeast,
    AtMost,
    Below,
    Equal,
    Every,
    Has,
    Holds,
    InChain,
    InName,
    Inverse,
    Node,
    Some,
    Undefined,
)
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
    ResultCode,
    Substrings,
    Unknown,
)
from dataplane.protocols.ldap.pace import NOT_YET, Pace
from dataplane.protocols.ldap.prepare import Place
from dataplane.protocols.ldap.schema import AttributeType, Key, Rule, RuleKind, Schema

_RESOLVED: Final = 8
"""The cost of a part of a filter."""

_Leaf = Present | Equality | GreaterOrEqual | LessOrEqual | Substrings | Extensible

_NO_ATTRIBUTE = Undefined(ResultCode.UNDEFINED_ATTRIBUTE_TYPE)
_NO_RULE = Undefined(ResultCode.INAPPROPRIATE_MATCHING)
_NOT_OF_SYNTAX = Undefined(ResultCode.INVALID_ATTRIBUTE_SYNTAX)

_LANGUAGE = re.compile(r"lang-[A-Za-z0-9-]*", re.IGNORECASE)
_ESCAPE = re.compile(rb"\\(2[Aa]|5[Cc])")


def resolve_with_pauses(wanted: Filter, schema: Schema, pace: Pace) -> Generator[int, None, Node]:
    """Return the same as `resolve`, after a `NOT_YET` for each pause."""
    match wanted:
        case And() | Or():
            nodes: list[Node] = []
            for each in wanted.filters:
                nodes.append((yield from resolve_with_pauses(each, schema, pace)))  # noqa: PERF401  comprehensions do not yield
            return Every(tuple(nodes)) if isinstance(wanted, And) else Some(tuple(nodes))
        case Not():
            return Inverse((yield from resolve_with_pauses(wanted.filter, schema, pace)))
        case _:
            if pace.is_due(_RESOLVED):
                yield NOT_YET
            return resolve(wanted, schema)


def resolve(wanted: Filter, schema: Schema) -> Node:  # noqa: C901, PLR0911 one arm for each choice
    """Return what the filter means under the schema. Filters may be nested as deep as the codec lets them."""
    match wanted:
        case Equality() | Approximate():
            return resolve_assertion(wanted.attribute, wanted.value, schema)
        case And():
            return Every(tuple([resolve(each, schema) for each in wanted.filters]))
        case Or():
            return Some(tuple([resolve(each, schema) for each in wanted.filters]))
        case Not():
            return Inverse(resolve(wanted.filter, schema))
        case Present():
            kind = schema.find(wanted.attribute)
            return _missing(wanted, schema) if kind is None else Has(kind)
        case Substrings():
            return _substrings(wanted, schema)
        case GreaterOrEqual():
            return _ordered(wanted, schema, AtLeast)
        case LessOrEqual():
            return _ordered(wanted, schema, AtMost)
        case Extensible():
            return _extensible(wanted, schema)
        case Unknown():
            return _NO_RULE
        case _:
            assert_never(wanted)


def resolve_assertion(attribute: str, value: bytes, schema: Schema) -> Equal | Some | Undefined:
    """Return the test for a value, as filters and compare ask it; `NOTHING` where no entry has such an attribute."""
    kind = schema.find(attribute)
    if kind is None:
        return _missing(Equality(attribute, value), schema)
    rule = kind.equality
    if rule is None:
        return _NO_RULE
    key = rule.normalise(value)
    return _NOT_OF_SYNTAX if key is None else Equal(kind, rule, key)


def _missing(wanted: _Leaf, schema: Schema) -> Some | Undefined:
    """What is asked of an attribute that there isn't: nothing has it with language tags, but it is asked properly."""
    name, _, options = (wanted.attribute or "").partition(";")
    if schema.find(name) is None or not all(_LANGUAGE.fullmatch(option) for option in options.split(";")):
        return _NO_ATTRIBUTE
    plain = resolve(replace(wanted, attribute=name), schema)
    return plain if isinstance(plain, Undefined) else NOTHING


def _ordered(
    wanted: GreaterOrEqual | LessOrEqual, schema: Schema, test: type[AtLeast] | type[AtMost]
) -> AtLeast | AtMost | Some | Undefined:
    kind = schema.find(wanted.attribute)
    if kind is None:
        return _missing(wanted, schema)
    rule = kind.ordering
    if rule is None:
        return _NO_RULE
    key = rule.normalise(wanted.value)
    return _NOT_OF_SYNTAX if key is None else test(kind, rule, key)


def _substrings(wanted: Substrings, schema: Schema) -> Holds | Some | Undefined:
    kind = schema.find(wanted.attribute)
    if kind is None:
        return _missing(wanted, schema)
    return _NO_RULE if kind.substrings is None else _holds(kind, kind.substrings, wanted)


def _holds(kind: AttributeType, rule: Rule, wanted: Substrings) -> Holds | Undefined:
    assert rule.piece is not None  # noqa: S101 every rule for substrings has one
    initial = None if wanted.initial is None else rule.piece(wanted.initial, Place.INITIAL)
    final = None if wanted.final is None else rule.piece(wanted.final, Place.FINAL)
    if (initial is None) is not (wanted.initial is None) or (final is None) is not (wanted.final is None):
        return _NOT_OF_SYNTAX
    between: list[bytes] = []
    for each in wanted.any:
        piece = rule.piece(each, Place.ANY)
        if piece is None:
            return _NOT_OF_SYNTAX
        between.append(piece)
    return Holds(kind, rule, initial, tuple(between), final)


def _extensible(wanted: Extensible, schema: Schema) -> Node:
    if wanted.rule is None:
        return _by_equality(wanted, schema)
    rule = schema.find_rule(wanted.rule)
    if rule is None:
        return _NO_RULE
    if wanted.attribute is None:
        kinds = [kind for kind in schema.held if kind.syntax.oid in rule.syntaxes]
        return _any_of([_with_name(_test(kind, rule, wanted.value), wanted) for kind in kinds])
    kind = schema.find(wanted.attribute)
    if kind is None:
        return _missing(wanted, schema)
    if kind.syntax.oid not in rule.syntaxes:
        return _NO_RULE
    return _with_name(_test(kind, rule, wanted.value), wanted)


def _any_of(nodes: list[Node]) -> Node:
    """One of the nodes. They speak of one assertion: where it is undefined for one it is for all."""
    return nodes[0] if nodes and isinstance(nodes[0], Undefined) else Some(tuple(nodes))


def _by_equality(wanted: Extensible, schema: Schema) -> Node:
    if wanted.attribute is None:
        return _NO_RULE
    return _with_name(resolve_assertion(wanted.attribute, wanted.value, schema), wanted)


def _with_name(test: Node, wanted: Extensible) -> Node:
    if wanted.dn_attributes and isinstance(test, Equal | Below | Holds | AllBits | AnyBit):
        return Some((test, InName(test)))
    return test


def _test(kind: AttributeType, rule: Rule, value: bytes) -> Node:
    if rule.kind is RuleKind.SUBSTRINGS:
        wanted = _split(kind.name, value)
        return _NOT_OF_SYNTAX if wanted is None else _holds(kind, rule, wanted)
    key = rule.normalise(value)
    return _NOT_OF_SYNTAX if key is None else _key_test(kind, rule, key)


def _key_test(kind: AttributeType, rule: Rule, key: Key) -> Node:
    match rule.kind, key:
        case RuleKind.ALL_BITS, int():
            return AllBits(kind, key)
        case RuleKind.ANY_BIT, int():
            return AnyBit(kind, key)
        case RuleKind.CHAIN, bytes():
            return InChain(kind, key)
        case RuleKind.ORDERING, _:
            return Below(kind, rule, key)
    return Equal(kind, rule, key)


def _split(attribute: str, assertion: bytes) -> Substrings | None:
    """Read a Substring Assertion (RFC 4517 section 3.3.30); None where it has no asterisk or an empty piece inside."""
    pieces = [_ESCAPE.sub(_unescaped, piece) for piece in assertion.split(b"*")]
    first, between, last = pieces[0], pieces[1:-1], pieces[-1]
    if len(pieces) == 1 or b"" in between:
        return None
    return Substrings(attribute=attribute, initial=first or None, any=tuple(between), final=last or None)


def _unescaped(escape: re.Match[bytes]) -> bytes:
    return bytes.fromhex(escape[1].decode())
