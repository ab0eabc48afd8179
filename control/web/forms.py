"""Forms: fields bind what was posted; the commands of control.fleet and control.auth say what is wrong with it.

So a form here has no rules of its own. A command's Problems are put at their fields, and the templates find the
words by the Problem's code.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import yaml
from flask_wtf import FlaskForm
from wtforms import Field

from control.domain.errors import Invalid, Problem
from control.fleet.documents import load_mapping
from control.store import Unit
from control.web.context import web
from control.web.identity import actor

MOST_ATTRIBUTE_BYTES = 64 * 1024


class Form(FlaskForm):  # type: ignore[misc] # flask_wtf has no type information
    """A form with a CSRF field."""

    def values(self) -> dict[str, Any]:
        """What was posted, by field name, without the form's own machinery."""
        return {name: field.data for name, field in self._fields.items() if name != "csrf_token"}


class Many(Field):
    """Several values of one name, as check boxes send them."""

    def process_formdata(self, valuelist: list[Any]) -> None:
        """Keep them all, none included."""
        self.data = list(valuelist)


@contextmanager
def saving(form: Form, prefix: str = "") -> Iterator[Unit]:
    """A writing unit. What it finds invalid ends up at the form's fields, and nothing is written."""
    with refusing(form, prefix), web().store.write(actor()) as unit:
        yield unit


@contextmanager
def refusing(form: Form, prefix: str = "") -> Iterator[None]:
    """A block whose Invalid ends up at the form's fields."""
    try:
        yield
    except Invalid as invalid:
        attach(form, invalid, prefix)


def attach(form: Form, invalid: Invalid, prefix: str = "") -> None:
    """Put each problem at the field it names, or on top of the form when there is no such field."""
    for problem in invalid.problems:
        field = _field_of(form, prefix + problem.field)
        if field is None:
            form.form_errors.append(problem)
        else:
            field.errors = [*field.errors, problem]


def moved(invalid: Invalid, prefix: str) -> Invalid:
    """The same problems at fields whose names begin with `prefix`."""
    return Invalid(
        [
            Problem(field=prefix + problem.field, code=problem.code, found=problem.found, expected=problem.expected)
            for problem in invalid.problems
        ]
    )


def references(texts: Sequence[str]) -> list[UUID | str]:
    """Ids as commands want them; what is no id stays text, which names nothing."""
    return [reference(text) for text in texts]


def reference(text: str | None) -> UUID | str:
    """One id; "" for none."""
    try:
        return UUID(text or "")
    except ValueError:
        return text or ""


def read_attributes(text: str | None, field: str = "attributes") -> Mapping[str, Any]:
    """Attributes as an admin writes them: YAML, of which JSON is a part. Raises Invalid."""
    return load_mapping(text or "", field, MOST_ATTRIBUTE_BYTES)


def write_attributes(attributes: Mapping[str, Any]) -> str:
    """Attributes for an editor."""
    return yaml.safe_dump(dict(attributes), sort_keys=False, allow_unicode=True) if attributes else ""


def _field_of(form: Form, name: str) -> Any:  # noqa: ANN401 - a Field, whose errors are said to be text alone
    """The field called `name`, or the one that holds it, as `config` holds `config.log_level`."""
    outer = re.split(r"[.\[]", name, maxsplit=1)[0]
    return form._fields.get(name) or form._fields.get(outer)
