"""The options of an outpost: every key with its default, every bad value refused with key, value and expectation."""

from datetime import timedelta
from typing import Any, get_type_hints

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from control.domain.errors import Invalid
from control.domain.outpost import Logged
from control.fleet.options import OPTIONS, OutpostOptions, parse_options, problem_line, read_yaml, write_yaml

DEFAULTS: dict[str, Any] = {
    "log_level": "info",
    "refresh_interval": timedelta(minutes=5),
    "garrison_token_rotation": None,
    "garrison_bind_cache": timedelta(minutes=10),
    "garrison_offline_grace": timedelta(hours=24),
    "garrison_access_log": Logged.ALL,
    "garrison_decision_log": Logged.PROBLEMS,
    "authentik_host": "",
    "authentik_host_insecure": False,
    "authentik_host_browser": "",
    "object_naming_template": "ak-outpost-%(name)s",
    "container_image": None,
    "docker_network": None,
    "docker_map_ports": True,
    "docker_labels": None,
    "kubernetes_replicas": 1,
    "kubernetes_namespace": "default",
    "kubernetes_ingress_annotations": {},
    "kubernetes_ingress_secret_name": "authentik-outpost-tls",
    "kubernetes_ingress_class_name": None,
    "kubernetes_ingress_path_type": None,
    "kubernetes_httproute_annotations": {},
    "kubernetes_httproute_parent_refs": (),
    "kubernetes_service_type": "ClusterIP",
    "kubernetes_disabled_components": (),
    "kubernetes_image_pull_secrets": (),
    "kubernetes_json_patches": None,
    "kubernetes_disable_x509_strict": False,
}

# As its documentation has it, without the comments.
AUTHENTIK_EXAMPLE = """
log_level: debug
refresh_interval: minutes=5
authentik_host: https://authentik.tld/
authentik_host_insecure: false
authentik_host_browser:
object_naming_template: ak-outpost-%(name)s
container_image:
docker_network: null
docker_map_ports: true
docker_labels: null
kubernetes_replicas: 1
kubernetes_namespace: authentik
kubernetes_ingress_annotations: {}
kubernetes_ingress_secret_name: authentik-outpost-tls
kubernetes_service_type: ClusterIP
kubernetes_disabled_components: []
kubernetes_image_pull_secrets: []
kubernetes_ingress_class_name: null
kubernetes_json_patches:
  deployment:
    - op: add
      path: "/spec/template/spec/containers/0/resources"
      value:
        requests: {cpu: 2000m, memory: 2000Mi}
"""

GOOD: list[tuple[str, Any, Any]] = [
    ("log_level", "trace", "trace"),
    ("refresh_interval", "hours=1;minutes=2;seconds=3", timedelta(hours=1, minutes=2, seconds=3)),
    ("refresh_interval", "seconds=5", timedelta(seconds=30)),
    ("garrison_token_rotation", "days=30", timedelta(days=30)),
    ("garrison_token_rotation", "seconds=5", timedelta(hours=1)),
    ("garrison_token_rotation", "", timedelta()),
    ("garrison_bind_cache", "", timedelta()),
    ("garrison_bind_cache", "seconds=5", timedelta(seconds=5)),
    ("garrison_offline_grace", "", timedelta()),
    ("garrison_access_log", "problems", Logged.PROBLEMS),
    ("garrison_decision_log", "nothing", Logged.NOTHING),
    ("authentik_host", "https://auth.example.com/sub/", "https://auth.example.com/sub/"),
    ("authentik_host_browser", None, ""),
    ("object_naming_template", "x-%(uuid)s-100%%", "x-%(uuid)s-100%%"),
    ("container_image", "registry.example.com:5000/a/b@sha256:0", "registry.example.com:5000/a/b@sha256:0"),
    ("container_image", "", None),
    ("docker_labels", {"a": "b"}, {"a": "b"}),
    ("kubernetes_replicas", 0, 0),
    ("kubernetes_ingress_secret_name", None, ""),
    ("kubernetes_ingress_path_type", "Prefix", "Prefix"),
    ("kubernetes_httproute_parent_refs", [{"name": "g", "port": 80}], ({"name": "g", "port": 80},)),
    ("kubernetes_disabled_components", ["prometheus servicemonitor"], ("prometheus servicemonitor",)),
    (
        "kubernetes_json_patches",
        {"secret": [{"op": "remove", "path": "/a"}]},
        {"secret": ({"op": "remove", "path": "/a"},)},
    ),
]

BAD: list[tuple[str, Any, str]] = [
    ("log_level", "loud", "not_a_choice"),
    ("log_level", None, "not_a_choice"),
    ("refresh_interval", "5 minutes", "not_a_duration"),
    ("refresh_interval", "seconds=0", "not_a_duration"),
    ("refresh_interval", 300, "not_a_duration"),
    ("refresh_interval", "weeks=9999", "too_long"),
    ("garrison_token_rotation", "never", "not_a_duration"),
    ("garrison_token_rotation", 30, "not_a_duration"),
    ("garrison_bind_cache", "0", "not_a_duration"),
    ("garrison_bind_cache", None, "not_a_duration"),
    ("garrison_offline_grace", 24, "not_a_duration"),
    ("garrison_access_log", "some", "not_a_choice"),
    ("garrison_access_log", True, "not_a_choice"),
    ("garrison_decision_log", None, "not_a_choice"),
    ("authentik_host", "auth.example.com", "not_a_url"),
    ("authentik_host", "javascript:alert(1)", "not_a_url"),
    ("authentik_host", "https://user:pw@auth.example.com", "not_a_url"),
    ("authentik_host", "https://auth.example.com/?a=b", "not_a_url"),
    ("authentik_host", "https://[::1", "not_a_url"),
    ("authentik_host_insecure", "false", "not_a_boolean"),
    ("object_naming_template", "%(name)1000000000s", "not_a_template"),
    ("object_naming_template", "%(password)s", "not_a_template"),
    ("object_naming_template", "", "not_a_template"),
    ("container_image", "two words", "not_a_word"),
    ("docker_map_ports", 1, "not_a_boolean"),
    ("docker_labels", {"traefik.enable": True}, "not_text"),
    ("docker_labels", ["a=b"], "not_a_mapping"),
    ("kubernetes_replicas", True, "not_a_number"),
    ("kubernetes_replicas", -1, "not_a_number"),
    ("kubernetes_replicas", "1", "not_a_number"),
    ("kubernetes_namespace", "Upper", "not_a_name"),
    ("kubernetes_namespace", "a" * 64, "not_a_name"),
    ("kubernetes_ingress_annotations", None, "not_a_mapping"),
    ("kubernetes_ingress_path_type", "prefix", "not_a_choice"),
    ("kubernetes_httproute_parent_refs", [{"port": 80}], "not_a_parent_reference"),
    ("kubernetes_httproute_parent_refs", [{"name": "g", "port": True}], "not_a_parent_reference"),
    ("kubernetes_service_type", "ExternalName", "not_a_choice"),
    ("kubernetes_disabled_components", ["pod"], "not_a_component"),
    ("kubernetes_disabled_components", "secret", "not_a_list"),
    ("kubernetes_image_pull_secrets", [1], "not_a_word"),
    ("kubernetes_json_patches", {"pod": []}, "not_a_component"),
    ("kubernetes_json_patches", {"secret": [{"op": "add", "path": "/a"}]}, "not_a_json_patch"),
    ("kubernetes_json_patches", {"secret": [{"op": "move", "path": "/a", "from": "a"}]}, "not_a_json_patch"),
    ("kubernetes_json_patches", {"secret": [{"op": [], "path": "/a"}]}, "not_a_json_patch"),
    ("kubernetes_disable_x509_strict", None, "not_a_boolean"),
]

YAML_BAD: list[tuple[str, str, int | None]] = [
    ("log_level: [", "not_yaml", 1),
    ('a: 1\nb: "open\n', "not_yaml", 3),
    ("log_level: debug\nlog_level: info\n", "duplicate_key", 2),
    ("docker_labels: &a {a: b}\nkubernetes_ingress_annotations: *a\n", "alias_refused", 2),
    ("log_level: !!python/object/apply:os.system [id]", "tag_refused", 1),
    ("log_level: !secret x", "tag_refused", 1),
    ("? [a]\n: b\n", "key_refused", 1),
    ("<<: {log_level: debug}\n", "key_refused", 1),
    ("[" * 5000, "too_deep", 1),
    ("a: 1\n---\nb: 2\n", "not_yaml", 2),
    ("just words", "not_a_mapping", None),
    ("1: 2", "not_a_mapping", None),
    ("\x00", "not_yaml", None),
    ("x" * 33_000, "too_long", None),
    ("log_level: info\nkubernetes_replicas: many\n", "not_a_number", 2),
    ("log_level: info\n\nlog-level: debug\n", "unknown_option", 3),
]


def test_nothing_written_means_the_known_defaults() -> None:
    options = parse_options({})
    assert {name: getattr(options, name) for name in get_type_hints(OutpostOptions)} == DEFAULTS


def test_every_option_has_an_attribute_and_the_other_way_round() -> None:
    assert [option.key for option in OPTIONS] == list(get_type_hints(OutpostOptions))


def test_the_example_of_authentik_is_taken_as_it_is() -> None:
    options = parse_options(read_yaml(AUTHENTIK_EXAMPLE))
    assert (options.log_level, options.authentik_host_browser, options.kubernetes_namespace) == (
        "debug",
        "",
        "authentik",
    )


@pytest.mark.parametrize(("key", "value", "expected"), GOOD)
def test_good_values(key: str, value: object, expected: object) -> None:
    assert getattr(parse_options({key: value}), key) == expected


@pytest.mark.parametrize(("key", "value", "code"), BAD)
def test_bad_values(key: str, value: object, code: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_options({key: value})
    (problem,) = caught.value.problems
    expected = next(option.expected for option in OPTIONS if option.key == key)
    assert (problem.field, problem.code, problem.expected) == (f"config.{key}", code, expected)
    assert problem.found.rstrip("…") in str(value)


def test_every_problem_is_told() -> None:
    with pytest.raises(Invalid) as caught:
        read_yaml("log_level: loud\nreplicas: 3\nkubernetes_replicas: many\n")
    assert {problem.field for problem in caught.value.problems} == {
        "config.log_level",
        "config.replicas",
        "config.kubernetes_replicas",
    }


@pytest.mark.parametrize(("text", "code", "line"), YAML_BAD)
def test_bad_yaml(text: str, code: str, line: int | None) -> None:
    with pytest.raises(Invalid) as caught:
        read_yaml(text)
    problem = caught.value.problems[0]
    assert (problem.code, problem_line(text, problem)) == (code, line)


def test_a_date_stays_text() -> None:
    assert read_yaml("docker_labels: {released: 2026-11-22}") == {"docker_labels": {"released": "2026-11-22"}}


def test_what_is_written_for_an_editor_reads_back() -> None:
    config = {"log_level": "debug", "docker_labels": {"a": "ü: #"}, "kubernetes_replicas": 3}
    assert read_yaml(write_yaml(config)) == config


def test_the_editor_shows_every_option_with_its_default() -> None:
    uncommented = "\n".join(
        line.removeprefix("# ") for line in write_yaml({}).splitlines() if not line.startswith("# ") or ":" in line
    )
    for option in OPTIONS:
        assert f"{option.key}:" in uncommented


@given(st.text(max_size=400))
def test_garbage_is_invalid_and_nothing_else(text: str) -> None:
    try:
        read_yaml(text)
    except Invalid as error:
        for problem in error.problems:
            problem_line(text, problem)


_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([option.key for option in OPTIONS]), _values, max_size=6))
def test_any_value_parses_or_is_invalid(config: dict[str, object]) -> None:
    assert all(field.startswith("config.") for field in _refused(config))


@given(st.dictionaries(st.sampled_from([option.key for option in OPTIONS]), _values, max_size=4))
def test_any_config_survives_yaml(config: dict[str, object]) -> None:
    try:
        parse_options(config)
    except Invalid:
        return
    assert read_yaml(yaml.safe_dump(config)) == config


def _refused(config: dict[str, object]) -> list[str]:
    try:
        parse_options(config)
    except Invalid as error:
        return [problem.field for problem in error.problems]
    return []
