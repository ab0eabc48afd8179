"""An outpost as containers: authentik's names, labels and ports, and every option seen when it changes."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from control.domain.outpost import OFFERED_TYPES, Outpost, OutpostType
from control.fleet.launch import Home, Launch, Sites, launch_of
from control.fleet.options import OPTIONS
from control.fleet.tokens import fingerprint
from control.integrations.docker.render import SHAPES, Shape, render, render_as, traefik_labels
from control.integrations.docker.spec import TOKEN_PATH, Container
from control.integrations.model import Change, Create, Key, Replace, Wanted
from control.integrations.plan import plan
from tests.support import builders
from tests.support.model_engine import as_found

OWNER = UUID("0190a000-0000-7000-8000-000000000001")
HOME = Home(url="https://garrison.example.com", version="1.0", image_base="registry/%(type)s:%(version)s")
TOKEN = "hush"
HOSTS = Sites(asked=frozenset({"https://b.example.com:8443", "http://a.example.com"}))


def outpost(kind: OutpostType = OutpostType.PROXY, **config: Any) -> Outpost:
    return Outpost(id=OWNER, name="edge", type=kind, service_account=OWNER, config=config, created=builders.WHEN)


def launch(kind: OutpostType = OutpostType.PROXY, **config: Any) -> Launch:
    return launch_of(outpost(kind, **config), TOKEN, HOME)


def rendered(kind: OutpostType = OutpostType.PROXY, /, **config: Any) -> Wanted:
    (wanted,) = render(launch(kind, **config), HOSTS, frozenset({fingerprint(TOKEN)}))
    return wanted


def test_a_proxy_is_as_authentik_has_it_with_less_rights() -> None:
    wanted, paths = rendered(), "/outpost.goauthentik.io"
    router, service = "traefik.http.routers.ak-outpost-edge-router", "traefik.http.services.ak-outpost-edge-service"
    assert wanted.name == "ak-outpost-edge"
    assert wanted.spec == {
        "image": "registry/proxy:1.0",
        "command": ["proxy"],
        "env": {
            "AUTHENTIK_HOST": "https://garrison.example.com",
            "AUTHENTIK_TOKEN": fingerprint(TOKEN),
            "AUTHENTIK_INSECURE": "false",
        },
        "labels": {
            "io.goauthentik.outpost-uuid": str(OWNER),
            "io.garrison.component": "outpost",
            "traefik.enable": "true",
            f"{router}.rule": f"(Host(`a.example.com`) || Host(`b.example.com`)) && PathPrefix(`{paths}`)",
            f"{router}.tls": "true",
            f"{router}.service": "ak-outpost-edge-service",
            f"{service}.loadbalancer.healthcheck.path": "/outpost.goauthentik.io/ping",
            f"{service}.loadbalancer.healthcheck.port": "9300",
            f"{service}.loadbalancer.server.port": "9000",
        },
        "ports": ["9000:9000/tcp", "9443:9443/tcp"],
        "network": "bridge",
        "restart": "unless-stopped",
        "read_only": True,
        "tmpfs": {"/tmp": "size=64m"},
        "cap_add": [],
        "cap_drop": ["ALL"],
        "security": ["no-new-privileges"],
        "privileged": False,
    }


def test_ldap_is_published_at_the_usual_ports_and_has_nothing_to_do_with_traefik() -> None:
    wanted = rendered(OutpostType.LDAP)
    assert (wanted.spec["command"], wanted.spec["ports"]) == (["ldap"], ["389:3389/tcp", "636:6636/tcp"])
    assert not [label for label in wanted.spec["labels"] if label.startswith("traefik")]


def test_every_type_has_a_shape_that_publishes_where_it_listens() -> None:
    for kind in OFFERED_TYPES:
        inside = {port.rpartition(":")[2] for port in SHAPES[kind].ports}
        assert inside == {f"{number}/tcp" for number in launch(kind).ports.values()}
        assert not any(":9300/" in port for port in SHAPES[kind].ports)


@pytest.mark.parametrize("hosts", [(), ("nonsense",)])
def test_without_hosts_traefik_is_told_to_leave_it(hosts: tuple[str, ...]) -> None:
    (wanted,) = render(launch(), Sites(asked=frozenset(hosts)), frozenset())
    assert {key: value for key, value in wanted.spec["labels"].items() if key.startswith("traefik")} == {
        "traefik.enable": "false"
    }


@pytest.mark.parametrize(
    ("asked", "proxied", "rule"),
    [
        ((), ("https://b.test",), "Host(`b.test`)"),
        ((), ("https://c.test", "https://b.test:8443"), "Host(`b.test`) || Host(`c.test`)"),
        (
            ("https://a.test",),
            ("https://b.test",),
            "((Host(`a.test`)) && PathPrefix(`/outpost.goauthentik.io`)) || Host(`b.test`)",
        ),
        # One host by two ports: all of it leads there.
        (("https://b.test",), ("https://b.test:8443",), "Host(`b.test`)"),
    ],
)
def test_all_of_a_host_in_mode_proxy_leads_to_the_outpost(
    asked: tuple[str, ...], proxied: tuple[str, ...], rule: str
) -> None:
    labels = traefik_labels("x", Sites(asked=frozenset(asked), proxied=frozenset(proxied)))
    assert labels["traefik.http.routers.x-router.rule"] == rule
    assert len(labels) == 7


def test_an_admins_labels_dont_take_the_place_of_ours() -> None:
    labels = {
        "io.goauthentik.outpost-uuid": "x",
        "io.garrison.fingerprint": "x",
        "io.garrison.component": "x",
        "traefik.enable": "false",
        "com.example": "kept",
    }
    wanted = rendered(docker_labels=labels)
    found = wanted.spec["labels"]
    assert (found["io.goauthentik.outpost-uuid"], found["io.garrison.component"]) == (str(OWNER), "outpost")
    assert (found["traefik.enable"], found["com.example"]) == ("true", "kept")
    assert "io.garrison.fingerprint" not in found


CHANGES: dict[str, tuple[object, str]] = {
    "authentik_host": ("https://other.example.com", "env.AUTHENTIK_HOST"),
    "authentik_host_insecure": (True, "env.AUTHENTIK_INSECURE"),
    "authentik_host_browser": ("https://login.example.com", "env.AUTHENTIK_HOST_BROWSER"),
    "object_naming_template": ("garrison-%(name)s", "name"),
    "container_image": ("registry/other:2", "image"),
    "docker_network": ("web", "network"),
    "docker_map_ports": (False, "ports"),
    "docker_labels": ({"com.example": "1"}, "labels.com.example"),
}
# What is told over the link while the outpost runs, and what other engines read.
ELSEWHERE = {
    "log_level",
    "refresh_interval",
    "garrison_token_rotation",
    "garrison_bind_cache",
    "garrison_offline_grace",
    "garrison_access_log",
    "garrison_decision_log",
}


def test_every_option_is_spoken_for() -> None:
    named = {option.key for option in OPTIONS if not option.key.startswith("kubernetes_")}
    assert named == CHANGES.keys() | ELSEWHERE


@pytest.mark.parametrize("kind", OFFERED_TYPES)
@pytest.mark.parametrize("key", CHANGES)
def test_an_option_is_seen_when_it_is_set_and_when_it_goes(kind: OutpostType, key: str) -> None:
    value, path = CHANGES[key]
    plain, changed = rendered(kind), rendered(kind, **{key: value})
    (action,) = plan([changed], [as_found(plain)], can_run_beside=True)
    assert isinstance(action, Replace | Change)
    assert path in {each.path for each in action.differences}
    (back,) = plan([plain], [as_found(changed)], can_run_beside=True)
    assert isinstance(back, Replace | Change)
    assert back.differences
    assert plan([changed], [as_found(changed)], can_run_beside=True) == ()


@pytest.mark.parametrize(
    ("kind", "action"),
    [
        # Labels for Traefik are named after the container, and can't be changed where they are.
        (OutpostType.PROXY, Replace),
        (OutpostType.LDAP, Change),
    ],
)
def test_a_name_is_changed_in_place_where_nothing_else_has_it(kind: OutpostType, action: type) -> None:
    wanted = rendered(kind, object_naming_template="other-%(name)s")
    (done,) = plan([wanted], [as_found(rendered(kind))], can_run_beside=True)
    assert type(done) is action
    (anew,) = plan([wanted], [as_found(rendered(kind))], can_run_beside=False)
    assert isinstance(anew, Replace)


def test_another_type_version_or_host_is_seen() -> None:
    found = as_found(rendered())
    upgraded = launch_of(outpost(), TOKEN, replace(HOME, version="1.1"))
    for wish, path in (
        (rendered(OutpostType.LDAP), "command"),
        (render(upgraded, HOSTS, frozenset())[0], "image"),
        (
            render(launch(), Sites(asked=HOSTS.asked - {"http://a.example.com"}), frozenset())[0],
            "labels.traefik.http.routers.ak-outpost-edge-router.rule",
        ),
    ):
        (action,) = plan([wish], [found], can_run_beside=True)
        assert isinstance(action, Replace)
        assert path in {each.path for each in action.differences}


def test_rotation_alone_changes_nothing_and_a_leak_does() -> None:
    found = as_found(rendered())
    both = frozenset({fingerprint(TOKEN), fingerprint("new")})
    (rotated,) = render(replace(launch(), token="new"), HOSTS, both)
    assert plan([rotated], [found], can_run_beside=True) == ()
    (replaced,) = render(replace(launch(), token="new"), HOSTS, frozenset({fingerprint("new")}))
    (action,) = plan([replaced], [found], can_run_beside=True)
    assert isinstance(action, Replace)
    assert [(each.path, each.wanted, each.found) for each in action.differences] == [(TOKEN_PATH, "", "")]


def test_the_token_is_nowhere_but_in_what_the_container_is_made_with() -> None:
    wanted = rendered()
    assert wanted.private == {TOKEN_PATH: TOKEN}
    assert TOKEN not in repr(wanted)


@pytest.mark.parametrize(
    ("config", "is_exclusive"),
    [
        ({}, True),
        ({"docker_map_ports": False}, False),
        ({"docker_map_ports": False, "docker_network": "web"}, False),
        ({"docker_network": "none"}, False),
        ({"docker_map_ports": False, "docker_network": "host"}, True),
        ({"docker_network": "container:vpn"}, True),
    ],
)
def test_what_listens_where_only_one_can_is_exclusive(config: dict[str, Any], is_exclusive: bool) -> None:
    assert rendered(**config).exclusive is is_exclusive


def test_a_type_with_a_companion_is_a_row_of_the_table() -> None:
    """As a desktop gateway will be: no ports of its own, and another container that goes along."""

    def companion(of: Launch) -> Wanted:
        spec = Container(image="guacd", command=(), env={}, labels=dict(of.labels), network=of.network).spec
        return Wanted(key=Key(owner=of.outpost.id, component="guacd"), name=f"{of.name}-guacd", spec=spec, order=-1)

    shape = Shape(companions=(companion,))
    own, beside = render_as(shape, launch(), Sites(), frozenset())
    assert (own.spec["ports"], own.exclusive) == ([], False)
    actions = plan([own, beside], [], can_run_beside=True)
    assert actions == (Create(wanted=beside), Create(wanted=own))


def test_labels_of_traefik_are_seven() -> None:
    assert len(traefik_labels("x", HOSTS)) == 7
