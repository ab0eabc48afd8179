"""Outposts: made with their account and token, gone with them."""

import pytest

from control.domain.errors import Invalid
from control.domain.identity import UserKind
from control.domain.integration import DeploymentState
from control.domain.outpost import Outpost, OutpostType
from control.fleet.integrations import create_integration
from control.fleet.options import options_of
from control.fleet.outposts import assigned_providers, create_outpost, remove_outpost, update_outpost
from control.fleet.rotation import is_managed
from control.fleet.tokens import ensure_embedded, get_token
from control.store import Store, Unit
from tests.support import builders
from tests.support.stores import ADMIN

LOCAL: dict[str, object] = {"name": "local", "type": "docker", "url": "unix:///var/run/docker.sock"}
OTHER: dict[str, object] = {"name": "other", "type": "docker", "url": "ssh://other"}
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


def test_an_outpost_of_another_type_has_providers_of_that(store: Store) -> None:
    with store.write(ADMIN) as unit:
        unit.providers.add(builders.provider("wiki"))
        unit.providers.add(builders.ldap_provider("dir"))
        edge = create_outpost(unit, {**EDGE, "providers": ["wiki"]})
        assert update_outpost(unit, edge, {"type": "proxy"}) == edge
        with pytest.raises(Invalid) as caught:
            update_outpost(unit, edge, {"type": "ldap"})
        assert update_outpost(unit, edge, {"type": "ldap", "providers": ["dir"]}).type is OutpostType.LDAP
    assert [(each.field, each.code) for each in caught.value.problems] == [("providers", "of_another_type")]


def test_the_embedded_one_is_a_proxy_on_no_engine(store: Store) -> None:
    with store.write(ADMIN) as unit:
        create_integration(unit, LOCAL)
        embedded = ensure_embedded(unit)
        with pytest.raises(Invalid) as caught:
            update_outpost(unit, embedded, {"type": "ldap", "integration": "local"})
    assert [(each.field, each.code) for each in caught.value.problems] == [
        ("type", "not_changeable"),
        ("integration", "embedded"),
    ]


def test_an_integration_is_named_and_taken_away(store: Store) -> None:
    with store.write(ADMIN) as unit:
        local = create_integration(unit, LOCAL)
        edge = create_outpost(unit, {**EDGE, "integration": "local"})
        assert (edge.integration, is_managed(edge)) == (local.id, True)
        assert update_outpost(unit, edge, {"config": {}}).integration == local.id
        alone = update_outpost(unit, edge, {"integration": ""})
        assert (alone.integration, is_managed(alone)) == (None, False)
    assert refusals(store, name="b", integration="nope") == {"integration": "not_found"}


def test_what_lies_on_an_engine_that_an_outpost_left_is_to_go(store: Store) -> None:
    with store.write(ADMIN) as unit:
        local, other = create_integration(unit, LOCAL), create_integration(unit, OTHER)
        edge = create_outpost(unit, {**EDGE, "integration": "local"})
        lies = unit.deployments.add(builders.deployment(edge, local, state=DeploymentState.DEPLOYED))
        assert states(unit, edge) == [DeploymentState.DEPLOYED]
        moved = update_outpost(unit, edge, {"integration": "other"})
        unit.deployments.add(builders.deployment(edge, other, state=DeploymentState.FAILED))
        assert states(unit, edge) == [DeploymentState.LEAVING, DeploymentState.FAILED]
        back = update_outpost(unit, moved, {"integration": "local"})
        assert states(unit, edge) == [DeploymentState.PENDING, DeploymentState.LEAVING]
        remove_outpost(unit, back)
        assert states(unit, edge) == [DeploymentState.LEAVING, DeploymentState.LEAVING]
        assert unit.deployments.get(lies.id).integration == local.id


def states(unit: Unit, outpost: Outpost) -> list[DeploymentState]:
    """How an outpost lies on each engine, by the names of those."""
    found = {each.integration: each.state for each in unit.deployments.of_outpost(outpost.id)}
    return [found[each.id] for each in unit.integrations.all() if each.id in found]


def test_options_are_the_same_for_all_types(store: Store) -> None:
    config = {"log_level": "debug", "garrison_bind_cache": "minutes=1"}
    with store.write(ADMIN) as unit:
        assert create_outpost(unit, {"name": "ldap", "type": "ldap", "config": config}).config == config
