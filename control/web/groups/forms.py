"""The forms of groups and of who is in them."""

from typing import Any

from wtforms import BooleanField, StringField, TextAreaField

from control.domain.identity import Group
from control.web.forms import Form, Many, write_attributes


class GroupForm(Form):
    """Create and edit."""

    name = StringField()
    superuser = BooleanField()
    second_factor = BooleanField()
    parents = Many()
    attributes = TextAreaField()


class MembersForm(Form):
    """Users to put into a group."""

    users = Many()


def values_of(group: Group) -> dict[str, Any]:
    """What the form shows of a stored group."""
    return {
        "name": group.name,
        "superuser": group.superuser,
        "second_factor": group.second_factor,
        "parents": [str(key) for key in group.parents],
        "attributes": write_attributes(group.attributes),
    }
