"""Every entry that is served is valid by the schema that is served, as a client reads both."""

import pytest

from dataplane.protocols.ldap.messages import Scope
from dataplane.protocols.ldap.schema_served import schema_of
from dataplane.protocols.ldap.trees import Trees
from tests.support.ldap_published import Published
from tests.support.ldap_trees import STAFF, Searcher, group, load, provider, user

MAPPINGS = (("telephoneNumber", "phone"), ("fooBar", "foo.bar"), ("jpegPhoto", "photo"), ("uid2", "uid"))
ENTRIES = (
    group(STAFF, superuser=True),
    group("R&D, Berlin", STAFF),
    group("empty"),
    user(
        "jdoe",
        STAFF,
        name="Jane Doe",
        email="jdoe@example.com",
        attributes='{"phone": ["+49 1", "*"], "foo": {"bar": 1}}',
    ),
    user("Łuk +1", "R&D, Berlin", name="", attributes='{"uidNumber": "70000", "uid": ["a", "A "]}'),
    user("gone", name="Plato", active=False),
)
BASES = ["dc=example,dc=org", "o=Example", "ou=ldap,o=example", "cn=directory", "c=DE", "uid=x", "l=Berlin", "o=a+ou=b"]


@pytest.mark.parametrize("base", BASES)
def test_all_that_is_served_is_valid(base: str) -> None:
    served = provider(base, user_attributes=MAPPINGS)
    schema = schema_of(served)
    published = Published(schema)
    everything = Searcher.of(load(Trees([served]), *ENTRIES), "jdoe").search(base=base, attributes=("*", "+"))
    assert len(everything.entries) == 4 + 3 + 3 + 3
    for attributes in everything.entries.values():
        published.check(tuple((schema.get(name), tuple(values)) for name, values in attributes.items()))


def test_the_subschema_is_of_itself() -> None:
    served = provider()
    schema = schema_of(served)
    searcher = Searcher(load(Trees([served], version="1"), *ENTRIES))
    found = searcher.search(base="cn=subschema", scope=Scope.BASE, attributes=("*", "+")).entries["cn=subschema"]
    Published(schema).check(tuple((schema.get(name), tuple(values)) for name, values in found.items()))
    root = searcher.search(base="", scope=Scope.BASE, attributes=("*", "+")).entries[""]
    assert root["subschemaSubentry"] == [b"cn=subschema"]
    assert all(schema.find(name) for name in root)
