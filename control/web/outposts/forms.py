"""The form of an outpost: name, type, integration, applications, advanced settings."""

from collections.abc import Iterable, Sequence
from typing import Any

from wtforms import BooleanField, StringField, TextAreaField

from control.domain.errors import Problem
from control.domain.integration import Integration
from control.domain.outpost import Outpost, OutpostType
from control.fleet.options import problem_line, write_yaml
from control.web.forms import Form, Many, reference, references

# Deployed by hand.
INTEGRATION_NONE = ""


class OutpostForm(Form):
    """Create and edit."""

    name = StringField()
    type = StringField(default=OutpostType.PROXY)
    integration = StringField(default=INTEGRATION_NONE)
    manual = BooleanField()
    providers = Many()
    config = TextAreaField()


def defaults(integrations: Sequence[Integration]) -> dict[str, object]:
    """What the form of a new outpost holds: every option, commented out, with what it means; the only integration."""
    chosen = str(integrations[0].id) if len(integrations) == 1 else INTEGRATION_NONE
    return {"config": write_yaml({}), "integration": chosen}


def values_of(outpost: Outpost) -> dict[str, object]:
    """What the form shows of a stored outpost."""
    return {
        "name": outpost.name,
        "type": outpost.type.value,
        "integration": str(outpost.integration or INTEGRATION_NONE),
        "manual": outpost.manual,
        "providers": [str(key) for key in outpost.providers],
        "config": write_yaml(outpost.config),
    }


def fields_of(form: OutpostForm, outpost: Outpost | None) -> dict[str, Any]:
    """What the command takes. The embedded outpost alone can be switched to manual, and chooses by itself otherwise."""
    fields: dict[str, Any] = {
        "name": form.name.data or "",
        "type": form.type.data or "",
        "config": form.config.data or "",
        "providers": references(form.providers.data or []),
    }
    if outpost is None or not outpost.embedded:
        return {**fields, "integration": reference(form.integration.data)}
    manual = bool(form.manual.data)
    return {**fields, "manual": manual, "providers": fields["providers"] if manual else []}


def error_lines(form: OutpostForm) -> list[int]:
    """The lines of the advanced settings that problems are about, in order."""
    errors: Iterable[object] = form.config.errors
    problems = [error for error in errors if isinstance(error, Problem)]
    lines = (problem_line(form.config.data or "", problem) for problem in problems)
    return sorted({line for line in lines if line is not None})
