"""What is wanted of an outpost: rendered from what is stored, with the tokens that its containers may hold."""

from dataclasses import replace
from uuid import uuid4

import pytest

from control.domain.application import ProxyMode
from control.domain.outpost import InstanceState, Outpost, Token
from control.fleet.rotation import retire_tokens, rotate_token
from control.fleet.tokens import get_token
from control.store import Store
from control.tasks.wanted import Desire, accepted_tokens, find_desire
from tests.support import builders
from tests.support.deploying import Stage, make_stage
from tests.support.stores import ADMIN, Clock
from tests.support.tasks import MEANS


@pytest.fixture
def stage(store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return make_stage(store, clock, monkeypatch)


def desire(stage: Stage, outpost: Outpost) -> Desire:
    with stage.store.read() as unit:
        found = find_desire(unit, MEANS.home, outpost.id)
    assert found is not None
    return found


def newest(stage: Stage, outpost: Outpost) -> Token:
    with stage.store.read() as unit:
        return get_token(unit, outpost)


def test_a_rotation_replaces_no_container(stage: Stage, clock: Clock) -> None:
    """Neither when the new token comes, nor when the old one is retired, nor ever after."""
    integration, engine = stage.engine()
    outpost = stage.outpost(integration)
    stage.settle()
    first, container = newest(stage, outpost), engine.only().id
    instance = stage.connect(outpost, container, environment_token=first.fingerprint, held_token=first.fingerprint)
    with stage.store.write(ADMIN) as unit:
        rotate_token(unit, outpost)
    stage.settle()
    assert engine.only().id == container
    with stage.store.write(ADMIN) as unit:
        unit.instances.save([replace(instance, held_token=get_token(unit, outpost).fingerprint)])
        retire_tokens(unit, outpost)
    stage.settle()
    clock.advance(days=1)
    stage.settle()
    assert engine.only().id == container


def test_a_token_that_its_instance_did_not_learn_in_time_is_replaced(stage: Stage) -> None:
    integration, engine = stage.engine()
    outpost = stage.outpost(integration)
    stage.settle()
    first, container = newest(stage, outpost), engine.only().id
    stage.connect(
        outpost,
        container,
        environment_token=first.fingerprint,
        held_token=first.fingerprint,
        state=InstanceState.DISCONNECTED,
    )
    with stage.store.write(ADMIN) as unit:
        rotate_token(unit, outpost)
        retire_tokens(unit, outpost)
    stage.settle()
    assert engine.only().id != container


def test_the_last_that_was_heard_of_counts(stage: Stage, clock: Clock) -> None:
    outpost = stage.outpost(None)
    token = newest(stage, outpost)
    learnt = stage.connect(outpost, "a" * 64, environment_token="old", held_token=token.fingerprint)
    clock.advance(minutes=1)
    not_yet = stage.connect(outpost, "b" * 64, environment_token="old", held_token="old")
    assert accepted_tokens([token], [learnt]) == {token.fingerprint, "old"}
    assert accepted_tokens([token], [learnt, not_yet]) == {token.fingerprint}
    assert accepted_tokens([token], [not_yet, learnt]) == {token.fingerprint}


def test_secrets_are_in_nothing_that_is_shown(stage: Stage) -> None:
    integration, _ = stage.engine()
    outpost = stage.outpost(integration)
    secret = newest(stage, outpost).secret
    stage.settle()
    stage.ask(stage.runs()[0].kind, outpost.id, cause="akadmin")
    shown = [desire(stage, outpost), stage.rows(outpost), stage.runs(), stage.events(), stage.codes]
    assert secret not in repr(shown)


def test_nothing_is_wanted_of_an_outpost_that_is_gone(stage: Stage) -> None:
    with stage.store.read() as unit:
        assert find_desire(unit, MEANS.home, uuid4()) is None


def test_nowhere_is_where_an_outpost_without_integration_is(stage: Stage) -> None:
    found = desire(stage, stage.outpost(None))
    assert (found.integration, found.wanted, found.fault) == (None, (), None)


def test_an_integration_that_is_gone_is_nowhere(stage: Stage, store: Store) -> None:
    """No foreign key guards it."""
    outpost = stage.outpost(None)
    with store.write(ADMIN) as unit:
        unit.outposts.update(replace(outpost, integration=uuid4()))
    assert desire(stage, outpost).integration is None


def test_what_is_routed_to_a_container_follows_the_modes_of_what_it_serves(stage: Stage) -> None:
    integration, _ = stage.engine()
    with stage.store.write(ADMIN) as unit:
        asked = unit.providers.add(builders.provider("wiki"))
        shop = unit.proxy_providers.add(
            builders.provider("shop", mode=ProxyMode.PROXY, internal_host="http://127.0.0.1")
        )
    outpost = stage.outpost(integration, providers=frozenset({asked.id, shop.id}))
    (before,) = desire(stage, outpost).wanted
    rule = "traefik.http.routers.ak-outpost-edge-router.rule"
    paths = "PathPrefix(`/outpost.goauthentik.io`)"
    assert before.spec["labels"][rule] == f"((Host(`wiki.example.com`)) && {paths}) || Host(`shop.example.com`)"
    with stage.store.write(ADMIN) as unit:
        unit.proxy_providers.update(replace(shop, mode=ProxyMode.FORWARD_SINGLE))
    (after,) = desire(stage, outpost).wanted
    assert after.spec["labels"][rule] == f"(Host(`shop.example.com`) || Host(`wiki.example.com`)) && {paths}"
