"""Creating and changing applications, and the bindings that say who may use them."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from control.domain.application import Application, Binding, Provider, ProxyProvider
from control.domain.errors import Problem
from control.fleet.fields import Fields, Reader
from control.fleet.option_checks import is_http_url
from control.store import Unit

FIELDS = (
    "slug",
    "name",
    "provider",
    "policy_mode",
    "second_factor",
    "category",
    "description",
    "publisher",
    "launch_url",
    "bindings",
)
BINDING_FIELDS = ("user", "group", "order", "enabled", "negate")
_SLUG = re.compile(r"[A-Za-z0-9_-]+")
_MOST_BINDINGS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """A binding without its id, for comparing."""

    user: UUID | None
    group: UUID | None
    order: int
    enabled: bool
    negate: bool


def create_application(unit: Unit, fields: Fields) -> Application:
    """Make an application, with its bindings where they are named. Raises Invalid with every problem."""
    application, rules = _checked(unit, Application(id=uuid4(), slug="", name=""), fields)
    unit.applications.add(application)
    _replace(unit, application, rules)
    return application


def update_application(unit: Unit, application: Application, fields: Fields) -> Application:
    """Change the fields that are named. Raises Invalid with every problem."""
    changed, rules = _checked(unit, application, fields)
    unit.applications.update(changed)
    _replace(unit, changed, rules)
    return changed


def remove_application(unit: Unit, application: Application) -> None:
    """Remove an application with its bindings; its provider stays."""
    _replace(unit, application, ())
    unit.applications.remove(application)


def replace_bindings(unit: Unit, application: Application, bindings: Sequence[Fields]) -> tuple[Binding, ...]:
    """Make the application's rules exactly these. Raises Invalid with every problem."""
    update_application(unit, application, {"bindings": bindings})
    return tuple(unit.bindings.of_application(application.id))


def launch_url_of(application: Application, provider: Provider | None) -> str:
    """Where the start page leads: what the admin wrote, else where the provider guards it; "" for nowhere."""
    return application.launch_url or (provider.external_host if isinstance(provider, ProxyProvider) else "")


def slug_from(name: str) -> str:
    """A slug for an application of that name; "" when nothing of it is left."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:50]


def _checked(unit: Unit, current: Application, fields: Fields) -> tuple[Application, Sequence[_Rule] | None]:
    reader = Reader(fields, FIELDS)
    application = _read(unit, reader, current)
    reader.expect_free("slug", unit.applications.find_named(application.slug), application.id)
    if application.slug and not _SLUG.fullmatch(application.slug):
        reader.refuse("slug", "not_a_slug", application.slug, "letters, digits, - and _")
    if application.provider is not None:
        _check_provider_free(unit, reader, application)
    if application.launch_url and not _is_launch_url(application.launch_url):
        reader.refuse("launch_url", "not_a_url", application.launch_url, "an http(s) URL")
    rules = _rules(unit, reader) if reader.names("bindings") else None
    reader.check()
    return application, rules


def _read(unit: Unit, reader: Reader, current: Application) -> Application:
    return replace(
        current,
        slug=reader.text("slug", current.slug, 50, required=True),
        name=reader.object_name(current.name, 150),
        provider=reader.reference("provider", current.provider, unit.providers),
        policy_mode=reader.word("policy_mode", current.policy_mode),
        second_factor=reader.flag("second_factor", current.second_factor),
        category=reader.text("category", current.category, 150),
        description=reader.text("description", current.description, 10_000),
        publisher=reader.text("publisher", current.publisher, 150),
        launch_url=reader.text("launch_url", current.launch_url, 2000),
    )


def _check_provider_free(unit: Unit, reader: Reader, application: Application) -> None:
    other = unit.applications.find_for_provider(application.provider) if application.provider else None
    if other is not None and other.id != application.id:
        found = reader.fields.get("provider", application.provider)
        reader.refuse("provider", "already_taken", found, f"a provider that application {other.slug!r} has not")


def _is_launch_url(text: str) -> bool:
    """A link a browser may follow: http(s) with a host, so neither javascript: nor data:."""
    parts = text.split("#", 1)[0].split("?", 1)
    return is_http_url(parts[0]) and not urlsplit(text).username


def _rules(unit: Unit, reader: Reader) -> list[_Rule]:
    items = reader.mappings("bindings")
    if len(items) > _MOST_BINDINGS:
        reader.refuse("bindings", "too_many", len(items), f"at most {_MOST_BINDINGS}")
        return []
    return [rule for place, item in enumerate(items) if (rule := _rule(unit, reader, item, place)) is not None]


def _rule(unit: Unit, outer: Reader, item: Fields, place: int) -> _Rule | None:
    reader = Reader(item, BINDING_FIELDS, f"bindings[{place}].")
    rule = _Rule(
        user=reader.reference("user", None, unit.users),
        group=reader.reference("group", None, unit.groups),
        order=reader.whole("order", place, -1_000_000, 1_000_000),
        enabled=reader.flag("enabled", current=True),
        negate=reader.flag("negate", current=False),
    )
    if sum(item.get(name) not in (None, "") for name in ("user", "group")) != 1:
        outer.problems.append(_one_of_both(place, item))
    outer.problems.extend(reader.problems)
    return rule


def _one_of_both(place: int, item: Fields) -> Problem:
    found = " and ".join(name for name in ("user", "group") if item.get(name))
    return Problem(field=f"bindings[{place}]", code="not_one_of_both", found=found, expected="either user or group")


def _replace(unit: Unit, application: Application, rules: Sequence[_Rule] | None) -> None:
    """Make the rules these: one about the same user or group stays the same and is changed, where anything differs."""
    if rules is None:
        return
    missing, changed = list(rules), []
    for binding in unit.bindings.of_application(application.id):
        if _rule_of(binding) in missing:
            missing.remove(_rule_of(binding))
        else:
            changed.append(binding)
    for binding in changed:
        rule = next((each for each in missing if (each.user, each.group) == (binding.user, binding.group)), None)
        if rule is None:
            unit.bindings.remove(binding)
        else:
            missing.remove(rule)
            unit.bindings.update(_binding(application, rule, binding.id))
    for rule in missing:
        unit.bindings.add(_binding(application, rule, uuid4()))


def _rule_of(binding: Binding) -> _Rule:
    return _Rule(
        user=binding.user, group=binding.group, order=binding.order, enabled=binding.enabled, negate=binding.negate
    )


def _binding(application: Application, rule: _Rule, key: UUID) -> Binding:
    return Binding(
        id=key,
        application=application.id,
        user=rule.user,
        group=rule.group,
        order=rule.order,
        enabled=rule.enabled,
        negate=rule.negate,
    )
