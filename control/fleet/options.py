"""The options of an outpost, by authentik's names: what each means, its default, and what may stand there.

Parsed in control only. What an admin wrote is stored as written (checked); `options_of` gives the typed value with
defaults filled in. docs/blueprints.md has the same table for readers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import yaml

from control.domain.errors import Invalid, Problem
from control.domain.outpost import Logged, Outpost
from control.fleet import option_checks as checks
from control.fleet.documents import key_lines, load_mapping
from control.fleet.fields import problem as note

MOST_BYTES = 32 * 1024
# authentik never refreshes more often, whatever is written.
SHORTEST_REFRESH = timedelta(seconds=30)
# The link looks so often who is due.
SHORTEST_ROTATION = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutpostOptions:
    """Every option with its value; "" and None where nothing is set."""

    log_level: str
    refresh_interval: timedelta
    garrison_token_rotation: timedelta | None
    garrison_bind_cache: timedelta
    garrison_offline_grace: timedelta
    garrison_access_log: Logged
    garrison_decision_log: Logged
    authentik_host: str
    authentik_host_insecure: bool
    authentik_host_browser: str
    object_naming_template: str
    container_image: str | None
    docker_network: str | None
    docker_map_ports: bool
    docker_labels: Mapping[str, str] | None
    kubernetes_replicas: int
    kubernetes_namespace: str
    kubernetes_ingress_annotations: Mapping[str, str]
    kubernetes_ingress_secret_name: str
    kubernetes_ingress_class_name: str | None
    kubernetes_ingress_path_type: str | None
    kubernetes_httproute_annotations: Mapping[str, str]
    kubernetes_httproute_parent_refs: tuple[Mapping[str, Any], ...]
    kubernetes_service_type: str
    kubernetes_disabled_components: tuple[str, ...]
    kubernetes_image_pull_secrets: tuple[str, ...]
    kubernetes_json_patches: Mapping[str, Any] | None
    kubernetes_disable_x509_strict: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One key: its default as written in YAML, what may stand there, and what it is for."""

    key: str
    default: object
    expected: str
    meaning: str
    applies_to: str = ""
    read: Callable[[object], object]


OPTIONS: tuple[Option, ...] = (
    Option(
        key="log_level",
        default="info",
        expected="trace, debug, info, warning or error",
        meaning="How much the outpost logs.",
        applies_to="all but the embedded outpost",
        read=checks.one_of("trace", "debug", "info", "warning", "error"),
    ),
    Option(
        key="refresh_interval",
        default="minutes=5",
        expected="a duration like hours=1;minutes=2;seconds=3 (shorter than seconds=30 counts as that)",
        meaning="How often control and outpost compare what they hold, beside every change being pushed at once.",
        read=checks.duration,
    ),
    Option(
        key="garrison_token_rotation",
        default=None,
        expected='a duration like days=30, or "" for never (shorter than hours=1 counts as that)',
        meaning="How often the outpost gets a new token; nothing: each 30 days where control starts it, else never.",
        read=checks.optional(checks.duration_or_never),
    ),
    Option(
        key="garrison_bind_cache",
        default="minutes=10",
        expected='a duration like minutes=10, or "" to keep nothing',
        meaning="How long control's answer about a password or token is kept, for whoever was let in.",
        read=checks.duration_or_never,
    ),
    Option(
        key="garrison_offline_grace",
        default="hours=24",
        expected='a duration like hours=24, or "" for not at all',
        meaning="How long such an answer counts while control can't be reached.",
        read=checks.duration_or_never,
    ),
    Option(
        key="garrison_access_log",
        default="all",
        expected="all, problems or nothing",
        meaning="Which requests in mode proxy are logged, one line each; problems: those that failed.",
        applies_to="proxy outposts",
        read=checks.member_of(Logged),
    ),
    Option(
        key="garrison_decision_log",
        default="problems",
        expected="all, problems or nothing",
        meaning="Which decisions are logged, with who, at what and why; problems: those that let nobody in.",
        applies_to="proxy outposts",
        read=checks.member_of(Logged),
    ),
    Option(
        key="authentik_host",
        default="",
        expected="an http(s) URL",
        meaning="URL at which the outpost reaches control; nothing: the URL control is served at.",
        read=checks.url,
    ),
    Option(
        key="authentik_host_insecure",
        default=False,
        expected="true or false",
        meaning="Don't verify the certificate of authentik_host.",
        read=checks.boolean,
    ),
    Option(
        key="authentik_host_browser",
        default="",
        expected="an http(s) URL",
        meaning="URL at which browsers reach control, where it differs from authentik_host.",
        applies_to="proxy outposts",
        read=checks.url,
    ),
    Option(
        key="object_naming_template",
        default="ak-outpost-%(name)s",
        expected="text in which only %(name)s and %(uuid)s stand for something",
        meaning="Name of what is created for the outpost: containers, deployments, services, secrets.",
        applies_to="managed outposts",
        read=checks.naming_template,
    ),
    Option(
        key="container_image",
        default=None,
        expected="an image reference without spaces",
        meaning="Image to run in place of the default one.",
        applies_to="managed outposts",
        read=checks.optional_word,
    ),
    Option(
        key="docker_network",
        default=None,
        expected="the name of a network",
        meaning="Network the container joins.",
        applies_to="Docker",
        read=checks.optional_word,
    ),
    Option(
        key="docker_map_ports",
        default=True,
        expected="true or false",
        meaning="Publish the outpost's ports on the host.",
        applies_to="Docker",
        read=checks.boolean,
    ),
    Option(
        key="docker_labels",
        default=None,
        expected="a mapping of text to text (numbers and true or false in quotes)",
        meaning="Further labels of the container.",
        applies_to="Docker",
        read=checks.optional(checks.text_mapping),
    ),
    Option(
        key="kubernetes_replicas",
        default=1,
        expected="a whole number from 0 to 1000",
        meaning="Replicas of the deployment.",
        applies_to="Kubernetes",
        read=checks.whole(0, 1000),
    ),
    Option(
        key="kubernetes_namespace",
        default="default",
        expected="a namespace: lower-case letters, digits and dashes, at most 63",
        meaning="Namespace to deploy in.",
        applies_to="Kubernetes",
        read=checks.dns_label,
    ),
    Option(
        key="kubernetes_ingress_annotations",
        default={},
        expected="a mapping of text to text (numbers and true or false in quotes)",
        meaning="Annotations of the ingress, for cert-manager for example.",
        applies_to="Kubernetes",
        read=checks.text_mapping,
    ),
    Option(
        key="kubernetes_ingress_secret_name",
        default="authentik-outpost-tls",
        expected="the name of a secret, or nothing to go without TLS",
        meaning="Secret with the certificate of the ingress.",
        applies_to="Kubernetes",
        read=checks.word_or_nothing,
    ),
    Option(
        key="kubernetes_ingress_class_name",
        default=None,
        expected="the name of an ingress class",
        meaning="Ingress class; nothing: the cluster's default.",
        applies_to="Kubernetes, proxy outposts",
        read=checks.optional_word,
    ),
    Option(
        key="kubernetes_ingress_path_type",
        default=None,
        expected="Exact, Prefix or ImplementationSpecific",
        meaning="Path type of the ingress' rules.",
        applies_to="Kubernetes, proxy outposts",
        read=checks.optional(checks.one_of("Exact", "Prefix", "ImplementationSpecific")),
    ),
    Option(
        key="kubernetes_httproute_annotations",
        default={},
        expected="a mapping of text to text (numbers and true or false in quotes)",
        meaning="Annotations of the HTTPRoute.",
        applies_to="Kubernetes, proxy outposts",
        read=checks.text_mapping,
    ),
    Option(
        key="kubernetes_httproute_parent_refs",
        default=[],
        expected="a list of mappings with name, and where needed group, kind, namespace, sectionName, port",
        meaning="Gateways the HTTPRoute belongs to; none: no HTTPRoute is made.",
        applies_to="Kubernetes, proxy outposts",
        read=checks.parent_refs,
    ),
    Option(
        key="kubernetes_service_type",
        default="ClusterIP",
        expected="ClusterIP, NodePort or LoadBalancer",
        meaning="Kind of the service.",
        applies_to="Kubernetes",
        read=checks.one_of("ClusterIP", "NodePort", "LoadBalancer"),
    ),
    Option(
        key="kubernetes_disabled_components",
        default=[],
        expected="a list of: " + ", ".join(checks.COMPONENTS),
        meaning="What is not to be created.",
        applies_to="Kubernetes",
        read=checks.components,
    ),
    Option(
        key="kubernetes_image_pull_secrets",
        default=[],
        expected="a list of names of secrets",
        meaning="Secrets to pull the image with; they have to exist.",
        applies_to="Kubernetes",
        read=checks.words,
    ),
    Option(
        key="kubernetes_json_patches",
        default=None,
        expected="a mapping of component (as in kubernetes_disabled_components) to a list of RFC 6902 operations",
        meaning="Patches that are applied to what is created.",
        applies_to="Kubernetes",
        read=checks.optional(checks.json_patches),
    ),
    Option(
        key="kubernetes_disable_x509_strict",
        default=False,
        expected="true or false",
        meaning="Accept a cluster certificate that strict RFC 5280 checks refuse.",
        applies_to="Kubernetes",
        read=checks.boolean,
    ),
)
_BY_KEY = {option.key: option for option in OPTIONS}


def parse_options(config: Mapping[str, object]) -> OutpostOptions:
    """The options with defaults filled in. Raises Invalid with a `config.<key>` for each problem."""
    problems: list[Problem] = [_unknown(key) for key in config if key not in _BY_KEY]
    values: dict[str, Any] = {}
    for option in OPTIONS:
        value = config.get(option.key, option.default)
        try:
            values[option.key] = option.read(value)
        except checks.BadOption as error:
            problems.append(note(f"config.{option.key}", str(error), value, option.expected))
    if problems:
        raise Invalid(problems)
    values["refresh_interval"] = max(values["refresh_interval"], SHORTEST_REFRESH)
    if values["garrison_token_rotation"]:
        values["garrison_token_rotation"] = max(values["garrison_token_rotation"], SHORTEST_ROTATION)
    return OutpostOptions(**values)


def options_of(outpost: Outpost) -> OutpostOptions:
    """The options of a stored outpost."""
    return parse_options(outpost.config)


def find_fault(outpost: Outpost) -> str:
    """Why the stored options can't be used, if they can't: an older version may have taken what this one refuses."""
    try:
        options_of(outpost)
    except Invalid as error:
        return str(error)
    return ""


def read_yaml(text: str) -> dict[str, Any]:
    """What an admin wrote, checked, as it is stored. Raises Invalid."""
    config = load_mapping(text, "config", MOST_BYTES)
    parse_options(config)
    return config


def write_yaml(config: Mapping[str, object]) -> str:
    """The text for an editor: each option with its meaning, those that are not set commented out."""
    return "\n".join(_written(option, config) for option in OPTIONS)


def problem_line(text: str, problem: Problem) -> int | None:
    """The line of `text`, from 1, that a problem of `read_yaml` is about."""
    first = problem.found.split(",")[0].removeprefix("line ")
    if problem.found.startswith("line ") and first.isdigit():
        return int(first)
    try:
        return key_lines(text).get(problem.field.removeprefix("config."))
    except yaml.YAMLError:
        return None


def _unknown(key: str) -> Problem:
    return note(f"config.{key}", "unknown_option", key, "one of " + ", ".join(_BY_KEY))


def _written(option: Option, config: Mapping[str, object]) -> str:
    where = f" ({option.applies_to})" if option.applies_to else ""
    is_set = option.key in config
    value = _dumped({option.key: config.get(option.key, option.default)})
    lines = value if is_set else "".join(f"# {line}\n" for line in value.splitlines())
    return f"# {option.meaning}{where}\n{lines}"


def _dumped(value: Mapping[str, object]) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, default_flow_style=False)
