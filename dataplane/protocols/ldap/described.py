"""The two entries that lie in no tree: the root DSE and the subschema (RFC 4512 sections 4.2, 5.1).

Anybody may read them; whoever has bound reads the schema of their provider. Strangers can send filters of thousands of
parts, and the subschema has hundreds of values: for each search the keys of an attribute's values are made once.
"""

from dataclasses import dataclass

from dataplane.protocols.ldap.candidates import Described
from dataplane.protocols.ldap.entries import SUBSCHEMA_DN
from dataplane.protocols.ldap.filters_match import matches
from dataplane.protocols.ldap.filters_resolve import resolve
from dataplane.protocols.ldap.messages import Scope, Search
from dataplane.protocols.ldap.rendering import encode_described
from dataplane.protocols.ldap.rootdse import root_dse
from dataplane.protocols.ldap.schema import Attributes, Schema
from dataplane.protocols.ldap.schema_served import common_schema
from dataplane.protocols.ldap.selection import selection_of
from dataplane.protocols.ldap.settling import Settling
from dataplane.protocols.ldap.subschema import subschema
from dataplane.protocols.ldap.tree import Tree
from dataplane.protocols.ldap.trees import Trees
from dataplane.protocols.ldap.wire import entry_message

_ROOT = ""


@dataclass(frozen=True, slots=True)
class DescribedEntry:
    """One of them."""

    name: str
    attributes: Attributes
    schema: Schema

    @property
    def entry(self) -> Described:
        """As filters and compare ask it."""
        return Described(self.attributes)

    def answer(self, message_id: int, search: Search) -> bytes:
        """The entry as a response, if the filter is true of it."""
        if matches(self.entry, Settling(self.entry).settled(resolve(search.filter, self.schema))) is not True:
            return b""
        selection = selection_of(search.attributes, types_only=search.types_only, schema=self.schema)
        return entry_message(message_id, encode_described(self.name.encode(), self.attributes, selection))


def find_described(trees: Trees, key: str, search: Search, tree: Tree | None) -> DescribedEntry | None:
    """The entry that a search is about, by the normalised base; `tree` is that of whoever asks."""
    if search.scope is Scope.BASE or (search.scope is Scope.SUBTREE and key == SUBSCHEMA_DN):
        return find_described_named(trees, key, tree)
    return None


def find_described_named(trees: Trees, key: str, tree: Tree | None) -> DescribedEntry | None:
    """The entry with this name, normalised."""
    if key not in (_ROOT, SUBSCHEMA_DN):
        return None
    shown = tree or trees.first
    schema = common_schema() if shown is None else shown.directory.schema
    if key == _ROOT:
        return DescribedEntry(_ROOT, root_dse(trees.base_dns, trees.version), schema)
    return DescribedEntry(SUBSCHEMA_DN, subschema(schema), schema)
