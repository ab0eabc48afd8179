"""Integrations: reached safely or not at all, and never forgotten while something lies on their engine."""

from dataclasses import replace

import pytest

from control.domain.errors import InUse, Invalid
from control.domain.integration import Integration, IntegrationHealth
from control.fleet.certificates import create_certificate, generate_certificate, update_certificate
from control.fleet.integrations import (
    access_of,
    create_integration,
    find_integration_at,
    remove_empty_integration,
    remove_integration,
    update_integration,
)
from control.fleet.outposts import create_outpost, remove_outpost
from control.store import Store, Unit
from tests.support import builders
from tests.support.stores import ADMIN

LOCAL: dict[str, object] = {"name": "local", "type": "docker", "url": "unix:///var/run/docker.sock"}
REMOTE: dict[str, object] = {"name": "remote", "url": "ssh://box"}


@pytest.fixture
def with_certificates(store: Store) -> Store:
    with store.write(ADMIN) as unit:
        pair = generate_certificate(unit, {"name": "pair", "common_name": "garrison"})
        create_certificate(unit, {"name": "ca", "certificate": pair.chain})
    return store


def refusals(store: Store, **fields: object) -> dict[str, str]:
    """Code by field of what is wrong with an integration of these fields."""
    with pytest.raises(Invalid) as caught, store.write(ADMIN) as unit:
        create_integration(unit, {**LOCAL, **fields})
    return {problem.field: problem.code for problem in caught.value.problems}


def test_one_is_made_found_by_its_place_and_removed(store: Store) -> None:
    with store.write(ADMIN) as unit:
        made = create_integration(unit, LOCAL, local=True)
        assert (made.name, made.url, made.local) == ("local", "unix:///var/run/docker.sock", True)
        assert find_integration_at(unit, "unix:///run/docker.sock") == made
        assert find_integration_at(unit, "unix:///run/podman.sock") is None
        assert find_integration_at(unit, "nonsense") is None
        assert str(access_of(unit, made).url) == made.url
        remove_integration(unit, made)
        assert unit.integrations.count() == 0


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ({"name": ""}, {"name": "missing"}),
        ({"name": "a\tb"}, {"name": "not_a_name"}),
        ({"name": "x" * 101}, {"name": "too_long"}),
        ({"type": "kubernetes"}, {"type": "not_served_yet"}),
        ({"type": "podman"}, {"type": "not_a_choice"}),
        ({"url": ""}, {"url": "missing"}),
        ({"url": "http://engine:2375"}, {"url": "not_an_engine_url"}),
        ({"url": 7}, {"url": "not_text"}),
        ({"tls_verification": "nope"}, {"tls_verification": "not_found"}),
        ({"tls_verification": "ca"}, {"tls_verification": "no_tls_here"}),
        (
            {"url": "ssh://box", "tls_verification": "ca", "tls_authentication": "ca"},
            {"tls_verification": "no_tls_here", "tls_authentication": "no_private_key"},
        ),
        ({"local": True}, {"local": "unknown_field"}),
        ({"same_engine": "yes"}, {"same_engine": "not_a_boolean"}),
    ],
)
def test_what_is_refused(with_certificates: Store, fields: dict[str, object], refused: dict[str, str]) -> None:
    assert refusals(with_certificates, **fields) == refused


@pytest.mark.parametrize(
    "fields",
    [
        {"url": "tcp://socket-proxy:2375"},
        {"url": "tcp://engine:2376", "tls_verification": "ca"},
        {"url": "tcp://engine:2376", "tls_authentication": "pair"},
        {"url": "tcp://engine:2376", "tls_verification": "ca", "tls_authentication": "pair"},
        {"url": "ssh://me@engine:22", "tls_authentication": "pair"},
        {"url": "ssh://engine"},
    ],
)
def test_what_is_safe_is_taken(with_certificates: Store, fields: dict[str, object]) -> None:
    with with_certificates.write(ADMIN) as unit:
        access = access_of(unit, create_integration(unit, {**LOCAL, **fields}))
    assert bool(access.ca) == ("tls_verification" in fields)
    assert bool(access.key) == bool(access.certificate) == ("tls_authentication" in fields)
    assert "PRIVATE KEY" not in repr(access)


def test_a_password_in_a_url_is_not_told(store: Store) -> None:
    with pytest.raises(Invalid) as caught, store.write(ADMIN) as unit:
        create_integration(unit, {**LOCAL, "url": "ssh://me:secret@box"})
    assert "secret" not in str(caught.value)


def test_two_dont_have_one_name_nor_one_place(store: Store) -> None:
    with store.write(ADMIN) as unit:
        made = create_integration(unit, LOCAL)
        assert update_integration(unit, made, LOCAL) == made
    assert refusals(store) == {"name": "already_taken", "url": "already_taken"}
    assert refusals(store, name="b", url="unix:///run/docker.sock") == {"url": "already_taken"}


def test_certificates_in_use_stay_and_keep_their_key(with_certificates: Store) -> None:
    with with_certificates.write(ADMIN) as unit:
        named = {"url": "tcp://engine:2376", "tls_verification": "ca", "tls_authentication": "pair"}
        create_integration(unit, {**LOCAL, **named})
        for name in ("ca", "pair"):
            with pytest.raises(InUse):
                unit.certificates.remove(unit.certificates.get_named(name))
        with pytest.raises(Invalid) as caught:
            update_certificate(unit, unit.certificates.get_named("pair"), {"key": ""})
    assert [(each.field, each.code) for each in caught.value.problems] == [("key", "in_use")]


def test_another_engine_needs_another_integration_while_something_lies_on_the_first(store: Store) -> None:
    with store.write(ADMIN) as unit:
        remote = with_something(unit)
        with pytest.raises(Invalid) as caught:
            update_integration(unit, remote, {"url": "ssh://other"})
        assert [(each.field, each.code, each.found) for each in caught.value.problems] == [
            ("url", "lies_there", "edge")
        ]
        assert update_integration(unit, remote, {"name": "far", "url": "ssh://BOX"}).name == "far"
        moved = update_integration(unit, remote, {"url": "ssh://other", "same_engine": True})
        assert access_of(unit, moved).host_key == "ssh-ed25519 pinned"


def test_of_another_engine_nothing_is_known(store: Store) -> None:
    with store.write(ADMIN) as unit:
        remote = with_something(unit)
        for each in unit.deployments.of_integration(remote.id):
            unit.deployments.remove(each)
        assert access_of(unit, update_integration(unit, remote, {"name": "x"})).host_key == "ssh-ed25519 pinned"
        assert access_of(unit, update_integration(unit, remote, {"url": "ssh://other"})).host_key == ""


def test_one_that_an_outpost_names_stays_and_what_is_left_behind_is_in_the_trail(store: Store) -> None:
    with store.write(ADMIN) as unit:
        remote = with_something(unit)
        with pytest.raises(InUse) as caught:
            remove_integration(unit, remote)
        assert caught.value.used_by == "outpost 'edge'"
        edge = unit.outposts.get_named("edge")
        remove_outpost(unit, edge)
    with store.write(ADMIN) as unit:
        remove_integration(unit, remote)
        assert (unit.deployments.count(), unit.integration_healths.count()) == (0, 0)
    with store.read() as unit:
        told = [(each.action, each.target, each.name) for each in unit.audit.latest(2)]
    assert ("left behind", str(edge.id), "edge") in told


def test_one_that_something_lies_on_is_not_removed_by_who_was_not_told(store: Store) -> None:
    with store.write(ADMIN) as unit:
        remote = with_something(unit)
        remove_outpost(unit, unit.outposts.get_named("edge"))
        with pytest.raises(InUse) as caught:
            remove_empty_integration(unit, remote)
        assert caught.value.used_by == "what lies of outpost 'edge' on its engine, until that is seen to be gone,"
        for each in unit.deployments.of_integration(remote.id):
            unit.deployments.remove(each)
        remove_empty_integration(unit, remote)
        assert unit.integrations.count() == 0


def with_something(unit: Unit) -> Integration:
    """An integration over SSH, checked once, with an outpost that lies on its engine."""
    remote = create_integration(unit, REMOTE)
    edge = create_outpost(unit, {"name": "edge", "integration": "remote"})
    unit.deployments.add(builders.deployment(edge, remote))
    health = IntegrationHealth(id=remote.id, healthy=True, checked=unit.now, since=unit.now)
    unit.integration_healths.save([replace(health, host_key="ssh-ed25519 pinned")])
    return remote
