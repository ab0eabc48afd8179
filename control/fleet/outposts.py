"""Creating, changing and removing outposts. One comes with its service account and token, and goes with them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

from control.domain.application import Provider
from control.domain.errors import Invalid
from control.domain.outpost import OFFERED_TYPES, Outpost, OutpostType
from control.fleet.assignment import assigned, can_serve
from control.fleet.fields import Fields, Reader, moved, problem
from control.fleet.integrations import settle_deployments
from control.fleet.options import parse_options, read_yaml
from control.fleet.tokens import create_deployment_identity, remove_deployment_identity
from control.store import Unit

FIELDS = ("name", "type", "providers", "integration", "config", "manual")
# Known by name so that the refusal can say "not yet" instead of "what is that?".
_LATER = ("radius", "rac")


def create_outpost(unit: Unit, fields: Fields) -> Outpost:
    """Make an outpost with its service account and token. Raises Invalid with every problem."""
    key = uuid4()
    blank = Outpost(id=key, name="", type=OutpostType.PROXY, service_account=key, created=unit.now)
    outpost = _checked(unit, blank, fields)
    identity = create_deployment_identity(unit, key, outpost.name)
    return unit.outposts.add(replace(outpost, service_account=identity.account.id))


def update_outpost(unit: Unit, outpost: Outpost, fields: Fields) -> Outpost:
    """Change the fields that are named. Raises Invalid with every problem.

    Instances of another type than the outpost's are turned away: whoever deploys it has to start others.
    """
    changed = unit.outposts.update(_checked(unit, outpost, fields))
    settle_deployments(unit, changed.id, changed.integration)
    return changed


def remove_outpost(unit: Unit, outpost: Outpost) -> None:
    """Remove an outpost with its service account and tokens; its instances are turned away from then on.

    What lies of it on engines is removed as soon as they answer.
    """
    if outpost.embedded:
        expected = "an outpost other than the embedded one (--no-embedded-outpost serves no application through it)"
        raise Invalid([problem("name", "embedded", outpost.name, expected)])
    unit.outposts.remove(outpost)
    settle_deployments(unit, outpost.id, None)
    remove_deployment_identity(unit, outpost.service_account)


def assigned_providers(unit: Unit, outpost: Outpost) -> list[Provider]:
    """The providers an outpost is to serve."""
    return assigned(outpost, unit.outposts.all(), unit.providers.all())


def _checked(unit: Unit, current: Outpost, fields: Fields) -> Outpost:
    reader = Reader(fields, FIELDS)
    outpost = replace(
        current,
        name=reader.object_name(current.name, 100),
        type=_type(reader, current),
        providers=reader.references("providers", current.providers, unit.providers),
        integration=reader.reference("integration", current.integration, unit.integrations),
        manual=reader.flag("manual", current.manual),
        config=_config(reader, current),
    )
    _check_name(unit, reader, outpost)
    if outpost.embedded:
        _check_embedded(reader, outpost)
    outpost = replace(outpost, providers=_chosen(reader, outpost))
    _check_protocol(unit, reader, outpost, fields)
    reader.check()
    return outpost


def _type(reader: Reader, current: Outpost) -> OutpostType:
    named = reader.fields.get("type", current.type)
    if named in _LATER and named != current.type:
        reader.refuse("type", "not_served_yet", named, "one of " + ", ".join(OFFERED_TYPES))
        return current.type
    return reader.word("type", current.type)


def _check_name(unit: Unit, reader: Reader, outpost: Outpost) -> None:
    reader.expect_free("name", unit.outposts.find_named(outpost.name), outpost.id)
    if not outpost.name.isprintable() or "/" in outpost.name:
        reader.refuse("name", "not_a_name", outpost.name, "printable characters without /")


def _check_embedded(reader: Reader, outpost: Outpost) -> None:
    """Control runs it itself, as the proxy in front of it."""
    if outpost.type is not OutpostType.PROXY:
        expected = f"{OutpostType.PROXY}: make another outpost for another type"
        reader.refuse("type", "not_changeable", outpost.type, expected)
    if outpost.integration is not None:
        reader.refuse("integration", "embedded", "", "none for the embedded outpost")


def _chosen(reader: Reader, outpost: Outpost) -> frozenset[Any]:
    """The providers of an outpost; the embedded one chooses by itself unless it is manual."""
    if not outpost.embedded:
        if outpost.manual:
            reader.refuse("manual", "not_embedded", "true", "the embedded outpost alone can be manual or not")
        return outpost.providers
    if not outpost.manual and outpost.providers and not reader.names("manual"):
        found = reader.fields.get("providers", "")
        reader.refuse(
            "providers", "chosen_by_itself", found, "manual: true, to choose what the embedded outpost serves"
        )
    return outpost.providers if outpost.manual else frozenset()


def _check_protocol(unit: Unit, reader: Reader, outpost: Outpost, fields: Fields) -> None:
    if not {"type", "providers"} & fields.keys():
        return
    named = sorted(unit.providers.find_many(outpost.providers).values(), key=lambda each: each.name)
    for provider in named:
        if not can_serve(outpost.type, provider):
            expected = f"providers of type {outpost.type}; this one is of type {provider.type}"
            reader.refuse("providers", "of_another_type", provider.name, expected)


def _config(reader: Reader, current: Outpost) -> Mapping[str, Any]:
    value = reader.fields.get("config", current.config)
    try:
        return _parsed(value)
    except Invalid as error:
        reader.problems.extend(moved(error, reader.prefix).problems)
        return current.config


def _parsed(value: object) -> Mapping[str, Any]:
    match value:
        case None:
            return {}
        case str():
            return read_yaml(value)
        case Mapping():
            parse_options(value)
            return dict(value)
        case _:
            raise Invalid([problem("config", "not_a_mapping", value, "options with values, or YAML text")])
