"""The matching rules that are served (RFC 4517 section 4.2, RFC 4530, and three of Active Directory's).

Rules of one kind of text share one `normalise`, so that the key of a value is the same for equality, order and
substrings.
"""

import re
from collections.abc import Callable
from functools import partial

from dataplane.protocols.ldap import dn, prepare, syntaxes
from dataplane.protocols.ldap.classes import OID_KEYS
from dataplane.protocols.ldap.prepare import Place
from dataplane.protocols.ldap.schema import Key, Rule, RuleKind

_UNIQUE_ID = re.compile(rb"#'[01]*'B\Z")
_FIRST_COMPONENT = re.compile(rb"\(\s*([^\s)]+)")

# Those whose ASN.1 type is DirectoryString or one of its alternatives (section 4.2.11).
_TEXTS = frozenset(
    each.oid
    for each in (syntaxes.DIRECTORY_STRING, syntaxes.PRINTABLE_STRING, syntaxes.COUNTRY, syntaxes.TELEPHONE_NUMBER)
)
_IA5 = frozenset((syntaxes.IA5_STRING.oid,))
_DESCRIPTIONS = frozenset(
    each.oid
    for each in (
        syntaxes.ATTRIBUTE_TYPE,
        syntaxes.OBJECT_CLASS,
        syntaxes.MATCHING_RULE,
        syntaxes.MATCHING_RULE_USE,
        syntaxes.LDAP_SYNTAX,
    )
)


def _distinguished_name(value: bytes) -> bytes | None:
    """Return the key of a DN (distinguishedNameMatch)."""
    try:
        return dn.normalise(value.decode()).encode()
    except ValueError:
        return None


def _name_and_uid(value: bytes) -> bytes | None:
    """uniqueMemberMatch: no value here has the optional bits, and without them those of an assertion don't count."""
    return _distinguished_name(_UNIQUE_ID.sub(b"", value))


def _object_identifier(value: bytes) -> bytes | None:
    """Return the dotted form, for names of classes and attribute types too; unknown names are undefined (4.2.26)."""
    if not value.isascii():
        return None
    known = OID_KEYS.get(value.decode().lower())
    if known is not None:
        return known
    return value if value[:1].isdigit() and syntaxes.OID.holds(value) else None


def _first_component(value: bytes) -> bytes | None:
    found = _FIRST_COMPONENT.match(value)
    return _object_identifier(value if found is None else found[1])


def _ia5(normalise: Callable[[bytes], bytes | None], value: bytes) -> bytes | None:
    return normalise(value) if value.isascii() else None


def _ia5_piece(normalise: Callable[[bytes, Place], bytes | None], value: bytes, place: Place) -> bytes | None:
    return normalise(value, place) if value.isascii() else None


def _numeric(value: bytes) -> bytes | None:
    return prepare.without_spaces(value) if syntaxes.NUMERIC_STRING.holds(value) else None


def _telephone(value: bytes) -> bytes | None:
    return prepare.telephone(value) if syntaxes.TELEPHONE_NUMBER.holds(value) else None


def _octets(value: bytes) -> bytes | None:
    return value


def _lines(value: bytes) -> bytes | None:
    r"""caseIgnoreListMatch: lines one by one, parted by `$`; what stands for `$` and `\` inside stays escaped."""
    lines = [prepare.ignore_case(line) for line in value.split(b"$")]
    return None if None in lines else b"$".join(line for line in lines if line is not None)


def _spread_lines(key: bytes) -> bytes:
    return b"$".join(prepare.spread(line) for line in key.split(b"$"))


def _line_piece(piece: bytes, place: Place) -> bytes | None:
    """caseIgnoreListSubstringsMatch: a piece lies within a line."""
    return prepare.ignore_case_piece(piece.replace(b"\\", b"\\5c").replace(b"$", b"\\24"), place)


def _unchanged(key: bytes) -> bytes:
    return key


def _anywhere(normalise: Callable[[bytes], bytes | None], piece: bytes, _place: Place) -> bytes | None:
    return (normalise(piece) or None) if piece else None


def _equality(
    name: str,
    oid: str,
    normalise: Callable[[bytes], Key | None],
    assertion: syntaxes.Syntax,
    of: frozenset[str] = frozenset(),
) -> Rule:
    return Rule(
        name=name,
        oid=oid,
        kind=RuleKind.EQUALITY,
        assertion=assertion.oid,
        syntaxes=of or frozenset((assertion.oid,)),
        normalise=normalise,
    )


def _ordering(name: str, oid: str, like: Rule) -> Rule:
    return Rule(
        name=name,
        oid=oid,
        kind=RuleKind.ORDERING,
        assertion=like.assertion,
        syntaxes=like.syntaxes,
        normalise=like.normalise,
    )


def _substrings(
    name: str,
    oid: str,
    like: Rule,
    piece: Callable[[bytes, Place], bytes | None],
    spread: Callable[[bytes], bytes] = prepare.spread,
) -> Rule:
    return Rule(
        name=name,
        oid=oid,
        kind=RuleKind.SUBSTRINGS,
        assertion=syntaxes.SUBSTRING_ASSERTION.oid,
        syntaxes=like.syntaxes,
        normalise=like.normalise,
        spread=spread,
        piece=piece,
    )


_ignore_ia5 = partial(_ia5, prepare.ignore_case)
_exact_ia5 = partial(_ia5, prepare.exact_case)

CASE_IGNORE = _equality("caseIgnoreMatch", "2.5.13.2", prepare.ignore_case, syntaxes.DIRECTORY_STRING, _TEXTS)
CASE_IGNORE_ORDERING = _ordering("caseIgnoreOrderingMatch", "2.5.13.3", CASE_IGNORE)
CASE_IGNORE_SUBSTRINGS = _substrings("caseIgnoreSubstringsMatch", "2.5.13.4", CASE_IGNORE, prepare.ignore_case_piece)
CASE_EXACT = _equality("caseExactMatch", "2.5.13.5", prepare.exact_case, syntaxes.DIRECTORY_STRING, _TEXTS)
CASE_EXACT_ORDERING = _ordering("caseExactOrderingMatch", "2.5.13.6", CASE_EXACT)
CASE_EXACT_SUBSTRINGS = _substrings("caseExactSubstringsMatch", "2.5.13.7", CASE_EXACT, prepare.exact_case_piece)
CASE_IGNORE_IA5 = _equality("caseIgnoreIA5Match", "1.3.6.1.4.1.1466.109.114.2", _ignore_ia5, syntaxes.IA5_STRING, _IA5)
CASE_IGNORE_IA5_SUBSTRINGS = _substrings(
    "caseIgnoreIA5SubstringsMatch",
    "1.3.6.1.4.1.1466.109.114.3",
    CASE_IGNORE_IA5,
    partial(_ia5_piece, prepare.ignore_case_piece),
)
CASE_EXACT_IA5 = _equality("caseExactIA5Match", "1.3.6.1.4.1.1466.109.114.1", _exact_ia5, syntaxes.IA5_STRING, _IA5)
NUMERIC = _equality("numericStringMatch", "2.5.13.8", _numeric, syntaxes.NUMERIC_STRING)
NUMERIC_ORDERING = _ordering("numericStringOrderingMatch", "2.5.13.9", NUMERIC)
NUMERIC_SUBSTRINGS = _substrings(
    "numericStringSubstringsMatch", "2.5.13.10", NUMERIC, partial(_anywhere, _numeric), _unchanged
)
TELEPHONE = _equality("telephoneNumberMatch", "2.5.13.20", _telephone, syntaxes.TELEPHONE_NUMBER)
TELEPHONE_SUBSTRINGS = _substrings(
    "telephoneNumberSubstringsMatch", "2.5.13.21", TELEPHONE, partial(_anywhere, _telephone), _unchanged
)
LIST = _equality("caseIgnoreListMatch", "2.5.13.11", _lines, syntaxes.POSTAL_ADDRESS)
LIST_SUBSTRINGS = _substrings("caseIgnoreListSubstringsMatch", "2.5.13.12", LIST, _line_piece, _spread_lines)
INTEGER = _equality("integerMatch", "2.5.13.14", syntaxes.integer_key, syntaxes.INTEGER)
INTEGER_ORDERING = _ordering("integerOrderingMatch", "2.5.13.15", INTEGER)
BOOLEAN = _equality("booleanMatch", "2.5.13.13", syntaxes.boolean_key, syntaxes.BOOLEAN)
TIME = _equality("generalizedTimeMatch", "2.5.13.27", syntaxes.time_key, syntaxes.GENERALIZED_TIME)
TIME_ORDERING = _ordering("generalizedTimeOrderingMatch", "2.5.13.28", TIME)
NAME = _equality("distinguishedNameMatch", "2.5.13.1", _distinguished_name, syntaxes.DN)
NAME_AND_UID = _equality("uniqueMemberMatch", "2.5.13.23", _name_and_uid, syntaxes.NAME_AND_UID)
OID = _equality("objectIdentifierMatch", "2.5.13.0", _object_identifier, syntaxes.OID)
FIRST_COMPONENT = _equality(
    "objectIdentifierFirstComponentMatch", "2.5.13.30", _first_component, syntaxes.OID, _DESCRIPTIONS
)
OCTETS = _equality("octetStringMatch", "2.5.13.17", _octets, syntaxes.OCTET_STRING)
OCTETS_ORDERING = _ordering("octetStringOrderingMatch", "2.5.13.18", OCTETS)
UUID = _equality("uuidMatch", "1.3.6.1.1.16.2", syntaxes.uuid_key, syntaxes.UNIVERSAL_ID)
UUID_ORDERING = _ordering("uuidOrderingMatch", "1.3.6.1.1.16.3", UUID)

_INTEGERS = frozenset((syntaxes.INTEGER.oid,))
_NAMES = frozenset((syntaxes.DN.oid, syntaxes.NAME_AND_UID.oid))

ALL_BITS = Rule(
    name="integerBitAndMatch",
    oid="1.2.840.113556.1.4.803",
    kind=RuleKind.ALL_BITS,
    assertion=syntaxes.INTEGER.oid,
    syntaxes=_INTEGERS,
    normalise=syntaxes.integer_key,
)
ANY_BIT = Rule(
    name="integerBitOrMatch",
    oid="1.2.840.113556.1.4.804",
    kind=RuleKind.ANY_BIT,
    assertion=syntaxes.INTEGER.oid,
    syntaxes=_INTEGERS,
    normalise=syntaxes.integer_key,
)
IN_CHAIN = Rule(
    name="distinguishedNameInChainMatch",
    oid="1.2.840.113556.1.4.1941",
    kind=RuleKind.CHAIN,
    assertion=syntaxes.DN.oid,
    syntaxes=_NAMES,
    normalise=_distinguished_name,
)

RULES = (
    OID, NAME, CASE_IGNORE, CASE_IGNORE_ORDERING, CASE_IGNORE_SUBSTRINGS, CASE_EXACT, CASE_EXACT_ORDERING,
    CASE_EXACT_SUBSTRINGS, NUMERIC, NUMERIC_ORDERING, NUMERIC_SUBSTRINGS, LIST, LIST_SUBSTRINGS, BOOLEAN, INTEGER,
    INTEGER_ORDERING, OCTETS, OCTETS_ORDERING, TELEPHONE, TELEPHONE_SUBSTRINGS, NAME_AND_UID, TIME, TIME_ORDERING,
    FIRST_COMPONENT, CASE_EXACT_IA5, CASE_IGNORE_IA5, CASE_IGNORE_IA5_SUBSTRINGS, UUID, UUID_ORDERING, ALL_BITS,
    ANY_BIT, IN_CHAIN,
)  # fmt: skip
