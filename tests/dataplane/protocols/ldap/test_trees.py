"""The trees of several providers: whole copies, changes, names that people bind by."""

import pytest

from dataplane.config import ConfigRefused, DirectoryEdit
from dataplane.protocols.ldap.directory import PAUSE_EVERY
from dataplane.protocols.ldap.messages import Equality, ResultCode, Scope
from dataplane.protocols.ldap.tree import Tree
from dataplane.protocols.ldap.trees import Trees
from tests.support.ldap_trees import BASE, STAFF, Searcher, change, edit, group, identity, load, provider, user

USERS = f"ou=users,{BASE}"
MAPPED = (("telephoneNumber", "phone"),)


def no_pause() -> None:
    pass


def tree_of(trees: Trees, provider_id: str = "directory") -> Tree:
    tree = trees.get(provider_id)
    assert tree is not None
    return tree


@pytest.fixture
def trees() -> Trees:
    return load(Trees((provider(),)), group(STAFF), user("ada", STAFF, attributes='{"phone": "1"}'), user("Bert"))


def test_a_name_leads_to_the_lowest_tree_that_it_lies_in() -> None:
    trees = Trees((provider(id="upper"), provider(f"OU=Lower, {BASE}", id="lower")))
    found = {name: trees.find_tree(name) for name in (BASE, f"cn=x,ou=users,ou=lower,{BASE}", "dc=elsewhere", "")}
    assert [tree and tree.provider.id for tree in found.values()] == ["upper", "lower", None, None]
    with pytest.raises(ValueError, match="character"):
        trees.find_tree("no name")
    assert trees.get("nobody's") is None
    assert trees.base_dns == (BASE, f"OU=Lower, {BASE}")


@pytest.mark.parametrize(
    ("name", "username"),
    [
        (f"cn=ada,{USERS}", "ada"),
        (f"CN=ADA, OU=Users, {BASE}", "ada"),
        (f"uid=bert,{USERS}", "Bert"),
        (f"cn=Nobody Yet,{USERS}", "Nobody Yet"),
        (f"cn=a\\2cb,{USERS}", "a,b"),
        (f"cn=ada,ou=groups,{BASE}", None),
        (f"cn=ada,ou=virtual-groups,{BASE}", None),
        (f"mail=ada,{USERS}", None),
        (f"cn=ada+uid=ada,{USERS}", None),
        (f"cn=x,cn=ada,{USERS}", None),
        (USERS, None),
        (f"cn=#0101ff,{USERS}", None),
        ("cn=ada", None),
        ("", None),
        ("no name", None),
    ],
)
def test_the_user_of_a_bind_name(trees: Trees, name: str, username: str | None) -> None:
    assert tree_of(trees).bind_name(name) == username


def test_the_user_of_a_bind_name_is_the_one_spelled_so(trees: Trees) -> None:
    change(trees, user("Ada", key="another"))
    assert tree_of(trees).bind_name(f"cn=Ada,{USERS}") == "Ada"
    assert tree_of(trees).bind_name(f"cn=ada,{USERS}") == "ada"


def test_a_viewers_name_is_that_of_now(trees: Trees) -> None:
    viewer = tree_of(trees).viewer(identity("ada"))
    assert viewer.dn == f"cn=ada,{USERS}"
    change(trees, user("ada, née King", STAFF, key="ada"))
    assert viewer.dn == f"cn=ada\\, née King,{USERS}"
    load(trees, group(STAFF), user("lovelace", STAFF, key="ada"))
    assert viewer.dn == f"cn=lovelace,{USERS}"
    change(trees, removed=[f"user/{identity('ada')}"])
    assert viewer.dn == ""


def test_a_whole_copy_is_served_when_it_is_whole(trees: Trees) -> None:
    ada = Searcher.of(trees, "ada")
    trees.apply(edit(group(STAFF), user("ada", STAFF), begins=True, complete=False), no_pause)
    trees.apply(edit(user("carl"), complete=False), no_pause)
    assert ada.search(Equality("uid", b"carl")).entries == {}
    assert ada.search(Equality("uid", b"bert")).names == ["cn=Bert"]
    trees.apply(edit(user("dora")), no_pause)
    assert ada.search(base=USERS, scope=Scope.ONE_LEVEL).names == ["cn=ada", "cn=carl", "cn=dora"]


def test_a_copy_that_begins_anew_forgets_the_one_before(trees: Trees) -> None:
    trees.apply(edit(user("carl"), begins=True, complete=False), no_pause)
    load(trees, group(STAFF), user("ada", STAFF))
    assert Searcher.of(trees, "ada").search(base=USERS, scope=Scope.ONE_LEVEL).names == ["cn=ada"]


def test_users_may_come_before_their_groups() -> None:
    trees = load(Trees((provider(),)), user("ada", STAFF, "later"), group(STAFF, "above"))
    ada = Searcher.of(trees, "ada")
    (entry,) = ada.search(Equality("uid", b"ada")).entries.values()
    assert entry["memberOf"] == [f"cn=staff,ou=groups,{BASE}".encode()]
    change(trees, group("later"), group("above"))
    (entry,) = ada.search(Equality("uid", b"ada")).entries.values()
    assert set(entry["memberOf"]) == {f"cn={name},ou=groups,{BASE}".encode() for name in ("staff", "later")}
    (above,) = ada.search(Equality("cn", b"above")).entries.values()
    assert above["member"] == [f"cn=staff,ou=groups,{BASE}".encode()]


def test_a_group_that_goes_and_comes_again_has_its_members(trees: Trees) -> None:
    change(trees, group("ops"), user("Bert", "ops"))
    change(trees, removed=[f"group/{identity('ops')}"])
    ada = Searcher.of(trees, "ada")
    assert "memberOf" not in ada.search(Equality("uid", b"bert")).entries[f"cn=Bert,{USERS}"]
    change(trees, group("operations", key="ops"))
    (entry,) = ada.search(Equality("cn", b"operations")).entries.values()
    assert entry["member"] == [f"cn=Bert,{USERS}".encode()]


def test_renaming_a_group_renames_it_with_its_members(trees: Trees) -> None:
    ada = Searcher.of(trees, "ada")
    assert ada.search(Equality("memberOf", f"cn=staff,ou=groups,{BASE}".encode())).names == ["cn=ada"]
    change(trees, group("crew", key=STAFF))
    assert ada.search(Equality("memberOf", f"cn=staff,ou=groups,{BASE}".encode())).names == []
    (entry,) = ada.search(Equality("memberOf", f"cn=crew,ou=groups,{BASE}".encode())).entries.values()
    assert entry["memberOf"] == [f"cn=crew,ou=groups,{BASE}".encode()]


def test_groups_may_be_in_one_another_in_a_circle(trees: Trees) -> None:
    change(trees, group("one", "two"), group("two", "one", STAFF), user("Bert", "one"))
    assert len(Searcher.of(trees, "Bert").search(base=USERS, scope=Scope.ONE_LEVEL).entries) == 2


def test_what_is_removed_twice_or_was_never_there(trees: Trees) -> None:
    for _ in range(2):
        change(trees, removed=[f"user/{identity('Bert')}", f"group/{identity('no such group')}"])
    assert Searcher.of(trees, "ada").search(base=USERS, scope=Scope.ONE_LEVEL).names == ["cn=ada"]


def test_others_run_while_a_directory_loads() -> None:
    pauses = []
    trees = Trees((provider(),))
    everybody = [user(f"user {number}", number=number + 1) for number in range(PAUSE_EVERY * 3)]
    trees.apply(edit(*everybody, begins=True), lambda: pauses.append(trees.loaded))
    assert len(pauses) >= 3
    assert not any(pauses)
    assert trees.loaded


# Providers that come, change and go.


def test_a_directory_is_wanted_until_it_has_come() -> None:
    fresh = Trees((provider(),))
    assert (fresh.loaded, fresh.wants_directory) == (False, True)
    fresh.apply(edit(user("ada"), begins=True, complete=False), no_pause)
    assert (fresh.loaded, fresh.wants_directory) == (False, False)
    fresh.apply(DirectoryEdit(), no_pause)
    assert (fresh.loaded, fresh.wants_directory) == (True, False)
    assert (Trees().loaded, Trees().wants_directory) == (True, False)


def test_providers_that_describe_alike_share_a_directory(trees: Trees) -> None:
    both = trees.with_providers((provider(), provider("dc=other", id="other")))
    assert both.loaded
    assert tree_of(both, "other").directory is tree_of(trees).directory
    (entry,) = Searcher.of(both, "ada", "other").search(Equality("uid", b"ada"), base="dc=other").entries.values()
    assert entry["memberOf"] == [b"cn=staff,ou=groups,dc=other"]
    change(both, user("carl"))
    assert Searcher.of(trees, "ada").search(Equality("uid", b"carl")).names == ["cn=carl"]


def test_a_provider_with_new_mappings_shows_what_it_showed_until_a_whole_copy_comes(trees: Trees) -> None:
    viewer = tree_of(trees).viewer(identity("ada"))
    changed = trees.with_providers((provider(user_attributes=MAPPED),))
    assert (changed.loaded, changed.wants_directory) == (False, True)
    ada = Searcher(changed, viewer)
    assert "telephoneNumber" not in ada.search(Equality("uid", b"ada")).entries[f"cn=ada,{USERS}"]
    change(changed, user("carl"))
    assert ada.search(Equality("uid", b"carl")).names == ["cn=carl"]
    load(changed, group(STAFF), user("ada", STAFF, attributes='{"phone": "1"}'))
    assert ada.search(Equality("telephoneNumber", b"1")).names == ["cn=ada"]
    assert (changed.loaded, changed.wants_directory) == (True, False)


def test_what_comes_to_the_trees_before_is_seen_in_those_after(trees: Trees) -> None:
    trees.apply(edit(group(STAFF), begins=True, complete=False), no_pause)
    after = trees.with_providers((provider(search_group="crew"),))
    trees.apply(edit(group("crew"), user("ada", "crew"), user("carl")), no_pause)
    assert (after.loaded, after.wants_directory) == (True, False)
    assert Searcher.of(after, "ada").search(Equality("uid", b"carl")).names == ["cn=carl"]
    assert Searcher.of(trees, "ada").search(Equality("uid", b"carl")).names == []


def test_changed_rights_count_for_those_who_have_bound(trees: Trees) -> None:
    viewer = tree_of(trees).viewer(identity("ada"))
    after = trees.with_providers((provider(search_group="crew"),))
    assert Searcher(after, viewer).search(Equality("uid", b"bert")).names == []
    assert Searcher(trees, viewer).search(Equality("uid", b"bert")).names == ["cn=Bert"]


def test_trees_that_are_not_used_change_nothing(trees: Trees) -> None:
    viewer = tree_of(trees).viewer(identity("ada"))
    after = trees.with_providers((provider("dc=new"),))
    assert viewer.dn == f"cn=ada,{USERS}"
    after.use()
    assert viewer.dn == "cn=ada,ou=users,dc=new"


def test_a_provider_that_is_gone_lets_nobody_in(trees: Trees) -> None:
    viewer = tree_of(trees).viewer(identity("ada"))
    gone = trees.with_providers(())
    assert Searcher(gone, viewer).search().code is ResultCode.INSUFFICIENT_ACCESS_RIGHTS


def test_a_provider_that_can_not_be_served_is_refused(trees: Trees) -> None:
    with pytest.raises(ConfigRefused):
        trees.with_providers((provider(user_attributes=(("no name", "x"),)),))


def test_numbers_start_where_each_provider_says(trees: Trees) -> None:
    later = trees.with_providers((provider(uid_start=100_000),))
    load(later, group(STAFF), user("ada", STAFF, number=5))
    assert Searcher.of(later, "ada").search(Equality("uidNumber", b"100005")).names == ["cn=ada"]
