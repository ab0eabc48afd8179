"""Outposts: made with their account and token, gone with them."""

import pytest

from control.domain.errors import Invalid
from control.domain.identity import UserKind
from control.domain.outpost import OutpostType
from control.fleet.options import options_of
from control.fleet.outposts import assigned_providers, create_outpost, remove_outpost, update_outpost
from control.fleet.tokens import ensure_embedded, get_token
from control.store import Store
from tests.support import builders
from tests.support.stores import ADMIN

EDGE: dict[str, object] = {"name": "edge", "type": "proxy"}


def refusals(store: Store, **fields: object) -> dict[str, str]:
    """Code by field of what is wrong with an outpost of these fields."""
    with pytest.raises(Invalid) as caught, store.write(ADMIN) as unit:
        create_outpost(unit, {**EDGE, **fields})
    return {problem.field: problem.code for problem in caught.value.problems}


def test_one_comes_with_account_and_token_and_goes_with_them(store: Store) -> None:
    with store.write(ADMIN) as unit:
        made = create_outpost(unit, EDGE)
        account = unit.users.get(made.service_account)
        assert (account.kind, account.username) == (UserKind.OUTPOST, f"ak-outpost-{made.id.hex}")
        assert len(get_token(unit, made).secret) == 43
        remove_outpost(unit, made)
        assert (unit.users.count(), unit.tokens.count(), unit.outposts.count()) == (0, 0, 0)


def test_config_is_taken_as_text_or_mapping(store: Store) -> None:
    with store.write(ADMIN) as unit:
        made = create_outpost(unit, {**EDGE, "config": "log_level: debug\n"})
        assert (made.config, options_of(made).log_level) == ({"log_level": "debug"}, "debug")
        assert update_outpost(unit, made, {"config": {"docker_map_ports": False}}).config == {"docker_map_ports": False}
        assert update_outpost(unit, made, {"config": None}).config == {}


def test_a_bad_config_is_told_by_option(store: Store) -> None:
    assert refusals(store, config="log_level: loud\nfoo: 1", name="a/b") == {
        "name": "not_a_name",
        "config.log_level": "not_a_choice",
        "config.foo": "unknown_option",
    }
    assert refusals(store, config=7) == {"config": "not_a_mapping"}


@pytest.mark.parametrize(
    ("kind", "code"), [("radius", "not_served_yet"), ("rac", "not_served_yet"), ("x", "not_a_choice")]
)
def test_types_without_a_server_are_refused(store: Store, kind: str, code: str) -> None:
    assert refusals(store, type=kind) == {"type": code}


@pytest.mark.parametrize("name", ["", "a/b", "a\nb", "x" * 101])
def test_names_that_are_refused(store: Store, name: str) -> None:
    assert set(refusals(store, name=name)) == {"name"}


def test_a_name_is_one_outposts(store: Store) -> None:
    with store.write(ADMIN) as unit:
        create_outpost(unit, EDGE)
    assert refusals(store) == {"name": "already_taken"}


def test_providers_by_name(store: Store) -> None:
    wiki = builders.provider("wiki")
    with store.write(ADMIN) as unit:
        unit.providers.add(wiki)
        assert create_outpost(unit, {**EDGE, "providers": ["wiki"]}).providers == {wiki.id}
    assert refusals(store, name="b", providers=["wiki", "nope"]) == {"providers[1]": "not_found"}
    assert refusals(store, name="b", providers="wiki") == {"providers": "not_a_list"}


def test_the_embedded_one_serves_what_no_other_does_until_it_is_manual(store: Store) -> None:
    wiki, blog = builders.provider("wiki"), builders.provider("blog")
    with store.write(ADMIN) as unit:
        unit.providers.add(wiki)
        unit.providers.add(blog)
        embedded = ensure_embedded(unit)
        edge = create_outpost(unit, {**EDGE, "providers": ["wiki"]})
        assert assigned_providers(unit, embedded) == [blog]
        assert assigned_providers(unit, edge) == [wiki]
        manual = update_outpost(unit, embedded, {"manual": True, "providers": ["wiki"]})
        assert assigned_providers(unit, manual) == [wiki]
        automatic = update_outpost(unit, manual, {"manual": False, "providers": ["wiki"]})
        assert (automatic.providers, assigned_providers(unit, automatic)) == (frozenset(), [blog])


def test_the_embedded_one_is_not_told_what_to_serve_by_accident(store: Store) -> None:
    with store.write(ADMIN) as unit:
        unit.providers.add(builders.provider("wiki"))
        embedded = ensure_embedded(unit)
        with pytest.raises(Invalid) as caught:
            update_outpost(unit, embedded, {"providers": ["wiki"]})
    assert caught.value.problems[0].code == "chosen_by_itself"


def test_the_embedded_one_stays(store: Store) -> None:
    with store.write(ADMIN) as unit, pytest.raises(Invalid) as caught:
        remove_outpost(unit, ensure_embedded(unit))
    assert caught.value.problems[0].code == "embedded"


def test_others_are_never_manual(store: Store) -> None:
    assert refusals(store, manual=True) == {"manual": "not_embedded"}


def test_an_ldap_outpost_has_ldap_providers(store: Store) -> None:
    with store.write(ADMIN) as unit:
        wiki, shown = unit.providers.add(builders.provider("wiki")), unit.providers.add(builders.ldap_provider("dir"))
        ldap = create_outpost(unit, {"name": "ldap", "type": "ldap", "providers": ["dir"]})
        assert (ldap.type, assigned_providers(unit, ldap)) == (OutpostType.LDAP, [shown])
        assert assigned_providers(unit, ensure_embedded(unit)) == [wiki]
    assert refusals(store, name="b", type="ldap", providers=["dir", "wiki"]) == {"providers": "of_another_type"}
    assert refusals(store, name="b", providers=["dir"]) == {"providers": "of_another_type"}


def test_the_embedded_one_has_proxy_providers(store: Store) -> None:
    with store.write(ADMIN) as unit:
        unit.providers.add(builders.ldap_provider("dir"))
        embedded = ensure_embedded(unit)
        with pytest.raises(Invalid) as caught:
            update_outpost(unit, embedded, {"manual": True, "providers": ["dir"]})
    assert [(each.field, each.code) for each in caught.value.problems] == [("providers", "of_another_type")]


def test_an_outpost_stays_of_its_type(store: Store) -> None:
    with store.write(ADMIN) as unit:
        edge = create_outpost(unit, EDGE)
        assert update_outpost(unit, edge, {"type": "proxy"}) == edge
        with pytest.raises(Invalid) as caught:
            update_outpost(unit, edge, {"type": "ldap"})
    assert [(each.field, each.code) for each in caught.value.problems] == [("type", "not_changeable")]


def test_options_are_the_same_for_all_types(store: Store) -> None:
    config = {"log_level": "debug", "garrison_bind_cache": "minutes=1"}
    with store.write(ADMIN) as unit:
        assert create_outpost(unit, {"name": "ldap", "type": "ldap", "config": config}).config == config
