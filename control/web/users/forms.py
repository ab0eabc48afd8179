"""The forms of users."""

from typing import Any
from uuid import UUID

from wtforms import BooleanField, PasswordField, StringField, TextAreaField

from control.domain.identity import User, UserKind
from control.web.forms import Form, Many, write_attributes


class UserForm(Form):
    """Create and edit; the password is asked for at creation only."""

    username = StringField()
    name = StringField()
    email = StringField()
    kind = StringField(default=UserKind.INTERNAL)
    active = BooleanField(default=True)
    password = PasswordField()
    groups = Many()
    attributes = TextAreaField()


class PasswordForm(Form):
    """A new password, twice."""

    password = PasswordField()
    again = PasswordField()


def values_of(user: User, groups: frozenset[UUID]) -> dict[str, Any]:
    """What the form shows of a stored user."""
    return {
        "username": user.username,
        "name": user.name,
        "email": user.email,
        "kind": user.kind.value,
        "active": user.active,
        "groups": [str(key) for key in groups],
        "attributes": write_attributes(user.attributes),
    }
