"""What of a configuration an LDAP outpost serves, and what it refuses."""

from dataclasses import replace

import pytest

from dataplane.config import AttributeMapping, Edit, Ended, LdapProvider, Options, Resource
from dataplane.protocols.ldap.config import Prepared, prepare
from dataplane.protocols.ldap.trees import Trees
from tests.dataplane.protocols.ldap.serving import OPTIONS, PROVIDER, certificate
from tests.dataplane.protocols.proxy.builders import WIKI
from tests.support.verifying import NOW

OTHER = replace(PROVIDER, id="p2", name="Other", base_dn="dc=other")
NOTHING = Prepared(trees=Trees())


def prepared(before: Prepared, *removed: str, **changed: Resource) -> tuple[Prepared, dict[str, str]]:
    after, refused = prepare(Edit(changed=changed, removed=frozenset(removed)), before)
    return after, dict(refused)


def test_providers_come_and_go() -> None:
    both, refused = prepared(NOTHING, options=OPTIONS, a=PROVIDER, b=OTHER)
    assert not refused
    assert both.options == OPTIONS
    assert set(both.trees.base_dns) == {PROVIDER.base_dn, "dc=other"}
    one, refused = prepared(both, "a")
    assert not refused
    assert (one.trees.base_dns, one.options, one.gone) == (("dc=other",), OPTIONS, frozenset({PROVIDER.id}))
    assert set(both.trees.base_dns) == {PROVIDER.base_dn, "dc=other"}, "what is served is not altered"
    bare, _ = prepared(one, "options")
    assert bare.options is None


def test_what_concerns_no_provider_leaves_the_trees_alone() -> None:
    before, _ = prepared(NOTHING, a=PROVIDER)
    ended = Ended(session="s", subject="", provider="", before=NOW, until=NOW + 1)
    after, refused = prepared(before, r=ended, c=certificate())
    assert not refused
    assert after.trees is before.trees
    assert after.revocations.changed == {"r": ended}
    assert after.gone == frozenset()


@pytest.mark.parametrize(
    ("provider", "words"),
    [
        (replace(OTHER, base_dn="nonsense"), "base DN 'nonsense'"),
        (replace(OTHER, base_dn=""), "the base DN is empty"),
        (replace(OTHER, base_dn=PROVIDER.base_dn.upper()), "is that of"),
        (replace(OTHER, user_attributes=(AttributeMapping(attribute="uid", source="x"),)), "uid"),
        (replace(OTHER, base_dn=f"ou=users,{PROVIDER.base_dn}"), "among the entries"),
        (replace(OTHER, base_dn=f"dc=x,ou=virtual-groups,{PROVIDER.base_dn}"), "among the entries"),
        (WIKI, "of the proxy protocol"),
    ],
)
def test_what_cannot_be_served_is_refused_and_the_rest_is_not(provider: LdapProvider, words: str) -> None:
    after, refused = prepared(NOTHING, a=PROVIDER, b=provider, options=OPTIONS)
    assert list(refused) == ["b"]
    assert words in refused["b"]
    assert list(after.providers) == ["a"]


def test_who_has_a_base_dn_keeps_it() -> None:
    before, _ = prepared(NOTHING, z=PROVIDER)
    _, refused = prepared(before, a=replace(OTHER, base_dn=PROVIDER.base_dn))
    assert list(refused) == ["a"]
    _, refused = prepared(before, z=replace(PROVIDER, base_dn="dc=moved"), a=replace(OTHER, base_dn=PROVIDER.base_dn))
    assert not refused, "it is free again"


def test_nobodys_base_may_lie_among_anothers_entries() -> None:
    before, _ = prepared(NOTHING, z=replace(PROVIDER, base_dn="ou=groups,dc=other"))
    _, refused = prepared(before, a=OTHER)
    assert "among the entries" in refused["a"]
    _, refused = prepared(
        before, a=replace(OTHER, base_dn="dc=below,dc=other"), b=replace(OTHER, base_dn="ou=users,dc=x")
    )
    assert not refused


def test_a_certificate_that_cannot_be_used_is_refused() -> None:
    _, refused = prepared(NOTHING, c=replace(certificate(), private_key="nonsense"))
    assert "certificate 'web'" in refused["c"]


def test_certificates_by_the_names_that_stand_in_them() -> None:
    named = replace(PROVIDER, name="z", certificate="c")
    other = replace(OTHER, name="b", certificate="d", tls_server_name="ldap.example.com")
    after, refused = prepared(NOTHING, a=named, b=other, c=certificate("one"), d=certificate("two"))
    assert not refused
    assert after.find_context("localhost") is after.certificates["c"].context
    assert after.find_context("*") is after.certificates["c"].context
    assert after.find_context("ldap.example.com") is after.certificates["d"].context
    assert after.find_context("elsewhere.example.com") is None, "a wildcard may be for it"
    for nothing_better in ("*.example.com", "*."):
        assert after.find_context(nothing_better) is after.certificates["d"].context, "that of the first by name"
    unused, _ = prepared(NOTHING, a=PROVIDER, c=certificate("one"), d=certificate("two"))
    assert unused.find_context("localhost") is unused.find_context("*.") is None, "they are nobody's"


def test_the_same_certificate_is_not_read_again() -> None:
    one = certificate()
    before, _ = prepared(NOTHING, c=one)
    again, _ = prepared(before, c=one)
    assert again.certificates["c"] is before.certificates["c"]
    gone, _ = prepared(again, "c")
    assert not gone.certificates


def test_the_last_options_count() -> None:
    before, _ = prepared(NOTHING, options=OPTIONS)
    other: Options = replace(OPTIONS, outpost_name="other")
    after, _ = prepared(before, options=other)
    assert after.options == other
