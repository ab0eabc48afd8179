"""Trusting another SSH host key of an integration, once somebody has compared it.

What was shown is what is trusted: a server that shows a third key while somebody reads is asked about again.
"""

from dataclasses import replace
from http import HTTPStatus
from uuid import UUID

from flask import Blueprint, url_for
from flask.typing import ResponseReturnValue
from wtforms import StringField

from control.domain.errors import Invalid, Problem
from control.domain.integration import Integration, IntegrationHealth
from control.domain.task import TaskKind
from control.store import Event, Unit
from control.web.context import web
from control.web.errors import Refused
from control.web.forms import Form, saving
from control.web.integrations.host_keys import find_host_key
from control.web.pages import done, show_form
from control.web.tasks.asking import ask_run

blueprint = Blueprint("trust", __name__, url_prefix="/<uuid:key>/trust")


class TrustForm(Form):
    """The key that whoever posts has seen."""

    offered_key = StringField()


@blueprint.route("/", methods=["GET", "POST"])
def trust(key: UUID) -> ResponseReturnValue:
    """Pin the key that the server shows now instead of the one it showed before."""
    with web().store.read() as unit:
        integration, health = unit.integrations.get(key), _get_offer(unit, key)
    form = TrustForm(data={"offered_key": health.offered_key})
    back = url_for("admin.integrations.detail", key=key)
    if form.validate_on_submit():
        with saving(form) as unit:
            _pin(unit, integration, form.offered_key.data or "")
            return done(back, "host_key_trusted", name=integration.name)
    keys = {"pinned": find_host_key(health.host_key), "offered": find_host_key(health.offered_key)}
    return show_form("integrations/trust.html", form, back, integration=integration, tone="danger", **keys)


def _get_offer(unit: Unit, key: UUID) -> IntegrationHealth:
    health = unit.integration_healths.find(key)
    if health is None or not health.offered_key:
        raise Refused(status=HTTPStatus.CONFLICT, code="no_offered_key")
    return health


def _pin(unit: Unit, integration: Integration, seen: str) -> None:
    health = _get_offer(unit, integration.id)
    if health.offered_key != seen:
        expected = "the key that the server shows now"
        raise Invalid([Problem(field="offered_key", code="another_key", found="", expected=expected)])
    unit.integration_healths.save([replace(health, host_key=seen, offered_key="")])
    unit.record(Event(action="host key trusted", kind="integration", target=str(integration.id), name=integration.name))
    ask_run(unit, TaskKind.CHECK, integration.id, integration.name)
