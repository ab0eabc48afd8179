"""Forms: fields bind what was posted; the commands of control.fleet and control.auth say what is wrong with it.

So a form here has no rules of its own. A command's Problems are put at their fields, and the templates find the
words by the Problem's code.
"""

from typing import Any

from flask_wtf import FlaskForm

from control.domain.errors import Invalid, Problem


class Form(FlaskForm):  # type: ignore[misc] # flask_wtf has no type information
    """A form with a CSRF field."""

    def fields_set(self) -> dict[str, object]:
        """What was posted, by field name, without the form's own machinery."""
        return {name: field.data for name, field in self._fields.items() if name not in {"csrf_token", "submit"}}


def attach(form: Any, invalid: Invalid) -> None:  # noqa: ANN401 - any WTForms form
    """Put each problem at the field it names, or on top of the form when there is no such field."""
    for problem in invalid.problems:
        field = form[problem.field] if problem.field in form else _holder(form, problem)
        target = form.form_errors if field is None else _errors(field)
        target.append(problem)


def _holder(form: Any, problem: Problem) -> Any:  # noqa: ANN401
    """The field of `config` for a problem at `config.log_level`."""
    outer = problem.field.split(".")[0].split("[")[0]
    return form[outer] if outer in form else None  # noqa: SIM401 - a form is no mapping, it has no get


def _errors(field: Any) -> list[object]:  # noqa: ANN401
    field.errors = list(field.errors)
    errors: list[object] = field.errors
    return errors
