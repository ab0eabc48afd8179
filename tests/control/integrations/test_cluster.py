"""The shape of plans isn't fitted to containers: the objects of a cluster, as they will be, go through the same.

What differs from Docker: several objects an outpost, made in an order; identity by namespace and name and not by label;
most of them changed where they are; defaults that the cluster adds; components that can be switched off.
"""

from collections.abc import Collection
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from control.integrations.model import Action, Create, Found, Key, Remove, Replace, Said, Wanted
from control.integrations.reconcile import NOT_AS_WANTED, as_json, dry_run, reconcile
from tests.support.model_engine import ModelEngine, as_found

OWNER = UUID(int=1)
OWNERS = frozenset({OWNER})
COMPONENTS = ("secret", "deployment", "service", "ingress")
NAME = "ak-outpost-edge"
LABELS = {"app.kubernetes.io/managed-by": "goauthentik.io", "goauthentik.io/outpost-uuid": OWNER.hex}


def specs(token: str = "t1", image: str = "i:1", **annotations: str) -> dict[str, dict[str, Any]]:
    """What is rendered of each component: named lists as mappings, secrets as hashes."""
    container = {"image": image, "env_from": NAME, "ports": ["9000", "9443"]}
    return {
        "secret": {"labels": LABELS, "data": {"token": f"hash of {token}", "authentik_host": "hash of a host"}},
        "deployment": {
            "labels": LABELS,
            "replicas": 1,
            "selector": LABELS,
            "template": {"annotations": {"checksum": f"hash of {token}"}, "containers": {"proxy": container}},
        },
        "service": {"labels": LABELS, "type": "ClusterIP", "selector": LABELS, "ports": {"http": 9000}},
        "ingress": {"labels": LABELS, "annotations": annotations, "hosts": ["wiki.example.com"]},
    }


def rendered(namespace: str = "default", disabled: Collection[str] = (), **given: Any) -> list[Wanted]:
    """The objects of one outpost. What can't be changed in a cluster is the selector of a deployment."""
    return [
        Wanted(
            key=Key(owner=OWNER, component=component, place=f"{namespace}/{NAME}"),
            name=NAME,
            spec=spec,
            in_place=frozenset(spec) - ({"selector"} if component == "deployment" else set()),
            accepts={"data.token": frozenset({"hash of t0"})} if component == "secret" else {},
            hidden=frozenset({"data.token"}),
            order=COMPONENTS.index(component),
        )
        for component, spec in reversed(specs(**given).items())
        if component not in disabled
    ]


def cluster(*wanted: Wanted) -> ModelEngine:
    """One that holds these, each with what clusters add, listed by the order in which such things are made."""
    objects = [with_defaults(as_found(each)) for each in sorted(wanted, key=lambda each: each.order)]
    return ModelEngine(can_run_beside=False, objects=objects)


def with_defaults(found: Found) -> Found:
    spec = {**found.spec, "status": {"observed": 1}, "labels": {**found.spec["labels"], "helm.sh/chart": "x"}}
    return replace(found, spec=spec)


def quiet(_: Said) -> None:
    """Nobody follows."""


def acted(engine: ModelEngine, desired: list[Wanted]) -> list[str]:
    """What a pass does, in short; afterwards nothing is left to do."""
    assert reconcile(engine, desired, OWNERS, quiet).failed == ()
    assert dry_run(engine, desired, OWNERS) == ()
    return [short(action) for action in engine.applied]


def short(action: Action) -> str:
    about = action.found if isinstance(action, Remove) else action.wanted
    namespace = about.key.place.partition("/")[0]
    return f"{type(action).__name__.lower()} {namespace} {about.key.component}"


def test_they_are_made_in_their_order() -> None:
    made = [f"create default {component}" for component in COMPONENTS]
    assert acted(cluster(), rendered()) == made


def test_what_a_cluster_adds_is_no_difference() -> None:
    assert acted(cluster(*rendered()), rendered()) == []


def test_a_disabled_component_is_cleaned_up() -> None:
    assert acted(cluster(*rendered()), rendered(disabled={"ingress"})) == ["remove default ingress"]


def test_they_go_in_the_opposite_order() -> None:
    assert acted(cluster(*rendered()), []) == [f"remove default {each}" for each in reversed(COMPONENTS)]


def test_another_namespace_is_served_before_the_first_is_cleared() -> None:
    made = [f"create web {each}" for each in COMPONENTS]
    gone = [f"remove default {each}" for each in reversed(COMPONENTS)]
    assert acted(cluster(*rendered()), rendered("web")) == made + gone


def test_where_the_new_namespace_refuses_the_first_one_serves_on() -> None:
    engine = cluster(*rendered())
    before = list(engine.objects)
    engine.refuses = lambda action: isinstance(action, Create) and action.wanted.key.component == "deployment"
    outcome = reconcile(engine, rendered("web"), OWNERS, quiet)
    assert [(short(each.action), each.code) for each in outcome.failed] == [("create web deployment", "refused")]
    assert [short(each) for each in outcome.applied] == ["create web secret"]
    assert engine.objects[: len(before)] == before


@pytest.mark.parametrize(
    ("given", "actions"),
    [
        ({"image": "i:2"}, ["change default deployment"]),
        ({"token": "t2"}, ["change default secret", "change default deployment"]),
        ({"cert": "letsencrypt"}, ["change default ingress"]),
    ],
)
def test_what_can_be_changed_where_it_is_is_not_made_anew(given: dict[str, Any], actions: list[str]) -> None:
    assert acted(cluster(*rendered()), rendered(**given)) == actions


def test_an_annotation_that_is_no_longer_wanted_goes_where_it_is() -> None:
    engine = cluster(*rendered(cert="letsencrypt"))
    assert acted(engine, rendered()) == ["change default ingress"]
    assert engine.objects[-1].spec["annotations"] == {}


def test_what_nobody_can_change_is_made_anew_and_not_beside() -> None:
    engine = cluster(*rendered())
    deployment = engine.objects[1]
    engine.objects[1] = replace(deployment, spec={**deployment.spec, "selector": {"app": "x"}})
    (action,) = dry_run(engine, rendered(), OWNERS)
    assert isinstance(action, Replace)
    assert (short(action), action.beside) == ("replace default deployment", False)


def test_drift_by_hand_is_seen_and_a_token_is_never_shown() -> None:
    wanted = rendered()
    engine = cluster(*wanted)
    spec = engine.objects[1].spec
    engine.objects[1] = replace(engine.objects[1], spec={**spec, "replicas": 0})
    engine.objects[0] = replace(engine.objects[0], spec={"labels": LABELS, "data": {"token": "hash of stolen"}})
    assert as_json(dry_run(engine, wanted, OWNERS)) == [
        {
            "action": "change",
            "component": "secret",
            "name": NAME,
            "beside": False,
            "differences": [
                {"path": "data.token", "wanted": "", "found": ""},
                {"path": "data.authentik_host", "wanted": "hash of a host", "found": ""},
            ],
        },
        {
            "action": "change",
            "component": "deployment",
            "name": NAME,
            "beside": False,
            "differences": [{"path": "replicas", "wanted": "1", "found": "0"}],
        },
    ]


def test_an_older_token_that_counts_yet_is_left() -> None:
    engine = cluster(*rendered())
    older = {"labels": LABELS, "data": {"token": "hash of t0", "authentik_host": "hash of a host"}}
    engine.objects[0] = replace(engine.objects[0], spec=older)
    assert dry_run(engine, rendered(), OWNERS) == ()


def test_what_a_webhook_writes_over_is_told_and_not_fought() -> None:
    """Otherwise each pass would change it anew, for ever."""

    class Stubborn(ModelEngine):
        def observe(self, owners: frozenset[UUID]) -> tuple[Found, ...]:
            return tuple(
                replace(each, spec={**each.spec, "type": "NodePort"}) if each.key.component == "service" else each
                for each in ModelEngine.observe(self, owners)
            )

    engine = Stubborn(can_run_beside=False, objects=cluster(*rendered()).objects)
    outcome = reconcile(engine, rendered(), OWNERS, quiet)
    assert [(each.code, each.detail) for each in outcome.failed] == [(NOT_AS_WANTED, "type")]
