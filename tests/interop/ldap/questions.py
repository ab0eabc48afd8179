"""Questions that a directory may be asked, made by chance from what it holds: filters, bases, scopes, selections.

The same seed makes the same questions. Values are those of entries, changed in ways that matter to a rule of matching
and in ways that don't; attributes go by any of their names; some are unknown, and some values no value of theirs.

What slapd is known to do otherwise than the RFCs say, or where these leave a choice, isn't asked:
- pieces of substrings that begin or end with spaces, or are controls, or hyphens of telephone numbers (RFC 4518 section
  2.6: a value begins and ends with a space, a piece of nothing is a space or none);
- letters in another case that are also in another form (RFC 4518 section 2.3: NFKC, after folding; slapd does less);
- booleans in lower case, which are none to slapd (RFC 4517 section 3.3.3: its ABNF knows no case);
- attributes that slapd makes at each answer and doesn't find by: subschemaSubentry, and structuralObjectClass, where it
  finds superior classes too; hasSubordinates, entryDN and entryUUID by extensible rules,
  entryDN and hasSubordinates by comparison;
- object classes in lower case by an extensible rule (RFC 4512 section 1.4: names of classes have no case), and numbers
  of unknown ones (RFC 4517 section 4.2.26: not equal, to slapd undefined);
- DNs of attribute types that don't exist, or with empty values, which are none to slapd; uniqueMember by extensible
  rules, which it lacks;
- mail, dc and mobile by extensible rules, and the first two with other than ASCII: to OpenLDAP they are IA5 strings.
"""

import random
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from tests.support import ldap_ber as ber
from tests.support.ldap_ber import Entry, Filter, Search

ALIASES = {
    "cn": ("CN", "commonName", "2.5.4.3"),
    "uid": ("UID", "userid", "0.9.2342.19200300.100.1.1"),
    "sn": ("surname", "SN", "2.5.4.4"),
    "givenName": ("gn", "givenname"),
    "mail": ("rfc822Mailbox", "Mail", "0.9.2342.19200300.100.1.3"),
    "objectClass": ("objectclass", "2.5.4.0"),
    "member": ("MEMBER", "2.5.4.31"),
    "uidNumber": ("uidnumber", "1.3.6.1.1.1.1.0"),
}
UNKNOWN = ("nosuch", "x-unknown", "9.9.9.9", "cn;lang-de", "sn;binary")
RULES = (
    "caseIgnoreMatch", "caseExactMatch", "2.5.13.2", "integerMatch", "distinguishedNameMatch", "caseIgnoreIA5Match",
    "objectIdentifierMatch", "booleanMatch", "generalizedTimeMatch", "nosuchMatch",
    "9.9.9", "1.2.840.113556.1.4.803", "1.2.840.113556.1.4.804",
)  # fmt: skip
ODD = (
    "", " ", "  ", "*", "\\", "(", ")", "\0", "\x7f", "é", "É", "ﬁ", "a\u0301",
    "TRUE", "FALSE", "0", "-1", "+1", "007", "1,5", "9999999999", "20250101000000Z", "2025",
    "cn=a,ou=users", "=", ",", "cn=x,", "top", "nosuchclass", "2.5.6.0", b"\xff\xfe", b"\xc3", "x" * 300,
)  # fmt: skip
SELECTIONS: tuple[tuple[str, ...], ...] = (
    ("1.1",), (), ("*",), ("+",), ("*", "+"), ("cn",), ("CN", "mail"), ("nosuch",), ("1.1", "cn"), ("*", "entryUUID"),
    ("objectClass", "memberOf"), ("@posixAccount",), ("@nosuch",), ("2.5.4.3",), ("cn;lang-de",),
    ("member", "memberUid"), ("modifyTimestamp", "entryDN", "hasSubordinates"),
)  # fmt: skip
DEPTH = 4
# Rules that are of no attribute which is left out.
NAMELESS = ("integerMatch", "nosuchMatch", "9.9.9")
UNASKED = frozenset({"subschemaSubentry", "structuralObjectClass"})
BY_ONE_RULE = frozenset(
    {"hasSubordinates", "entryUUID", "entryDN", "objectClass", "uniqueMember", "mail", "dc", "mobile"}
)
UNCOMPARED = frozenset({"entryDN", "hasSubordinates"})
EDGES = b" -"
CONTROLS = b"\0\x7f"
FIXED = re.compile(rb"TRUE|FALSE")
IA5 = frozenset({"mail", "dc"})


@dataclass
class Chance:
    """What makes the questions."""

    seed: int
    entries: Sequence[Entry]

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    @cached_property
    def values(self) -> dict[str, list[bytes]]:
        """What each attribute holds anywhere."""
        found: dict[str, dict[bytes, None]] = {}
        for entry in self.entries:
            for name, values in entry.attributes.items():
                found.setdefault(name, {}).update(dict.fromkeys(values))
        return {name: list(values) for name, values in found.items()}

    @cached_property
    def names(self) -> list[str]:
        """The attributes, those first that matter most."""
        return sorted(self.values.keys() - UNASKED, key=lambda name: (name not in ALIASES, name))

    def one(self, options: Sequence[str]) -> str:
        """One of them."""
        return self.random.choice(options)

    def attribute(self) -> str:
        """An attribute of the directory, more often a common one."""
        return self.names[int(len(self.names) * self.random.random() ** 1.6)]

    def named(self, attribute: str) -> str:
        """The attribute by one of its names."""
        if self.random.random() < 0.7:
            return attribute
        return self.one(ALIASES.get(attribute, (attribute.upper(), attribute.lower())))

    def value(self, attribute: str) -> bytes:
        """A value of the attribute, as it is or changed; or one of another; or something odd."""
        value = self._value(attribute)
        return value if (value and value.isascii()) or attribute not in IA5 else b"nobody"

    def _value(self, attribute: str) -> bytes:
        dice = self.random.random()
        if dice < 0.08:
            odd = self.random.choice(ODD)
            return odd if isinstance(odd, bytes) else odd.encode()
        if dice < 0.14:
            attribute = self.attribute()
        value = self.random.choice(self.values[attribute])
        return value if dice < 0.5 or FIXED.fullmatch(value) else self.changed(value)

    def changed(self, value: bytes) -> bytes:
        """A value that differs in case, in spaces, or in what it says."""
        try:
            text = value.decode()
        except UnicodeDecodeError:
            return value[::-1]
        if unicodedata.normalize("NFKC", text) != text:
            return value
        change: Callable[[str], str] = self.random.choice(
            [str.upper, str.lower, str.swapcase, self._spaced, self._cut, lambda text: f"  {text} ", lambda text: text]
        )
        return change(text).encode()

    def _spaced(self, text: str) -> str:
        return text.replace(" ", "   ").replace(",", " , ").replace("=", " = ")

    def _cut(self, text: str) -> str:
        at = self.random.randrange(text.rfind("=") + 1, len(text) + 1)
        return text[:at] + text[at + 1 :]

    def is_known(self, dn: str) -> bool:
        """Whether the DN is that of an entry, written otherwise perhaps."""
        return dn.replace(" ", "").lower() in self._known

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(entry.dn.replace(" ", "").lower() for entry in self.entries)

    # Filters.

    def filter(self, depth: int = DEPTH) -> Filter:
        """Any filter."""
        dice = self.random.random()
        if depth == 0 or dice < 0.45:
            return self.leaf()
        if dice < 0.6:
            return ber.negated(self.filter(depth - 1))
        parts = [self.filter(depth - 1) for _ in range(self.random.choice([0, 1, 2, 2, 2, 3, 4]))]
        return ber.every(*parts) if self.random.random() < 0.5 else ber.either(*parts)

    def leaf(self) -> Filter:
        """A filter without others in it."""
        attribute = self.one(UNKNOWN) if self.random.random() < 0.06 else ""
        makes: list[tuple[Callable[[str], Filter], int]] = [
            (self._equal, 40), (self._present, 10), (self._substrings, 25), (self._ordered, 12), (self._extensible, 13)
        ]  # fmt: skip
        (make,) = self.random.choices([each for each, _ in makes], [weight for _, weight in makes])
        return make(attribute)

    def _pair(self, unknown: str) -> tuple[str, bytes]:
        attribute = self.attribute()
        return unknown or self.named(attribute), self.value(attribute)

    def _equal(self, unknown: str) -> Filter:
        return ber.equal(*self._pair(unknown))

    def _present(self, unknown: str) -> Filter:
        return ber.present(self._pair(unknown)[0])

    def _ordered(self, unknown: str) -> Filter:
        order = self.random.choice([ber.at_least, ber.at_most])
        name = self.one(("uidNumber", "gidNumber", "modifyTimestamp", "createTimestamp", "cn", "mail"))
        if name not in self.values or self.random.random() < 0.3:
            return order(*self._pair(unknown))
        return order(unknown or self.named(name), self.value(name))

    def _substrings(self, unknown: str) -> Filter:
        attribute, value = self._pair(unknown)
        value = value.translate(None, CONTROLS)
        cuts = sorted(self.random.randrange(len(value) + 1) for _ in range(self.random.choice([2, 2, 2, 4, 4, 6])))
        parts = [value[start:end] for start, end in zip(cuts[::2], cuts[1::2], strict=True)]
        initial = value[: cuts[0]].strip(EDGES) if self.random.random() < 0.5 else b""
        final = value[cuts[-1] :].strip(EDGES) if self.random.random() < 0.5 else b""
        # An empty part in the middle is none (RFC 4511: SIZE (1..MAX)).
        middle = [part.strip(EDGES) for part in parts if part.strip(EDGES)]
        if not (initial or middle or final):
            middle = [value.strip(EDGES) or b"a"]
        return ber.substrings(attribute, initial, *middle, final)

    def _extensible(self, unknown: str) -> Filter:
        attribute = self.one([name for name in self.names if name not in BY_ONE_RULE])
        name, value = unknown or self.named(attribute), self.value(attribute)
        rule = "" if self.random.random() < 0.3 else self.one(RULES)
        name = "" if rule in NAMELESS and self.random.random() < 0.15 else name
        return ber.extensible(name, rule, value, of_dn=self.random.random() < 0.15)

    # Searches.

    def dn(self) -> str:
        """The name of an entry, as it is or written otherwise, of none, or no name at all."""
        dice, dn = self.random.random(), self.random.choice(self.entries).dn
        if dice < 0.5:
            return dn
        if dice < 0.8:
            change: Callable[[str], str] = self.random.choice([str.upper, str.swapcase, self._spaced_dn])
            return change(dn)
        return self.random.choice(
            [f"cn=nosuch,{dn}", f"cn=no such,ou=nowhere,{dn}", "dc=elsewhere", "nonsense", "cn=,,"]
        )

    def _spaced_dn(self, dn: str) -> str:
        return dn if "\\" in dn else dn.replace(",", " , ").replace("=", " = ")

    def search(self, base: str) -> Search:
        """A search of the whole tree, mostly for names alone, or of some of it and for more."""
        if self.random.random() < 0.6:
            return Search(base=base, filter=self.filter(), attributes=("1.1",))
        return Search(
            base=base if self.random.random() < 0.4 else self.dn(),
            scope=self.random.randrange(4),
            filter=self.filter(2) if self.random.random() < 0.6 else ber.ANYTHING,
            attributes=self.random.choice(SELECTIONS),
            types_only=self.random.random() < 0.1,
        )

    def comparison(self) -> tuple[str, str, bytes]:
        """An entry, an attribute and a value; where the entry is none, an attribute and a value that may be compared.

        Which of the two comes first no RFC says.
        """
        dn = self.dn()
        if not self.is_known(dn):
            return dn, "uid", b"alice"
        attribute = self.one([name for name in self.names if name not in UNCOMPARED])
        name = self.one(UNKNOWN) if self.random.random() < 0.1 else self.named(attribute)
        return dn, name, self.value(attribute)
